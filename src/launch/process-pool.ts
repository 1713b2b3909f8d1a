/**
 * A pool of Node processes that take jobs from a queue, one at a time each. A process that dies fails its job alone and is replaced.
 * Jobs and results are plain JSON data, sent over the channel that `fork` opens.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { rebuiltError } from "../errors.js";

export interface PoolOptions {
  /** Absolute path of the module that a process runs; it serves jobs with `serveJobs`. */
  readonly module: string;
  readonly processes: number;
  /** When aborted, every process is asked to stop its job; the jobs end with what they return then. */
  readonly signal: AbortSignal;
}

export interface ProcessPool<J, R> {
  /** Runs a job when a process is free. Rejects when the job throws or its process dies. */
  run(job: J): Promise<R>;
  /** Ends all processes; jobs must be over. */
  close(): Promise<void>;
}

/** What is sent to a process: a job, or the wish that it stop the one it has. */
export type PoolMessage<J> = { readonly type: "job"; readonly job: J } | { readonly type: "stop" };
export type PoolReply<R> =
  | { readonly type: "done"; readonly result: R }
  | { readonly type: "failed"; readonly name: string; readonly message: string };

interface Waiting<J, R> {
  readonly job: J;
  readonly resolve: (result: R) => void;
  readonly reject: (error: Error) => void;
}

/** Threads of each of `processes` that share the cores of this machine. */
export function threadsOfEach(processes: number): number {
  return Math.max(1, Math.floor(availableParallelism() / processes));
}

/** Starts no process before there is a job for it. */
export function createProcessPool<J, R>({ module, processes, signal }: PoolOptions): ProcessPool<J, R> {
  const queue: Waiting<J, R>[] = [];
  const idle: ChildProcess[] = [];
  const busy = new Set<ChildProcess>();
  const stop = () => {
    for (const child of busy) send(child, { type: "stop" });
  };
  signal.addEventListener("abort", stop);

  const work = (child: ChildProcess, { job, resolve, reject }: Waiting<J, R>): void => {
    busy.add(child);
    const settle = (): void => {
      child.removeAllListeners("message");
      child.removeAllListeners("exit");
      busy.delete(child);
    };
    child.once("message", (reply: PoolReply<R>) => {
      settle();
      idle.push(child);
      if (reply.type === "done") resolve(reply.result);
      else reject(rebuiltError(reply.name, reply.message));
      next();
    });
    child.once("exit", (code, killedBy) => {
      settle();
      reject(new Error(`its process ended with ${killedBy ?? `exit code ${code}`}`));
      next();
    });
    send(child, { type: "job", job });
    if (signal.aborted) send(child, { type: "stop" });
  };
  const next = (): void => {
    while (queue.length > 0 && (idle.length > 0 || busy.size < processes)) {
      const waiting = queue.shift();
      if (waiting !== undefined)
        work(idle.pop() ?? fork(module, { execArgv: [], stdio: ["ignore", "ignore", "inherit", "ipc"] }), waiting);
    }
  };
  const send = (child: ChildProcess, message: PoolMessage<J>): void => {
    if (child.connected) child.send(message);
  };
  return {
    run: (job) =>
      new Promise((resolve, reject) => {
        queue.push({ job, resolve, reject });
        next();
      }),
    async close() {
      signal.removeEventListener("abort", stop);
      await Promise.all(
        idle.splice(0).map(async (child) => {
          const gone = once(child, "exit");
          child.disconnect();
          await gone;
        }),
      );
    },
  };
}

/** The other side: serves jobs until the parent goes away. A stop, or the parent's end, aborts the signal of the job under way. */
export function serveJobs<J, R>(
  parent: Pick<NodeJS.Process, "on" | "send" | "exit">,
  work: (job: J, signal: AbortSignal) => Promise<R>,
): void {
  let current: AbortController | undefined;
  const serve = async (job: J): Promise<void> => {
    current = new AbortController();
    let reply: PoolReply<R>;
    try {
      reply = { type: "done", result: await work(job, current.signal) };
    } catch (error) {
      reply =
        error instanceof Error
          ? { type: "failed", name: error.name, message: error.message }
          : { type: "failed", name: "Error", message: String(error) };
    }
    current = undefined;
    parent.send?.(reply);
  };
  // Ctrl-C reaches the whole process group; the parent decides what becomes of the jobs.
  for (const signal of ["SIGINT", "SIGTERM"] as const) parent.on(signal, () => {});
  parent.on("message", (message: PoolMessage<J>) => {
    if (message.type === "stop") current?.abort();
    else void serve(message.job);
  });
  parent.on("disconnect", () => {
    if (current === undefined) parent.exit(0);
    current?.abort();
  });
}
