/**
 * The merged weights: theta = theta0 + sum over tasks of lambda * tau, per tensor, streamed in plain arrays, for evaluation and for writing
 * checkpoints. (As tfjs ops, for the gradient: optimize/step-program.ts.)
 * Source: AdaMerging, equation 3. K tasks, N tensors, S elements of one tensor.
 */
import { type Bundle, type BundleTensor, readBase, readPretrained, readTaskVectors } from "../checkpoint/bundle.js";

/**
 * One merged tensor in plain arrays, summed in float64 and rounded once. `coefficientsNK` covers the tensors that
 * have task vectors, in bundle order; `row` is this tensor's.
 */
export async function readMergedTensor(
  bundle: Bundle,
  tensor: BundleTensor,
  coefficientsNK: Float32Array,
  row: number,
): Promise<Float32Array> {
  const base = await readBase(bundle, tensor);
  if (tensor.taskVectors === undefined) return base;
  const taskVectors = await readTaskVectors(bundle, tensor);
  const tasks = bundle.tasks.length;
  const size = base.length;
  const coefficients = Float64Array.from({ length: tasks }, (_, task) => coefficientsNK[row * tasks + task] ?? 0);
  for (let element = 0; element < size; element++) {
    let sum = base[element] ?? 0;
    for (let task = 0; task < tasks; task++)
      sum += (coefficients[task] ?? 0) * (taskVectors[task * size + element] ?? 0);
    base[element] = sum;
  }
  return base;
}

/** Every tensor of the merged model, one after another, in bundle order. */
export async function* mergedTensors(
  bundle: Bundle,
  coefficientsNK: Float32Array,
): AsyncGenerator<{ name: string; shape: readonly number[]; values: Float32Array }> {
  let row = 0;
  for (const tensor of bundle.tensors) {
    const values = await readMergedTensor(bundle, tensor, coefficientsNK, row);
    if (tensor.taskVectors !== undefined) row += 1;
    yield { name: tensor.name, shape: tensor.shape, values };
  }
}

/** Every tensor of the base itself, whatever task vectors are counted from, in bundle order. */
export async function* pretrainedTensors(
  bundle: Bundle,
): AsyncGenerator<{ name: string; shape: readonly number[]; values: Float32Array }> {
  for (const tensor of bundle.tensors) {
    const { name, shape } = tensor;
    yield { name, shape, values: await readPretrained(bundle, tensor) };
  }
}

/** The tensors of a bundle that have task vectors, in order: the N axis of coefficients. */
export function mergeableTensors(bundle: Bundle): string[] {
  return bundle.tensors.filter((tensor) => tensor.taskVectors !== undefined).map((tensor) => tensor.name);
}

/** The tensors of a bundle without task vectors, which every merged model has from the base. */
export async function unchangedTensors(bundle: Bundle): Promise<Map<string, Float32Array>> {
  const weights = new Map<string, Float32Array>();
  for (const tensor of bundle.tensors)
    if (tensor.taskVectors === undefined) weights.set(tensor.name, await readBase(bundle, tensor));
  return weights;
}
