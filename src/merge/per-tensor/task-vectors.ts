/**
 * Methods over differences from the base, by mergekit's definitions (its class of "generalized task arithmetic"): task arithmetic (Ilharco
 * et al. 2023, arXiv:2212.04089), TIES (Yadav et al. 2023, arXiv:2306.01708) and DARE (Yu et al. 2024, arXiv:2311.03099). They differ from
 * the papers' in that a density counts in each tensor and not in the whole model, and that models have weights. M models, N elements.
 */
import { z } from "zod";
import { createRng } from "../../runtime/rng.js";
import type { Kernels } from "../kernels/kernels.js";
import { trimToLargest } from "./kept-elements.js";
import { keepAtRandom } from "./random-elements.js";
import {
  defineTensorMethod,
  type MergeTensorPiece,
  type ModelWeights,
  type TensorPiece,
  type TensorToMerge,
} from "./tensor-method.js";

/** Settings of all these methods, so that a file needs no other keys when its method changes; a method that drops nothing keeps all. */
const perModel = z.strictObject({
  weight: z.number().describe("Factor of the model's task vector"),
  density: z.number().min(0).max(1).default(1).describe("Share of the model's elements that is kept"),
});
const sharedOf = (normalize: boolean, rescale: boolean) =>
  z.strictObject({
    normalize: z.boolean().default(normalize).describe("Divide by the weights that went into an element"),
    rescale: z
      .boolean()
      .default(rescale)
      .describe("Give each task vector the L1 norm back that it had before elements were dropped"),
    lambda: z.number().default(1).describe("Factor of all that is added to the base"),
    int8_mask: z.boolean().default(false).describe("Without effect: masks are not stored here"),
  });

interface Mix {
  readonly weightsM: readonly number[];
  /** What dropping elements is made up for with. */
  readonly factorsM: readonly number[];
  readonly normalize: boolean;
  readonly lambda: number;
}

/** What each task vector is multiplied with. */
function summands({ weightsM, factorsM, normalize, lambda }: Mix): number[] {
  const total = weightsM.reduce((sum, own) => sum + own, 0);
  // A divisor of nearly nothing is taken as 1. Source: mergekit.
  const divisor = normalize && Math.abs(total) >= 1e-8 ? total : 1;
  return weightsM.map((own, model) => (lambda * own * (factorsM[model] ?? 1)) / divisor);
}

/** base + sum of weight * task vector, divided by the sum of the weights when asked. */
function summed(kernels: Kernels, mix: Mix): MergeTensorPiece {
  const sum = kernels.weightedSum([1, ...summands(mix)]);
  return ({ baseN = new Float32Array(), modelsMN }) => {
    sum([baseN, ...modelsMN], baseN);
    return baseN;
  };
}

/** What the models' values are multiplied with for the same sum, without taking the base away from each of them first. */
function modelWeights(mix: Mix): ModelWeights {
  const modelsM = summands(mix);
  return { base: 1 - modelsM.reduce((total, own) => total + own, 0), modelsM };
}

function summedModels(kernels: Kernels, mix: Mix): MergeTensorPiece {
  const { base, modelsM } = modelWeights(mix);
  const sum = kernels.weightedSum([base, ...modelsM]);
  return ({ baseN = new Float32Array(), modelsMN }) => {
    sum([baseN, ...modelsMN], baseN);
    return baseN;
  };
}

/** The same over elements that agree with the sign of the weighted sum. */
function agreed(kernels: Kernels, { weightsM: sharesM, factorsM, normalize, lambda }: Mix): MergeTensorPiece {
  const weightsM = sharesM.map((share, model) => share * (factorsM[model] ?? 1));
  const sum = kernels.agreedSum({ weightsM, sharesM, normalize, lambda });
  return ({ baseN = new Float32Array(), modelsMN }) => {
    sum(modelsMN, baseN);
    return baseN;
  };
}

/** Sets elements of the models to 0, in place. */
type Drop = (piece: TensorPiece) => void;
/** Looks at the tensor and returns what makes such functions, each of which takes all pieces once, in order. */
type Sparsify = (tensor: TensorToMerge, densitiesM: readonly number[]) => () => Drop;

