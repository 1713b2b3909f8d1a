/**
 * Whether experts seem to come from their base. Fine-tuning moves weights by a small part of their size (0.01 to 0.3 of the norm);
 * two models that were trained apart differ by about the square root of 2 of it, and so does a matrix from its transpose. A glance at
 * the beginning of every matrix, so that it costs little at every start. These are warnings: unusual experts are not refused.
 */

import { quote } from "../runtime/printable.js";
import { type Bundle, type BundleTensor, type FileSource, taskVectorRange } from "./bundle.js";
import { type ReadRange, withRanges } from "./safetensors.js";

/** Above this share of the base's norm an expert is named. */
const SUSPECT_RATIO = 0.8;
/** And one matrix: a pooler that pretraining left unused moves by its own size (1.0 seen), a transposed matrix by 1.4. */
const SUSPECT_MATRIX_RATIO = 1.2;
/** Elements of each matrix that are looked at: some 40 MB for eight ViT-B/32. */
const SAMPLE_ELEMENTS = 1 << 14;
const F32_BYTES = 4;

/** One matrix: its squared norm in the base, and that of each task's vector, over the sampled elements. */
interface Sizes {
  readonly name: string;
  readonly base: number;
  readonly tasksK: readonly number[];
}

/** Per task: how far its expert lies from the base, as a share of the base's norm over the matrices; 0 where nothing differs. */
export async function derivationRatios(bundle: Bundle): Promise<readonly number[]> {
  const sizes = await matrixSizes(bundle);
  return bundle.tasks.map((_, k) => ratioOf(sizes, k));
}

/** A sentence for every expert that does not look fine-tuned from the base, or has a matrix that does not. */
export async function derivationWarnings(bundle: Bundle): Promise<string[]> {
  const sizes = await matrixSizes(bundle);
  if (sizes.length === 0) return [];
  return bundle.tasks.flatMap((task, k) => {
    const ratio = ratioOf(sizes, k);
    if (ratio === 0)
      return [
        `the expert of ${task} has the base's values in every matrix, as far as looked at: it may not be fine-tuned`,
      ];
    const differs = `differs from the base by ${ratio.toFixed(2)} of the base's own size; fine-tuned models differ by 0.01 to 0.3`;
    if (ratio > SUSPECT_RATIO)
      return [`the expert of ${task} ${differs}. It seems to come from another base: merging it will not work`];
    return (
      sizes
        .map((size) => ({ name: size.name, base: size.base, own: ratioOf([size], k) }))
        // A matrix that begins at zero has no size to compare with.
        .filter(({ base, own }) => base > 0 && own > SUSPECT_MATRIX_RATIO)
        .map(
          ({ name, own }) =>
            `the expert of ${task}: tensor ${quote(name)} differs from the base by ${own.toFixed(2)} of its size, the whole expert by ${ratio.toFixed(2)}. ` +
            "The tensor may be transposed or of another model",
        )
    );
  });
}

async function matrixSizes(bundle: Bundle): Promise<readonly Sizes[]> {
  const matrices = bundle.tensors.filter(({ taskVectors, shape }) => taskVectors !== undefined && shape.length > 1);
  const sizes: Sizes[] = [];
  await withRanges(bundle.path, async (read) => {
    for (const matrix of matrices) sizes.push(await sizesOf(bundle, matrix, read));
  });
  return sizes;
}

/** Norm of task k's vector over the norm of the base; 0 where there is nothing to compare. */
function ratioOf(sizes: readonly Sizes[], k: number): number {
  const base = sizes.reduce((sum, size) => sum + size.base, 0);
  const task = sizes.reduce((sum, { tasksK }) => sum + (tasksK[k] ?? 0), 0);
  return task === 0 ? 0 : Math.sqrt(task / base);
}

async function sizesOf(bundle: Bundle, tensor: BundleTensor, read: ReadRange): Promise<Sizes> {
  const size = tensor.shape.reduce((product, dim) => product * dim, 1);
  const to = Math.min(size, SAMPLE_ELEMENTS);
  const first = async ({ byteOffset }: FileSource) => new Float32Array((await read(byteOffset, to * F32_BYTES)).buffer);
  const originN = await first(tensor.base);
  const baseN = tensor.pretrained === undefined ? originN : await first(tensor.pretrained);
  const tasksK = await Promise.all(
    bundle.tasks.map(async (_, task) => {
      const tauN = await taskVectorRange(bundle, tensor, task, 0, to, read);
      return sumOfSquares(baseN === originN ? tauN : fromBase(tauN, originN, baseN));
    }),
  );
  return { name: tensor.name, base: sumOfSquares(baseN), tasksK };
}

/** Shares of an origin and of a task vector, float16 at worst, that may be rounding. */
const ORIGIN_ROUNDING = 2 ** -22;
const VECTOR_ROUNDING = 2 ** -10;

/** Task vectors counted from the base instead of another origin; 0 where the difference is rounding. */
function fromBase(tauN: Float32Array, originN: Float32Array, baseN: Float32Array): Float32Array {
  return tauN.map((tau, i) => {
    const [origin, base] = [originN[i] ?? 0, baseN[i] ?? 0];
    const change = origin + tau - base;
    return Math.abs(change) > ORIGIN_ROUNDING * Math.abs(origin) + VECTOR_ROUNDING * Math.abs(tau) ? change : 0;
  });
}

function sumOfSquares(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}
