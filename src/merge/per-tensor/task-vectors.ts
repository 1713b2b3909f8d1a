/**
 * Methods over differences from the base, by mergekit's definitions (its class of "generalized task arithmetic"): task arithmetic (Ilharco
 * et al. 2023, arXiv:2212.04089), TIES (Yadav et al. 2023, arXiv:2306.01708) and DARE (Yu et al. 2024, arXiv:2311.03099). They differ from
 * the papers' in that a density counts in each tensor and not in the whole model, and that models have weights. M models, N elements.
 */
import { z } from "zod";
import { createRng } from "../../runtime/rng.js";
import { uniformAt } from "../random-element.js";
import { addWeighted } from "./average.js";
import { trimToLargest } from "./kept-elements.js";
import { defineTensorMethod, type MergeTensorPiece, type TensorPiece, type TensorToMerge } from "./tensor-method.js";

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
  readonly normalize: boolean;
  readonly lambda: number;
}

/** base + sum of weight * task vector, divided by the sum of the weights when asked. */
function summed({ weightsM, normalize, lambda }: Mix): MergeTensorPiece {
  const total = weightsM.reduce((sum, own) => sum + own, 0);
  // A divisor of nearly nothing is taken as 1. Source: mergekit.
  const divisor = normalize && Math.abs(total) >= 1e-8 ? total : 1;
  const scaledM = weightsM.map((own) => (lambda * own) / divisor);
  return ({ baseN = new Float32Array(), modelsMN }) => {
    const sum = addWeighted(new Float64Array(baseN.length), modelsMN, scaledM);
    const merged = new Float32Array(baseN.length);
    for (let i = 0; i < merged.length; i++) merged[i] = (baseN[i] ?? 0) + (sum[i] ?? 0);
    return merged;
  };
}

/** The same over elements that agree with the sign of the weighted sum; 0 counts as positive. */
function agreed({ weightsM, normalize, lambda }: Mix): MergeTensorPiece {
  return ({ baseN = new Float32Array(), modelsMN }) => {
    const size = baseN.length;
    const total = addWeighted(new Float64Array(size), modelsMN, weightsM);
    const sum = new Float64Array(size);
    const shares = new Float64Array(size);
    for (const [model, values] of modelsMN.entries()) {
      const own = weightsM[model] ?? 0;
      for (let i = 0; i < size; i++) {
        const value = own * (values[i] ?? 0);
        const agrees = (total[i] ?? 0) >= 0 ? value > 0 : value < 0;
        if (!agrees) continue;
        sum[i] = (sum[i] ?? 0) + value;
        shares[i] = (shares[i] ?? 0) + own;
      }
    }
    const merged = new Float32Array(size);
    for (let i = 0; i < size; i++) {
      const divisor = normalize && shares[i] !== 0 ? (shares[i] ?? 1) : 1;
      merged[i] = (baseN[i] ?? 0) + (lambda * (sum[i] ?? 0)) / divisor;
    }
    return merged;
  };
}

/** Sets elements of the models to 0, in place; takes all pieces once, in order. */
type Drop = (piece: TensorPiece) => void;
/** Looks at the tensor and returns what makes such functions. */
type Sparsify = (tensor: TensorToMerge, densitiesM: readonly number[]) => () => Drop;

/** The largest by magnitude stay: density x size of them, but one at least where the density is not 0. */
const byMagnitude: Sparsify = (tensor, densitiesM) =>
  trimToLargest(
    tensor,
    densitiesM.map((density) => (density === 0 ? 0 : Math.max(1, Math.floor(density * tensor.size)))),
  );

/** Each stays with the probability of the density. */
const atRandom: Sparsify = ({ name, seed }, densitiesM) => {
  const keysM = densitiesM.map((_, model) => createRng(seed, "dare", model, name).nextUint32());
  return () =>
    ({ from, modelsMN }) => {
      for (const [model, values] of modelsMN.entries()) {
        const density = densitiesM[model] ?? 1;
        const key = keysM[model] ?? 0;
        if (density >= 1) continue;
        for (let i = 0; i < values.length; i++) if (uniformAt(key, from + i) >= density) values[i] = 0;
      }
    };
};

/** Dropping followed by giving each task vector its L1 norm back. */
function rescaled(tensor: TensorToMerge, sparsify: () => Drop): Drop {
  const before: number[] = [];
  const after: number[] = [];
  const tryOut = sparsify();
  for (const piece of tensor.stream()) {
    const modelsMN = piece.modelsMN.map((values) => values.slice());
    addNorms(before, modelsMN);
    tryOut({ ...piece, modelsMN });
    addNorms(after, modelsMN);
  }
  // Norms below this are taken as nothing, and nothing is scaled. Source: mergekit.
  const factorsM = before.map((norm, model) => {
    const left = after[model] ?? 0;
    return norm < 1e-7 || left < 1e-7 ? 1 : norm / left;
  });
  const drop = sparsify();
  return (piece) => {
    drop(piece);
    for (const [model, values] of piece.modelsMN.entries()) {
      const factor = factorsM[model] ?? 1;
      for (let i = 0; i < values.length; i++) values[i] = factor * (values[i] ?? 0);
    }
  };
}

function addNorms(normsM: number[], modelsMN: readonly Float32Array[]): void {
  for (const [model, values] of modelsMN.entries()) {
    let sum = normsM[model] ?? 0;
    for (let i = 0; i < values.length; i++) sum += Math.abs(values[i] ?? 0);
    normsM[model] = sum;
  }
}

interface Variant {
  readonly name: string;
  readonly title: string;
  readonly paper: string;
  readonly sparsify?: Sparsify;
  readonly mix: (mix: Mix) => MergeTensorPiece;
  readonly normalize: boolean;
  readonly rescale: boolean;
}

function variant({ name, title, paper, sparsify, mix, normalize, rescale }: Variant) {
  return defineTensorMethod({
    name,
    title,
    paper,
    inputs: "task-vectors",
    base: "required",
    perModel,
    shared: sharedOf(normalize, rescale),
    prepare: (tensor, perModelM, shared) => {
      const merge = mix({ ...shared, weightsM: perModelM.map(({ weight }) => weight) });
      const densitiesM = perModelM.map(({ density }) => density);
      if (sparsify === undefined || densitiesM.every((density) => density === 1)) return merge;
      const drops = sparsify(tensor, densitiesM);
      const drop = shared.rescale ? rescaled(tensor, drops) : drops();
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
  mix: summed,
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
