/**
 * Whether experts seem to come from their base. Fine-tuning moves weights by a small part of their size (0.01 to 0.3 of the norm);
 * two models that were trained apart differ by about the square root of 2 of it. A glance at a few tensors, so that it costs nothing at every start.
 */
import { type Bundle, readBase, readTaskVectorRange } from "./bundle.js";

/** Above this share of the base's norm an expert is named. */
const SUSPECT_RATIO = 0.8;
/** Matrices that are looked at, spread over the depth, and elements of each. */
const SAMPLES = 8;
const SAMPLE_ELEMENTS = 1 << 18;

export interface Derivation {
  readonly task: string;
  /** Norm of the task vector over the norm of the base, over the sampled elements. */
  readonly ratio: number;
}

/** The experts whose task vectors are as large as the base itself. */
export async function underivedExperts(bundle: Bundle): Promise<Derivation[]> {
  const matrices = bundle.tensors.filter(({ shape, taskVectors }) => taskVectors !== undefined && shape.length > 1);
  const stride = Math.max(1, Math.floor(matrices.length / SAMPLES));
  const sampled = matrices.filter((_, index) => index % stride === 0).slice(0, SAMPLES);
  const squares = { base: 0, tasks: bundle.tasks.map(() => 0) };
  for (const tensor of sampled) {
    const size = tensor.shape.reduce((product, dim) => product * dim, 1);
    const to = Math.min(size, SAMPLE_ELEMENTS);
    squares.base += sumOfSquares((await readBase(bundle, tensor)).subarray(0, to));
    for (const task of bundle.tasks.keys())
      squares.tasks[task] =
        (squares.tasks[task] ?? 0) + sumOfSquares(await readTaskVectorRange(bundle, tensor, task, 0, to));
  }
  return bundle.tasks
    .map((task, index) => ({ task, ratio: Math.sqrt((squares.tasks[index] ?? 0) / squares.base) }))
    .filter(({ ratio }) => ratio > SUSPECT_RATIO);
}

function sumOfSquares(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}
