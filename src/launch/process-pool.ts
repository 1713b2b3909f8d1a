/**
 * A pool of Node processes that take jobs from a queue, one at a time each. A process that dies fails its job alone and is replaced.
 * Jobs and results are plain JSON data, sent over the channel that `fork` opens.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { rebuiltError, UserError } from "../errors.js";
import { explainSystemError } from "../runtime/system-error.js";

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

  const start = (): ChildProcess => {
    const child = fork(module, { execArgv: [], stdio: ["ignore", "ignore", "inherit", "ipc"] });
    // One that dies between two jobs gets no more; what it says when it is sent something then (an error) is not listened to.
    child.on("exit", () => {
      const index = idle.indexOf(child);
      if (index >= 0) idle.splice(index, 1);
    });
    child.on("error", () => {});
    return child;
  };
  const work = (child: ChildProcess, { job, resolve, reject }: Waiting<J, R>): void => {
    busy.add(child);
    const settle = (): void => {
      child.off("message", answered);
      child.off("exit", died);
      child.off("error", failed);
      busy.delete(child);
    };
    const answered = (reply: PoolReply<R>): void => {
      settle();
      if (isAlive(child)) idle.push(child);
      if (reply.type === "done") resolve(reply.result);
      else reject(rebuiltError(reply.name, reply.message));
      next();
    };
    const died = (code: number | null, killedBy: NodeJS.Signals | null): void => {
      settle();
      reject(new UserError(`its process ended with ${killedBy ?? `exit code ${code}`}`));
      next();
    };
    const failed = (error: Error): void => {
      // A process that was started still tells of its end.
      if (child.pid !== undefined) return;
      settle();
      reject(explainSystemError(error) ?? error);
      next();
    };
    child.on("message", answered);
    child.on("exit", died);
    child.on("error", failed);
    send(child, { type: "job", job });
    if (signal.aborted) send(child, { type: "stop" });
  };
  const next = (): void => {
    while (queue.length > 0 && (idle.length > 0 || busy.size < processes)) {
      const waiting = queue.shift();
      if (waiting !== undefined) work(idle.pop() ?? start(), waiting);
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
          if (child.connected) child.disconnect();
          if (isAlive(child)) await gone;
        }),
      );
    },
  };
}

function isAlive({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}

/** The other side: serves jobs until the parent goes away. A stop, or the parent's end, aborts the signal of the job under way. */
export function serveJobs<J, R>(
  parent: Pick<NodeJS.Process, "on" | "send" | "exit" | "connected" | "stderr">,
  work: (job: J, signal: AbortSignal) => Promise<R>,
): void {
  let current: AbortController | undefined;
  const serve = async (job: J): Promise<void> => {
    current = new AbortController();
    let reply: PoolReply<R>;
    try {
      reply = { type: "done", result: await work(job, current.signal) };
    } catch (thrown) {
      const error = explainSystemError(thrown) ?? thrown;
      reply =
        error instanceof Error
          ? { type: "failed", name: error.name, message: error.message }
          : { type: "failed", name: "Error", message: String(error) };
    }
    current = undefined;
    if (!parent.connected) parent.exit(0);
    parent.send?.(reply);
  };
  // A log that cannot be written ends no work.
  parent.stderr.on("error", () => {});
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
