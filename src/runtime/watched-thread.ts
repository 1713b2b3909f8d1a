/**
 * A worker thread for code of others that may not end: libraries that decode what strangers wrote, regular expressions from files. It answers one
 * request at a time; one that takes more work than its bound allows is ended with the thread, and the next request starts a new one. The caller's
 * thread stays free, so that Ctrl-C and progress go on meanwhile. Both sides are here: `watchedThread` asks, `answerRequests` is the thread's.
 */
import { parentPort, Worker } from "node:worker_threads";
import { rebuiltError, UserError } from "../errors.js";

/** How often it is looked whether a request has passed its bound. */
const CHECK_MS = 200;

export interface WatchedThread<Request, Answer> {
  /**
   * Sends a request after all earlier ones are answered. `workMs` is what it may take: time that the thread was busy, not time that it waited for the
   * disk. Throws OverrunError, or what the thread threw: a UserError keeps its class.
   */
  ask(request: Request, workMs: number): Promise<Answer>;
}

/** A request took more time or memory than it may. The message completes "expected ..., found ...". */
export class OverrunError extends Error {
  override readonly name = "OverrunError";
}

type Reply = { readonly answer: unknown } | { readonly failed: { readonly name: string; readonly message: string } };

/** Starts the thread at the first request. It may use `heapMb` of memory for objects, buffers aside. `script` is a file built from this project. */
export function watchedThread<Request, Answer>(script: URL, heapMb: number): WatchedThread<Request, Answer> {
  let worker: Worker | undefined;
  let last: Promise<unknown> = Promise.resolve();
  const start = (): Worker => {
    const started = new Worker(script, { resourceLimits: { maxOldGenerationSizeMb: heapMb } });
    // Said to the request under way; a thread that ends while it is idle is nobody's failure.
    started.on("error", () => {});
    started.on("exit", () => {
      if (worker === started) worker = undefined;
    });
    return started;
  };
  const askNow = async (request: Request, workMs: number): Promise<Answer> => {
    worker ??= start();
    const asked = worker;
    const reply = await replyOf(asked, request, workMs).catch(async (error: unknown) => {
      if (worker === asked) worker = undefined;
      await asked.terminate();
      throw error;
    });
    // The thread's own files know what they answer; the types say it on both sides.
    if ("answer" in reply) return reply.answer as Answer;
    throw rebuiltError(reply.failed.name, reply.failed.message);
  };
  return {
    ask: (request, workMs) => {
      const answer = last.then(() => askNow(request, workMs));
      last = answer.catch(() => undefined);
      return answer;
    },
  };
}

/** The thread keeps the process alive exactly while it owes a reply. */
async function replyOf(worker: Worker, request: unknown, workMs: number): Promise<Reply> {
  const ends: (() => void)[] = [];
  worker.ref();
  try {
    return await new Promise<Reply>((resolve, reject) => {
      const on = (event: "message" | "error" | "exit", listener: (value: unknown) => void) => {
        worker.on(event, listener);
        ends.push(() => worker.off(event, listener));
      };
      on("message", (reply) => resolve(reply as Reply));
      on("error", (error) => reject(isOutOfMemory(error) ? new OverrunError("more memory than it may take") : error));
      on("exit", (code) => reject(new Error(`a worker thread stopped (exit code ${code})`)));
      const timer = setInterval(watch(worker, workMs, reject), CHECK_MS);
      ends.push(() => clearInterval(timer));
      worker.postMessage(request);
    });
  } finally {
    for (const end of ends) end();
    worker.unref();
  }
}

/**
 * Whether the thread was busy for too long. Its event loop also counts as busy while the system lets others run, which a full machine does for
 * minutes: the process must have had half of the time on a processor.
 */
function watch(worker: Worker, workMs: number, reject: (error: Error) => void): () => void {
  const [busyBefore, cpuBefore] = [busyMs(worker), cpuMs()];
  return () => {
    if (busyMs(worker) - busyBefore < workMs || cpuMs() - cpuBefore < workMs / 2) return;
    reject(new OverrunError(`no end after ${Math.round(workMs / 1000)} s of work`));
  };
}

function busyMs(worker: Worker): number {
  return worker.performance.eventLoopUtilization().active;
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY";
}

/** What a thread does with requests: `handle` gives the answer and the buffers in it that move to the asking thread. */
export function answerRequests<Request, Answer>(
  handle: (request: Request) => Promise<{ readonly answer: Answer; readonly moved?: readonly ArrayBuffer[] }>,
): void {
  parentPort?.on("message", async (request: Request) => {
    try {
      const { answer, moved = [] } = await handle(request);
      parentPort?.postMessage({ answer } satisfies Reply, [...moved]);
    } catch (error) {
      const name = error instanceof UserError ? error.name : "Error";
      const message = error instanceof Error ? error.message : String(error);
      parentPort?.postMessage({ failed: { name, message } } satisfies Reply);
    }
  });
}
