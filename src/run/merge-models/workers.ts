/** The threads of a merge: they take jobs until none is left. */
import { Worker } from "node:worker_threads";
import { NumericError, rebuiltError } from "../../errors.js";
import { extensionOf } from "../../runtime/extensions.js";
import type { MergeTask, TensorJob, WorkerReply, WorkerRequest } from "./jobs.js";
import { createMergeJob } from "./merge-job.js";

export interface WorkOptions {
  readonly threads: number;
  /** When aborted, jobs under way are finished and no more are begun. */
  readonly signal: AbortSignal;
  readonly onBytes: (bytes: number) => void;
  readonly onDone: (tensor: string) => void;
}

/** Does all jobs in their order, several at a time. Throws the first error of a job, after the others under way have ended. */
export async function workOff(task: MergeTask, jobs: readonly TensorJob[], options: WorkOptions): Promise<void> {
  const queue = [...jobs];
  // Other threads have the methods of the package alone.
  const isHere = extensionOf("method", task.method.name) !== undefined && task.method.kind === "whole-model";
  const threads = isHere ? 1 : options.threads;
  let failure: unknown;
  const take = (): TensorJob | undefined =>
    failure === undefined && !options.signal.aborted ? queue.shift() : undefined;
  const one = async (): Promise<void> => {
    const first = take();
    if (first === undefined) return;
    const thread = isHere ? sameThread(task, options.onBytes) : startThread(task, options.onBytes);
    try {
      for (let job: TensorJob | undefined = first; job !== undefined; job = take()) {
        await thread.merge(job);
        options.onDone(job.name);
      }
    } catch (error) {
      failure ??= error;
    } finally {
      await thread.close();
    }
  };
  await Promise.all(Array.from({ length: Math.min(threads, queue.length) }, one));
  if (failure !== undefined) throw failure;
}

const OUT_OF_MEMORY = new NumericError(
  "a thread of the merge ran out of memory; use fewer (--threads), or end other programs",
);

function isOutOfMemory(error: Error): boolean {
  return "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY";
}

interface MergeThread {
  /** One at a time. */
  merge(job: TensorJob): Promise<void>;
  close(): Promise<void>;
}

function sameThread(task: MergeTask, onBytes: (bytes: number) => void): MergeThread {
  const merge = createMergeJob(task);
  return { merge: (job) => merge(job, onBytes), close: () => Promise.resolve() };
}

function startThread(task: MergeTask, onBytes: (bytes: number) => void): MergeThread {
  const worker = new Worker(new URL("./merge-worker.js", import.meta.url), { workerData: task });
  let waiting: { resolve(): void; reject(error: Error): void } | undefined;
  /** Why the thread takes no more jobs. */
  let over: Error | undefined;
  const fail = (error: Error): void => {
    // The first reason is the cause: an exit follows every error.
    over ??= error;
    waiting?.reject(over);
  };
  worker.on("message", (reply: WorkerReply) => {
    if (reply.kind === "progress") onBytes(reply.bytes);
    else if (reply.kind === "done") waiting?.resolve();
    else waiting?.reject(rebuiltError(reply.type, reply.error));
  });
  worker.on("error", (error: Error) => fail(isOutOfMemory(error) ? OUT_OF_MEMORY : error));
  worker.on("exit", (code) => fail(new Error(`a thread of the merge stopped (exit code ${code})`)));
  return {
    merge: (job) =>
      new Promise((resolve, reject) => {
        if (over !== undefined) return reject(over);
        waiting = { resolve, reject };
        worker.postMessage({ kind: "merge", job } satisfies WorkerRequest);
      }),
    close: async () => {
      waiting = undefined;
      await worker.terminate();
    },
  };
}
