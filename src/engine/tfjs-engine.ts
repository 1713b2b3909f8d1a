/**
 * The eager engine: calls a program's function on a real tfjs backend. The oracle for the compiled engine on small
 * shapes (cpu, wasm), and a way to run on @tensorflow/tfjs-node-gpu where that is installed.
 */
import { decodeFloat16 } from "../checkpoint/float16.js";
import { readByteRange } from "../checkpoint/safetensors.js";
import { ConfigError } from "../errors.js";
import type { Engine, Executable, Program, TensorSource, TensorSpec, TensorValues } from "./program.js";
import { checkBinding, checkInputs, checkShared } from "./program-checks.js";
import { loadTensorflow } from "./tensorflow.js";
import { type Tensor, tf } from "./tf.js";
import { ownTensor, tfjs } from "./tfjs.js";

export type TfjsBackend = "cpu" | "wasm" | "tensorflow";

/**
 * Readies a tfjs backend; `threads` (0: all cores) is TensorFlow's, which takes it once in a process. Throws ConfigError when `tensorflow` is asked
 * for and neither of its packages is installed.
 */
export async function createTfjsEngine(backend: TfjsBackend, threads = 0): Promise<Engine> {
  await ready(backend, threads);
  const boundTo = new WeakMap<Executable, BoundTensors>();
  return {
    name: "tfjs",
    device: `tfjs-${backend}`,
    compile: async (program, beside) => {
      const shared = beside === undefined ? undefined : boundTo.get(beside);
      checkShared(program, beside, shared?.program);
      const bound = shared ?? { program, tensors: new Map(), users: 0 };
      const executable = eager(program, backend, bound);
      boundTo.set(executable, bound);
      return executable;
    },
    close: async () => {},
  };
}

async function ready(backend: TfjsBackend, threads: number): Promise<void> {
  if (backend === "wasm") await import("@tensorflow/tfjs-backend-wasm");
  if (backend === "tensorflow") loadTensorflow(threads);
  if (!(await tfjs.setBackend(backend))) {
    throw new ConfigError(`engine=tfjs: the tfjs backend ${backend} could not be initialised on this machine`);
  }
  await tfjs.ready();
}

/** The frozen tensors of one program, or of several that share them: freed with the last. */
interface BoundTensors {
  /** The first. */
  readonly program: Program;
  readonly tensors: Map<string, Tensor>;
  users: number;
}

function eager(program: Program, backend: TfjsBackend, shared: BoundTensors): Executable {
  const bound = shared.tensors;
  let isClosed = false;
  shared.users += 1;
  return {
    bind: async (frozen) => {
      await tfjs.setBackend(backend);
      for (const [name, source] of frozen) {
        const spec = checkBinding(program, name, source);
        bound.get(name)?.dispose();
        bound.set(name, toTensor(await valuesOf(source, spec), spec));
      }
    },
    run: async (inputs, into) => {
      await tfjs.setBackend(backend);
      for (const name of program.frozen.keys()) {
        if (!bound.has(name)) throw new ConfigError(`program ${program.name}: no values bound for ${name}`);
      }
      checkInputs(program, inputs);
      const outputs = compute(program, bound, inputs);
      const results = new Map<string, Float32Array>();
      for (const [name, tensor] of outputs) {
        const values = Float32Array.from(await tensor.data());
        const target = into?.get(name);
        target?.set(values);
        results.set(name, target ?? values);
        tensor.dispose();
      }
      return results;
    },
    close: async () => {
      if (isClosed) return;
      isClosed = true;
      shared.users -= 1;
      if (shared.users > 0) return;
      for (const tensor of bound.values()) tensor.dispose();
      bound.clear();
    },
  };
}

/** Runs the program and frees everything but its outputs. */
function compute(
  program: Program,
  bound: ReadonlyMap<string, Tensor>,
  inputs: ReadonlyMap<string, TensorValues>,
): ReadonlyMap<string, Tensor> {
  const outputs = new Map<string, Tensor>();
  tfjs.tidy(() => {
    const tensors = new Map(bound);
    for (const [name, spec] of program.inputs) {
      const values = inputs.get(name);
      if (values !== undefined) tensors.set(name, toTensor(values, spec));
    }
    for (const [name, tensor] of program.build(tensors)) outputs.set(name, tfjs.keep(ownTensor(tensor.clone())));
  });
  return outputs;
}

async function valuesOf(source: TensorSource, spec: TensorSpec): Promise<TensorValues> {
  if (source.kind === "memory") return source.values;
  const { buffer } = await readByteRange(source.path, source.byteOffset, source.byteLength);
  if (spec.dtype === "float32") return new Float32Array(buffer);
  if (spec.dtype === "float16") return new Uint16Array(buffer);
  return spec.dtype === "int32" ? new Int32Array(buffer) : new Uint8Array(buffer);
}

/** tfjs has neither uint8 nor float16: both become float32, as in a compiled program. */
function toTensor(values: TensorValues, spec: TensorSpec): Tensor {
  const shape = [...spec.shape];
  if (spec.dtype === "int32") return tf.tensor(Int32Array.from(values), shape, "int32");
  if (spec.dtype === "float16" && values instanceof Uint16Array)
    return tf.tensor(decodeFloat16(values), shape, "float32");
  return tf.tensor(Float32Array.from(values), shape, "float32");
}
