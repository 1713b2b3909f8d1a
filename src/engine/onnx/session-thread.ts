/**
 * The session worker as the main thread sees it: calls behind promises, every way in which a thread can end told to whoever waits, and an
 * end that tears nothing down in the middle of a native call. What the calls mean is in session-worker.ts.
 */
import { Worker } from "node:worker_threads";
import { ConfigError, internalError, NumericError, rebuiltError } from "../../errors.js";
import type { Envelope, Reply, Request } from "./session-protocol.js";

export type Send = (request: Request) => Promise<ReadonlyMap<string, Float32Array>>;

export interface SessionThread {
  /** Rejects with what the worker says, with the reason why the thread ended, and after `close`. */
  readonly send: Send;
  /** Ends the thread when the calls under way have ended. Safe to call again. */
  close(): Promise<void>;
}

interface Waiting {
  resolve(outputs: ReadonlyMap<string, Float32Array>): void;
  reject(error: Error): void;
}

/** Starts the worker of the script at `url`. A thread that cannot start fails the first call. */
export function startSessionThread(url: URL): SessionThread {
  const worker = new Worker(url);
  const waiting = new Map<number, Waiting>();
  let ids = 0;
  let isReady = false;
  /** Why no call can be made any more. */
  let over: Error | undefined;
  let closed: Promise<void> | undefined;
  let hasEnded = false;
  const ended = new Promise<void>((resolve) => {
    worker.once("exit", () => {
      hasEnded = true;
      resolve();
    });
  });
  // An idle worker does not keep the process alive; a call under way does, and so does the wait for its end. A process whose last promise
  // waits for something unreferenced ends with code 13 and no word.
  worker.unref();
  const settle = (id: number): Waiting | undefined => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (waiting.size === 0 && closed === undefined) worker.unref();
    return call;
  };
  const fail = (error: Error): void => {
    // The first reason is the cause: an exit follows every error.
    over ??= error;
    for (const call of waiting.values()) call.reject(error);
    waiting.clear();
  };
  worker.on("message", (reply: Reply) => {
    if (reply.kind === "ready") isReady = true;
    else if (reply.kind === "failed") settle(reply.id)?.reject(rebuiltError(reply.name, reply.message));
    else settle(reply.id)?.resolve(reply.outputs);
  });
  // An error comes by a port of its own, now and then ahead of the "ready" that was sent before it. The exit that follows comes last.
  let thrown: { readonly error: unknown } | undefined;
  worker.on("error", (error: unknown) => {
    thrown ??= { error };
  });
  worker.on("messageerror", (error) => fail(internalError(`a message of the engine's worker: ${error.message}`)));
  worker.on("exit", (code) => {
    const error = thrown === undefined ? new Error(`it ended with exit code ${code}`) : thrown.error;
    fail(isReady ? deathOf(error) : startFailure(messageOf(error)));
  });
  const call: Send = (request) =>
    new Promise((resolve, reject) => {
      if (over !== undefined) return reject(over);
      ids += 1;
      waiting.set(ids, { resolve, reject });
      worker.ref();
      try {
        worker.postMessage({ id: ids, request } satisfies Envelope);
      } catch (error) {
        settle(ids)?.reject(new Error(messageOf(error)));
      }
    });
  const end = async (): Promise<void> => {
    // Ended in the middle of a call, or while it loads, a native library takes the process with it. A dead worker has nothing to finish.
    const finished = call({ kind: "finish" }).catch(() => {});
    over ??= internalError("the engine is closed");
    await finished;
    worker.ref();
    if (!hasEnded) void worker.terminate();
    await ended;
  };
  return {
    send: call,
    close: () => {
      closed ??= end();
      return closed;
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function startFailure(reason: string): ConfigError {
  return new ConfigError(
    `engine=onnx: expected its worker thread to start, found that it cannot (${reason}); install adamerge again, or use engine=tfjs`,
  );
}

function deathOf(error: unknown): Error {
  if (error instanceof Error && "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY")
    return new NumericError(
      "the engine's worker thread ran out of memory; set memory_gb to split a step's examples, or data.eval_batch_size lower",
    );
  return new NumericError(`the engine's worker thread died: ${messageOf(error)}`);
}
