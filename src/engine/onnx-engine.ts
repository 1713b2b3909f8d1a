/**
 * The default engine: traces a program once and lets ONNX Runtime run it as one static graph, in a worker thread,
 * so that the caller's thread stays free for signals, progress and trackers.
 */
import { Worker } from "node:worker_threads";
import { CheckpointError, ConfigError, NumericError } from "../errors.js";
import type { FedTensor, Reply, Request, SessionOptions } from "./onnx/session-protocol.js";
import type { Engine, Executable, Program, TensorSpec, TensorValues } from "./program.js";
import { checkBinding, checkInputs } from "./program-checks.js";
import { traceProgram } from "./trace/trace-program.js";

/** Starts the worker. `provider` is ONNX Runtime's execution provider, `threads` 0 means all cores. */
export function createOnnxEngine(options: SessionOptions): Engine {
  const calls = startWorker();
  let sessions = 0;
  return {
    name: "onnx",
    device: options.provider,
    compile: async (program) => {
      sessions += 1;
      const session = sessions;
      const { onnx } = traceProgram(program);
      await explained(program, calls.send({ kind: "load", session, onnx, options }));
      return executable(program, session, calls.send);
    },
    close: calls.close,
  };
}

type Send = (request: Request) => Promise<ReadonlyMap<string, Float32Array>>;

function executable(program: Program, session: number, send: Send): Executable {
  const unbound = new Set(program.frozen.keys());
  return {
    bind: async (frozen) => {
      const tensors = [...frozen].map(([name, source]) => {
        const spec = checkBinding(program, name, source);
        return { name, dtype: spec.dtype, shape: spec.shape, source };
      });
      await explained(program, send({ kind: "bind", session, tensors }));
      for (const name of frozen.keys()) unbound.delete(name);
    },
    run: async (inputs) => {
      if (unbound.size > 0)
        throw new ConfigError(`program ${program.name}: no values bound for ${[...unbound].join(", ")}`);
      checkInputs(program, inputs);
      const fed = [...program.inputs].map(([name, spec]) => fedTensor(name, spec, inputs.get(name)));
      return explained(program, send({ kind: "run", session, inputs: fed }));
    },
    close: async () => {
      await send({ kind: "release", session });
    },
  };
}

function fedTensor(name: string, spec: TensorSpec, values: TensorValues | undefined): FedTensor {
  if (values === undefined) throw new ConfigError(`no values given for the input ${name}`);
  return { name, dtype: spec.dtype, shape: spec.shape, values };
}

async function explained<T>(program: Program, result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    if (!(error instanceof Error) || error instanceof CheckpointError) throw error;
    throw new NumericError(`program ${program.name} failed in ONNX Runtime: ${error.message}`, { cause: error });
  }
}

/** The worker behind promises; a worker that dies rejects every call under way. */
function startWorker(): { send: Send; close: () => Promise<void> } {
  const worker = new Worker(new URL("./onnx/session-worker.js", import.meta.url));
  const waiting = new Map<
    number,
    { resolve(outputs: ReadonlyMap<string, Float32Array>): void; reject(error: Error): void }
  >();
  let ids = 0;
  let dead: Error | undefined;
  // Idle workers do not keep the process alive; a call under way does.
  worker.unref();
  worker.on("message", (reply: Reply) => {
    const call = waiting.get(reply.id);
    waiting.delete(reply.id);
    if (waiting.size === 0) worker.unref();
    if ("error" in reply) call?.reject(reply.file ? new CheckpointError(reply.error) : new Error(reply.error));
    else call?.resolve(reply.outputs);
  });
  const fail = (error: Error): void => {
    dead = error;
    for (const call of waiting.values()) call.reject(error);
    waiting.clear();
  };
  worker.on("error", fail);
  worker.on("exit", (code) => fail(new Error(`the engine's worker thread stopped (exit code ${code})`)));
  return {
    send: (request) =>
      new Promise((resolve, reject) => {
        if (dead !== undefined) return reject(dead);
        ids += 1;
        waiting.set(ids, { resolve, reject });
        worker.ref();
        worker.postMessage({ id: ids, request });
      }),
    close: async () => {
      await worker.terminate();
    },
  };
}
