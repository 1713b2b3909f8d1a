/**
 * RegMean (Jin et al. 2023, arXiv:2212.09849): every linear layer becomes the one whose outputs are nearest, in least squares, to the experts' outputs
 * on their own inputs; what is not a linear layer is averaged. RegMean++ (Nguyen et al. 2025, arXiv:2508.03121): the inputs of a
 * block are those that the blocks merged before it give. Conventions of FusionBench: off-diagonals of the Gram matrices times 0.95, 256 images.
 */
import { z } from "zod";
import { blockIndex } from "../depth.js";
import { addTask, emptyEquations, type NormalEquations, solveEquations } from "../linear-regression.js";
import { expertWeights, lookedUp, meanOfExperts, requireProbe } from "./expert-weights.js";
import {
  defineMethod,
  type MergeContext,
  type MergePiece,
  piecesOf,
  remember,
  type SourceTensor,
  type Weights,
} from "./method.js";

const parameters = z.strictObject({
  off_diagonal: z
    .number()
    .min(0)
    .max(1)
    .default(0.95)
    .describe("What off-diagonal elements of the Gram matrices are multiplied with"),
  examples: z.int().min(1).default(256).describe("Unlabelled examples of each task"),
});
type Settings = z.output<typeof parameters>;

const common = { parameters, unit: "element", needsImages: true } as const;

export const regmean = defineMethod({
  ...common,
  name: "regmean",
  title: "RegMean",
  paper: "https://arxiv.org/abs/2212.09849",
  prepare: async (context, settings): Promise<MergePiece> =>
    lookedUp(
      await remember(
        context,
        "regmean",
        () => mergeLayers(context, settings, "regmean", () => true, new Map()),
        settings,
      ),
    ),
});

export const regmeanPp = defineMethod({
  ...common,
  name: "regmean_pp",
  title: "RegMean++",
  paper: "https://arxiv.org/abs/2508.03121",
  prepare: async (context, settings): Promise<MergePiece> =>
    lookedUp(await remember(context, "regmean_pp", () => mergeBlocks(context, settings), settings)),
});

/** Block after block, the embeddings before the first and what comes after the last with it. Everything is merged in the end. */
async function mergeBlocks(context: MergeContext, settings: Settings): Promise<Map<string, Float32Array>> {
  const blocks = context.source.tensors.map(({ name }) => blockIndex(name) ?? -1);
  const last = Math.max(0, ...blocks);
  const merged = new Map<string, Float32Array>();
  const firstBlock = context.source.tensors.findIndex(({ name }) => blockIndex(name) !== undefined);
  const placeOf = ({ name }: SourceTensor): number => {
    const block = blockIndex(name);
    if (block !== undefined) return block;
    return context.source.tensors.findIndex((tensor) => tensor.name === name) < firstBlock ? -1 : last + 1;
  };
  for (let place = -1; place <= last + 1; place++) {
    const isHere = (tensor: SourceTensor): boolean => placeOf(tensor) === place;
    const layers = await mergeLayers(context, settings, "regmean_pp", isHere, merged);
    for await (const piece of piecesOf(context, "tensor"))
      if (isHere(piece.tensor)) merged.set(piece.tensor.name, layers.get(piece.tensor.name) ?? meanOfExperts(piece));
  }
  return merged;
}

/** The linear layers among the tensors that `isMeant` picks, with inputs from experts whose tensors in `merged` are replaced. */
async function mergeLayers(
  context: MergeContext,
  { off_diagonal: offDiagonal, examples }: Settings,
  method: string,
  isMeant: (tensor: SourceTensor) => boolean,
  merged: Weights,
): Promise<Map<string, Float32Array>> {
  const probe = requireProbe(context, method);
  const matrices = context.source.tensors.filter((tensor) => tensor.shape.length === 2 && isMeant(tensor));
  const equations = new Map<string, NormalEquations>();
  if (matrices.length === 0) return new Map();
  const names = matrices.map(({ name }) => name);
  for (const task of context.source.tasks.keys()) {
    const expert = await expertWeights(context, task);
    const grams = await probe.grams(task, new Map([...expert, ...merged]), examples, names);
    for (const { name, shape } of matrices) {
      const gram = grams.get(name);
      const weightOI = expert.get(name);
      if (gram === undefined || weightOI === undefined) continue;
      const own = equations.get(name) ?? emptyEquations(shape[0] ?? 0, shape[1] ?? 0);
      addTask(own, weightOI, gram, offDiagonal);
      equations.set(name, own);
    }
  }
  return new Map([...equations].map(([name, own]) => [name, solveEquations(own, `tensor ${name}`)]));
}
