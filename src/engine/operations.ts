/**
 * Types of TensorFlow.js as far as models and objectives need it: tensors and the operations that can be compiled (`trace/kernels`). Declarations only;
 * `tf.ts` gives them tfjs's core, whole at run time. They are ours because tfjs's own compile neither without the DOM's types nor beside those of
 * newer compilers, so a strict project could not use a library that shows them.
 */

/** Types of a tensor's values. */
export type DataType = "float32" | "int32" | "bool" | "complex64" | "string";

/** What kernels see of a tensor. */
export interface TensorInfo {
  readonly dataId: object;
  readonly shape: number[];
  readonly dtype: DataType;
}

/** Values of a tensor. */
export type Numbers = Float32Array | Int32Array | Uint8Array;

/** A tensor of TensorFlow.js. While a program is compiled it has a shape and a type, and no values. */
export interface Tensor extends TensorInfo {
  readonly id: number;
  readonly rank: number;
  readonly size: number;
  readonly isDisposed: boolean;
  data(): Promise<Numbers>;
  /** Not in a program that is compiled: values do not exist while it is traced. */
  dataSync(): Numbers;
  clone(): Tensor;
  dispose(): void;
}

interface Nested<T> {
  [index: number]: T | Nested<T>;
}

/** Values, nested as the shape is or flat; as wide as tfjs's, since a narrower type could not be checked against it. */
export type TensorLike =
  | (Numbers | number | boolean | string)
  | (Nested<number | number[] | Numbers> | Nested<boolean> | Nested<string> | Uint8Array[]);

/** What operations take: a tensor, or numbers that become one. */
export type Operand = Tensor | TensorLike;
/** Which axes; all where none are given. Negative ones count from the last. */
export type Axes = number | readonly number[];

/** Operations of TensorFlow.js that can be compiled, with their usual arguments. */
export interface Operations {
  abs(x: Operand): Tensor;
  add(a: Operand, b: Operand): Tensor;
  addN(tensors: readonly Operand[]): Tensor;
  broadcastTo(x: Operand, shape: readonly number[]): Tensor;
  cast(x: Operand, dtype: DataType): Tensor;
  clipByValue(x: Operand, min: number, max: number): Tensor;
  clone(x: Operand): Tensor;
  concat(tensors: readonly Operand[], axis?: number): Tensor;
  cumsum(x: Operand, axis?: number, exclusive?: boolean, reverse?: boolean): Tensor;
  div(a: Operand, b: Operand): Tensor;
  equal(a: Operand, b: Operand): Tensor;
  erf(x: Operand): Tensor;
  exp(x: Operand): Tensor;
  expandDims(x: Operand, axis?: number): Tensor;
  fill(shape: readonly number[], value: number, dtype?: DataType): Tensor;
  gather(x: Operand, indices: Operand, axis?: number, batchDims?: number): Tensor;
  greater(a: Operand, b: Operand): Tensor;
  greaterEqual(a: Operand, b: Operand): Tensor;
  less(a: Operand, b: Operand): Tensor;
  lessEqual(a: Operand, b: Operand): Tensor;
  log(x: Operand): Tensor;
  logSoftmax(logits: Operand, axis?: number): Tensor;
  logicalAnd(a: Operand, b: Operand): Tensor;
  logicalNot(x: Operand): Tensor;
  matMul(a: Operand, b: Operand, transposeA?: boolean, transposeB?: boolean): Tensor;
  max(x: Operand, axis?: Axes, keepDims?: boolean): Tensor;
  maximum(a: Operand, b: Operand): Tensor;
  mean(x: Operand, axis?: Axes, keepDims?: boolean): Tensor;
  min(x: Operand, axis?: Axes, keepDims?: boolean): Tensor;
  minimum(a: Operand, b: Operand): Tensor;
  mul(a: Operand, b: Operand): Tensor;
  neg(x: Operand): Tensor;
  oneHot(indices: Operand, depth: number, onValue?: number, offValue?: number, dtype?: DataType): Tensor;
  ones(shape: readonly number[], dtype?: DataType): Tensor;
  onesLike(x: Operand): Tensor;
  pad(x: Operand, paddings: readonly (readonly [number, number])[], constantValue?: number): Tensor;
  pow(base: Operand, exponent: Operand): Tensor;
  reciprocal(x: Operand): Tensor;
  relu(x: Operand): Tensor;
  reshape(x: Operand, shape: readonly number[]): Tensor;
  rsqrt(x: Operand): Tensor;
  scalar(value: number | boolean, dtype?: DataType): Tensor;
  sigmoid(x: Operand): Tensor;
  sign(x: Operand): Tensor;
  slice(x: Operand, begin: Axes, size?: Axes): Tensor;
  softmax(logits: Operand, axis?: number): Tensor;
  split(x: Operand, numberOrSizes: Axes, axis?: number): Tensor[];
  sqrt(x: Operand): Tensor;
  square(x: Operand): Tensor;
  squaredDifference(a: Operand, b: Operand): Tensor;
  squeeze(x: Operand, axis?: readonly number[]): Tensor;
  stack(tensors: readonly Operand[], axis?: number): Tensor;
  step(x: Operand, alpha?: number): Tensor;
  sub(a: Operand, b: Operand): Tensor;
  sum(x: Operand, axis?: Axes, keepDims?: boolean): Tensor;
  tanh(x: Operand): Tensor;
  tensor(values: TensorLike, shape?: readonly number[], dtype?: DataType): Tensor;
  tensor1d(values: TensorLike, dtype?: DataType): Tensor;
  tensor2d(values: TensorLike, shape?: readonly [number, number], dtype?: DataType): Tensor;
  tensor3d(values: TensorLike, shape?: readonly [number, number, number], dtype?: DataType): Tensor;
  tile(x: Operand, repetitions: readonly number[]): Tensor;
  transpose(x: Operand, permutation?: readonly number[]): Tensor;
  unsortedSegmentSum(x: Operand, segmentIds: Operand, segments: number): Tensor;
  unstack(x: Operand, axis?: number): Tensor[];
  where(condition: Operand, a: Operand, b: Operand): Tensor;
  zeros(shape: readonly number[], dtype?: DataType): Tensor;
  zerosLike(x: Operand): Tensor;
}
