/**
 * The default engine: traces a program once and lets ONNX Runtime run it as one static graph, in a worker thread,
 * so that the caller's thread stays free for signals, progress and trackers.
 */
import { CheckpointError, ConfigError, internalError } from "../errors.js";
import { type MappedFile, mapFile } from "../runtime/mmap.js";
import { explained } from "./onnx/runtime-errors.js";
import type { BoundSource, FedTensor, SessionOptions } from "./onnx/session-protocol.js";
import { type Send, startSessionThread } from "./onnx/session-thread.js";
import type { Engine, Executable, Program, TensorSource, TensorSpec, TensorValues } from "./program.js";
import { checkBinding, checkInputs, checkShared } from "./program-checks.js";
import { traceProgram } from "./trace/trace-program.js";

/** ONNX operators for which a provider has no kernel, so that ONNX Runtime would run them on the CPU and copy to and fro. */
export const LACKS: Readonly<Record<SessionOptions["provider"], ReadonlySet<string>>> = {
  cpu: new Set(),
  cuda: new Set(),
  webgpu: new Set(["FusedMatMul"]),
};

const WORKER = new URL("./onnx/session-worker.js", import.meta.url);

/** What every WebGPU device binds at once: the default limit of maxStorageBufferBindingSize. Source: the WebGPU specification, 3.6.2. */
const WEBGPU_BINDING_BYTES = 128 * 2 ** 20;

/** Starts the worker. `provider` is ONNX Runtime's execution provider, `threads` 0 means all cores. */
export function createOnnxEngine(options: SessionOptions): Engine {
  const calls = startSessionThread(WORKER);
  const files = openFiles();
  const loaded = new WeakMap<Executable, Loaded>();
  let sessions = 0;
  return {
    name: "onnx",
    device: options.provider,
    ...(options.provider === "webgpu" ? { maxTensorBytes: WEBGPU_BINDING_BYTES } : {}),
    compile: async (program, beside) => {
      sessions += 1;
      const session = sessions;
      const other = beside === undefined ? undefined : loaded.get(beside);
      checkShared(program, beside, other?.program);
      const { onnx } = traceProgram(program, LACKS[options.provider]);
      const shared = other === undefined ? {} : { beside: other.session };
      const explain: Explain = (result) => explained(program, options.provider, result);
      await explain(calls.send({ kind: "load", session, onnx, options, ...shared }));
      const bound = other?.bound ?? { unbound: new Set(program.frozen.keys()), mapped: new Map(), sessions: 0 };
      const compiled = executable(program, session, { send: calls.send, explain }, files, bound);
      loaded.set(compiled, { program, session, bound });
      return compiled;
    },
    close: async () => {
      await calls.close();
      // Nobody looks at the pages any more.
      files.close();
    },
  };
}

/** The mapped files of an engine. */
interface OpenFiles {
  /** Maps a file. Throws after `close`, which does not wait for files that are being mapped. */
  map(path: string): Promise<MappedFile>;
  /** Unmaps one of the files, or all of them for good. */
  close(file?: MappedFile): void;
}

function openFiles(): OpenFiles {
  const files = new Set<MappedFile>();
  let isClosed = false;
  return {
    map: async (path) => {
      const file = await mapFile(path);
      if (isClosed) {
        file.close();
        throw internalError("the engine is closed");
      }
      files.add(file);
      return file;
    },
    close: (one) => {
      for (const file of one === undefined ? files : [one]) {
        file.close();
        files.delete(file);
      }
      if (one === undefined) isClosed = true;
    },
  };
}

/** What is bound to one session, or to several that share it. */
interface BoundFrozen {
  readonly unbound: Set<string>;
  readonly mapped: Map<string, MappedFile>;
  sessions: number;
}

interface Loaded {
  readonly program: Program;
  readonly session: number;
  readonly bound: BoundFrozen;
}

/** Throws what ONNX Runtime says as errors that people can read. */
type Explain = <T>(result: Promise<T>) => Promise<T>;

/** The files of what is bound are closed with the last session that shares it, all others with the engine. */
function executable(
  program: Program,
  session: number,
  { send, explain }: { readonly send: Send; readonly explain: Explain },
  files: OpenFiles,
  bound: BoundFrozen,
): Executable {
  const { unbound, mapped } = bound;
  let closed: Promise<void> | undefined;
  bound.sessions += 1;
  const place = async (source: TensorSource): Promise<BoundSource> => {
    if (source.kind === "memory") return source;
    const file = mapped.get(source.path) ?? (await files.map(source.path));
    mapped.set(source.path, file);
    return placeIn(file, source);
  };
  const check = (): void => {
    for (const file of mapped.values()) file.check();
  };
  return {
    bind: async (frozen) => {
      const tensors = [];
      for (const [name, source] of frozen) {
        const { dtype, shape } = checkBinding(program, name, source);
        tensors.push({ name, dtype, shape, source: await place(source) });
      }
      await explain(send({ kind: "bind", session, tensors }));
      for (const name of frozen.keys()) unbound.delete(name);
    },
    run: async (inputs, into) => {
      if (unbound.size > 0)
        throw new ConfigError(`program ${program.name}: no values bound for ${[...unbound].join(", ")}`);
      checkInputs(program, inputs);
      const fed = [...program.inputs].map(([name, spec]) => fedTensor(name, spec, inputs.get(name)));
      check();
      // Checked again whatever came out: pages that were given up meanwhile are zeros, and what was made of them is nothing.
      const written = into === undefined ? {} : { into };
      const outputs = await explain(send({ kind: "run", session, inputs: fed, ...written })).finally(check);
      return into === undefined ? outputs : new Map([...outputs, ...into]);
    },
    close: () => {
      closed ??= send({ kind: "release", session }).then(() => {
        bound.sessions -= 1;
        if (bound.sessions > 0) return;
        for (const file of mapped.values()) files.close(file);
        mapped.clear();
      });
      return closed;
    },
  };
}

function placeIn(
  { path, pages }: MappedFile,
  { byteOffset, byteLength }: Extract<TensorSource, { kind: "file" }>,
): BoundSource {
  if (byteOffset + byteLength <= pages.sizeBytes) return { kind: "pages", pages, byteOffset, byteLength };
  throw new CheckpointError(
    `${path}: expected at least ${byteOffset + byteLength} bytes, found ${pages.sizeBytes}: it was replaced since it was opened. Start again.`,
  );
}

function fedTensor(name: string, spec: TensorSpec, values: TensorValues | undefined): FedTensor {
  if (values === undefined) throw new ConfigError(`no values given for the input ${name}`);
  return { name, dtype: spec.dtype, shape: spec.shape, values };
}