/** The largest by magnitude stay: density x size of them, but one at least where the density is not 0. */
const byMagnitude: Sparsify = (tensor, densitiesM) =>
  trimToLargest(
    tensor,
    densitiesM.map((density) => (density === 0 ? 0 : Math.max(1, Math.floor(density * tensor.size)))),
  );

/** Each stays with the probability of the density. */
const atRandom: Sparsify = ({ name, seed, kernels }, densitiesM) => {
  const keysM = densitiesM.map((_, model) => createRng(seed, "dare", model, name).nextUint32());
  return () =>
    ({ from, modelsMN }) => {
      for (const [model, values] of modelsMN.entries())
        keepAtRandom(kernels, values, keysM[model] ?? 0, from, densitiesM[model] ?? 1);
    };
};

/** What gives each task vector the L1 norm back that dropping takes from it. */
function rescaling({ kernels, stream }: TensorToMerge, drop: Drop): number[] {
  const before: number[] = [];
  const after: number[] = [];
  const addNorms = (normsM: number[], modelsMN: readonly Float32Array[]): void => {
    for (const [model, values] of modelsMN.entries())
      normsM[model] = (normsM[model] ?? 0) + kernels.absoluteSum(values);
  };
  for (const piece of stream()) {
    addNorms(before, piece.modelsMN);
    drop(piece);
    addNorms(after, piece.modelsMN);
  }
  // Norms below this are taken as nothing, and nothing is scaled. Source: mergekit.
  return before.map((norm, model) => {
    const left = after[model] ?? 0;
    return norm < 1e-7 || left < 1e-7 ? 1 : norm / left;
  });
}

interface Variant {
  readonly name: string;
  readonly title: string;
  readonly paper: string;
  /** Without it the pieces hold the models' values. */
  readonly sparsify?: Sparsify;
  readonly mix: (kernels: Kernels, mix: Mix) => MergeTensorPiece;
  readonly normalize: boolean;
  readonly rescale: boolean;
}

function weightsOf(
  _tensor: { readonly name: string },
  perModelM: readonly z.output<typeof perModel>[],
  shared: z.output<ReturnType<typeof sharedOf>>,
): ModelWeights {
  return modelWeights({ ...shared, weightsM: perModelM.map(({ weight }) => weight), factorsM: [] });
}

function variant({ name, title, paper, sparsify, mix, normalize, rescale }: Variant) {
  return defineTensorMethod({
    name,
    title,
    paper,
    inputs: sparsify === undefined ? "models" : "task-vectors",
    base: "required",
    perModel,
    shared: sharedOf(normalize, rescale),
    ...(sparsify === undefined ? { weights: weightsOf } : {}),
    prepare: (tensor, perModelM, shared) => {
      const weightsM = perModelM.map(({ weight }) => weight);
      const densitiesM = perModelM.map(({ density }) => density);
      if (sparsify === undefined || densitiesM.every((density) => density === 1))
        return mix(tensor.kernels, { ...shared, weightsM, factorsM: [] });
      const drops = sparsify(tensor, densitiesM);
      const factorsM = shared.rescale ? rescaling(tensor, drops()) : [];
      const merge = mix(tensor.kernels, { ...shared, weightsM, factorsM });
      const drop = drops();
      return (piece) => {
        drop(piece);
        return merge(piece);
      };
    },
  });
}

const TIES = "https://arxiv.org/abs/2306.01708";
const DARE = "https://arxiv.org/abs/2311.03099";

export const taskArithmetic = variant({
  name: "task_arithmetic",
  title: "Task arithmetic",
  paper: "https://arxiv.org/abs/2212.04089",
  mix: summedModels,
  normalize: false,
  rescale: false,
});

export const ties = variant({
  name: "ties",
  title: "TIES, tensor by tensor",
  paper: TIES,
  sparsify: byMagnitude,
  mix: agreed,
  normalize: true,
  rescale: false,
});

export const dareLinear = variant({
  name: "dare_linear",
  title: "DARE with task arithmetic, tensor by tensor",
  paper: DARE,
  sparsify: atRandom,
  mix: summed,
  normalize: false,
  rescale: true,
});

export const dareTies = variant({
  name: "dare_ties",
  title: "DARE with elected signs, tensor by tensor",
  paper: DARE,
  sparsify: atRandom,
  mix: agreed,
  normalize: false,
  rescale: true,
});
