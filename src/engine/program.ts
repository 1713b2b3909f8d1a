/**
 * What an engine runs: a named function over tensors with declared inputs. Models, merges and objectives
 * are written once as programs over tfjs ops; the `onnx` engine traces a program into one static graph,
 * the `tfjs` engine calls it eagerly. A program does no I/O and never reads a tensor's values.
 */
import type { Tensor } from "./tf.js";

/** How values arrive at the engine. Inside a program `float16` and `uint8` inputs are already float32. */
export type InputType = "float32" | "float16" | "uint8" | "int32";

/** Shape and type of one input of a compiled program. */
export interface TensorSpec {
  readonly shape: readonly number[];
  readonly dtype: InputType;
}

/** Values of a tensor: float32 as Float32Array, float16 as Uint16Array bit patterns, uint8, int32. */
export type TensorValues = Float32Array | Uint16Array | Uint8Array | Int32Array;

/**
 * float32 in memory that threads share: on the way to an engine's thread and back it is in no message, which costs
 * several copies.
 */
export type SharedFloats = Float32Array<SharedArrayBuffer>;

/** Where a frozen tensor's bytes are: in memory, or in a file that the engine maps by itself without copying. */
export type TensorSource =
  | { readonly kind: "memory"; readonly values: TensorValues }
  | { readonly kind: "file"; readonly path: string; readonly byteOffset: number; readonly byteLength: number };

export interface Program {
  /** Shown in errors and profiles. */
  readonly name: string;
  /** Given once, by `Executable.bind`; the same for every run. */
  readonly frozen: ReadonlyMap<string, TensorSpec>;
  /** Given with every run. */
  readonly inputs: ReadonlyMap<string, TensorSpec>;
  /** The computation. `tensors` holds every frozen tensor and input by name; all outputs are float32. */
  readonly build: (tensors: ReadonlyMap<string, Tensor>) => ReadonlyMap<string, Tensor>;
}

export interface Executable {
  /**
   * Sets frozen tensors. May be called again to replace some of them, which for values in shared memory costs one copy.
   * Throws ConfigError on a wrong name or size.
   */
  bind(frozen: ReadonlyMap<string, TensorSource>): Promise<void>;
  /**
   * Runs once; returns every output of the program by name. One run at a time. Outputs of the names in `into` are
   * written there and returned as these same arrays.
   */
  run(
    inputs: ReadonlyMap<string, TensorValues>,
    into?: ReadonlyMap<string, SharedFloats>,
  ): Promise<ReadonlyMap<string, Float32Array>>;
  /** Releases the compiled program and the tensors bound to it. */
  close(): Promise<void>;
}

/** Compiles programs and runs them. */
export interface Engine {
  readonly name: "onnx" | "tfjs";
  /** What the work runs on, as shown to people: `cpu`, `webgpu`, `tfjs-cpu`, `tfjs-wasm`, ... */
  readonly device: string;
  /** The most bytes that a frozen tensor may have there; no limit where it is absent. */
  readonly maxTensorBytes?: number;
  /**
   * `beside` is an executable of this engine whose frozen tensors are called the same and have the same shapes: both share what is bound to either,
   * before and after, so that several programs over one model keep one copy of it.
   */
  compile(program: Program, beside?: Executable): Promise<Executable>;
  close(): Promise<void>;
}

/** Zeros in shared memory. */
export function sharedFloats(length: number): SharedFloats {
  return new Float32Array(new SharedArrayBuffer(length * Float32Array.BYTES_PER_ELEMENT));
}

/** Number of elements of a shape (1 for rank 0). */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}
