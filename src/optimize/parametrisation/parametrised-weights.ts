/**
 * The merged tensors of a bundle as functions of one flat array of parameters. Task vectors are read one tensor at a time and let go again, since all
 * of them may not fit into memory. N merged tensors, K tasks, S elements of one tensor, P parameters of all.
 */
import { type Bundle, type BundleTensor, readBase, readTaskVectors } from "../../checkpoint/bundle.js";
import { type SharedFloats, sharedFloats, sizeOf } from "../../engine/program.js";
import { type AdamOptions, type AdamState, updateAdam } from "../adam.js";
import type { Floats, Parametrisation, TensorForm, TensorParts } from "./parametrisation.js";

/** Above so many parameters they and Adam's moments are float32: in float64 ten million take 240 MB. */
export const MOST_FLOAT64_PARAMETERS = 10_000_000;

/** Zeros for so many parameters. */
export function floatsFor(parameters: number): Floats {
  return parameters > MOST_FLOAT64_PARAMETERS ? new Float32Array(parameters) : new Float64Array(parameters);
}

export interface ParametrisedWeights {
  /** P. */
  readonly size: number;
  /** Parameters at which W = W0 + initial * sum_t tau_t. */
  start(initial: number): Promise<Floats>;
  /** Arrays for the merged tensors, or for their gradients, by name. */
  arrays(): Map<string, SharedFloats>;
  /** Writes every merged tensor. */
  merge(parametersP: Floats, into: ReadonlyMap<string, Float32Array>): Promise<void>;
  /**
   * One update of parameters and moments by Adam, in place, from G = dL/dW by name; then every merged tensor, into `merged`: what a tensor's gradient
   * was made of is read once for both. Returns the gradient's norm.
   */
  descend(
    state: { readonly parametersP: Floats; readonly adam: AdamState },
    gradients: ReadonlyMap<string, Float32Array>,
    learningRate: number,
    options: AdamOptions,
    merged: ReadonlyMap<string, Float32Array>,
  ): Promise<number>;
}

interface Placed {
  readonly tensor: BundleTensor;
  readonly form: TensorForm;
  /** Where its parameters are. */
  readonly from: number;
  readonly to: number;
}

/** Merged tensors by name, [S] each. */
type Weights = ReadonlyMap<string, Float32Array>;

/**
 * Opens a bundle under a parametrisation, whose forms may look at the task vectors now. With `startWeights` these are what is changed, in place of the
 * bundle's base: W = start + ..., where W0 + ... stands in a form's formula.
 */
export async function openParametrised(
  bundle: Bundle,
  parametrisation: Parametrisation,
  startWeights?: Weights,
): Promise<ParametrisedWeights> {
  const tasks = bundle.tasks.length;
  const placed: Placed[] = [];
  let size = 0;
  for (const tensor of bundle.tensors) {
    if (tensor.taskVectors === undefined) continue;
    const from = size;
    size += parametrisation.size({ shape: tensor.shape, tasks });
    // Reading all task vectors takes as long as a step, and most forms look at none of them.
    const parts = parametrisation.kept === undefined ? shapeOf(tensor) : await partsOf(bundle, tensor, startWeights);
    placed.push({ tensor, form: parametrisation.form(parts), from, to: size });
  }
  const read = ({ tensor, form }: Placed): Promise<TensorParts> =>
    partsOf(bundle, tensor, startWeights, form.readsTaskVectors);
  return {
    size,
    start: async (initial) => {
      const parametersP = floatsFor(size);
      for (const { tensor, form, from, to } of placed) {
        // A later stage starts at 0, of which all forms know what it is.
        const isRead = form.startsFromTaskVectors === true && initial !== 0;
        const parts = isRead ? await partsOf(bundle, tensor, startWeights) : shapeOf(tensor);
        form.start(parts, initial, parametersP.subarray(from, to));
      }
      return parametersP;
    },
    arrays: () => new Map(placed.map(({ tensor: { name, shape } }) => [name, sharedFloats(sizeOf(shape))])),
    merge: async (parametersP, into) => {
      for (const one of placed) {
        const mergedS = into.get(one.tensor.name);
        if (mergedS !== undefined) one.form.merge(await read(one), parametersP.subarray(one.from, one.to), mergedS);
      }
    },
    descend: async ({ parametersP, adam }, gradients, learningRate, options, merged) => {
      let squares = 0;
      for (const one of placed) {
        const gradientS = gradients.get(one.tensor.name);
        if (gradientS === undefined) continue;
        const own = (values: Floats): Floats => values.subarray(one.from, one.to);
        const slopes = new Float64Array(one.to - one.from);
        const parts = await read(one);
        one.form.gradient(parts, own(parametersP), gradientS, slopes);
        for (const slope of slopes) squares += slope * slope;
        const moments = { updates: adam.updates, mean: own(adam.mean), meanSquare: own(adam.meanSquare) };
        updateAdam(moments, own(parametersP), slopes, learningRate, options);
        const mergedS = merged.get(one.tensor.name);
        if (mergedS !== undefined) one.form.merge(parts, own(parametersP), mergedS);
      }
      return Math.sqrt(squares);
    },
  };
}

const shapeOf = ({ shape }: BundleTensor): TensorParts => ({
  shape,
  baseS: new Float32Array(),
  tauKS: new Float32Array(),
});

async function partsOf(
  bundle: Bundle,
  tensor: BundleTensor,
  startWeights: Weights | undefined,
  withTaskVectors = true,
): Promise<TensorParts> {
  const baseS = startWeights?.get(tensor.name) ?? (await readBase(bundle, tensor));
  const tauKS = withTaskVectors ? await readTaskVectors(bundle, tensor) : new Float32Array();
  return { shape: tensor.shape, baseS, tauKS };
}
