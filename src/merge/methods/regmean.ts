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
  type PartwiseProbe,
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
function mergeBlocks(context: MergeContext, settings: Settings): Promise<Map<string, Float32Array>> {
  const pass = requireProbe(context, "regmean_pp").partwise?.(settings.examples);
  return pass === undefined
    ? mergeFromStart(context, settings)
    : mergePartwise(context, settings, pass).finally(() => pass.close());
}

/** Each part of the model out of what the parts merged before it give it. */
async function mergePartwise(
  context: MergeContext,
  settings: Settings,
  pass: PartwiseProbe,
): Promise<Map<string, Float32Array>> {
  const { source } = context;
  const byName = new Map(source.tensors.map((tensor) => [tensor.name, tensor]));
  const unchanged = (await context.unchanged?.()) ?? new Map<string, Float32Array>();
  const merged = new Map<string, Float32Array>();
  for (const [index, { tensors, linear }] of pass.parts.entries()) {
    const changed = tensors.flatMap((name) => byName.get(name) ?? []);
    const layers = changed.filter(({ name }) => linear.includes(name));
    const solved = await solveLayers(context, settings, layers, async (task) => {
      const expert = new Map(unchanged);
      for (const tensor of changed) expert.set(tensor.name, await source.readExpert(tensor, task));
      return { expert, grams: await pass.grams(task, expert) };
    });
    await addMerged(context, changed, solved, merged);
    if (index + 1 < pass.parts.length) await pass.advance(new Map([...unchanged, ...merged]));
  }
  return merged;
}

/** The same for a model whose parts nobody knows, from its first layer on for each block. */
async function mergeFromStart(context: MergeContext, settings: Settings): Promise<Map<string, Float32Array>> {
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
    await addMerged(context, context.source.tensors.filter(isHere), layers, merged);
  }
  return merged;
}

/** Adds these tensors to `merged`: those that were solved, and the means of the others. */
async function addMerged(
  { source }: MergeContext,
  tensors: readonly SourceTensor[],
  solved: Weights,
  merged: Map<string, Float32Array>,
): Promise<void> {
  for (const tensor of tensors)
    merged.set(tensor.name, solved.get(tensor.name) ?? meanOfExperts(await source.read(tensor, 0, tensor.size)));
}

/** The linear layers among the tensors that `isMeant` picks, with inputs from experts whose tensors in `merged` are replaced. */
async function mergeLayers(
  context: MergeContext,
  settings: Settings,
  method: string,
  isMeant: (tensor: SourceTensor) => boolean,
  merged: Weights,
): Promise<Map<string, Float32Array>> {
  const probe = requireProbe(context, method);
  const matrices = context.source.tensors.filter((tensor) => tensor.shape.length === 2 && isMeant(tensor));
  const names = matrices.map(({ name }) => name);
  return solveLayers(context, settings, matrices, async (task) => {
    const expert = await expertWeights(context, task);
    return { expert, grams: await probe.grams(task, new Map([...expert, ...merged]), settings.examples, names) };
  });
}

/** These layers, each from the tasks' own weights and the Gram matrices of its inputs; those without inputs are left out. */
async function solveLayers(
  { source }: MergeContext,
  { off_diagonal: offDiagonal }: Settings,
  layers: readonly SourceTensor[],
  lookAt: (task: number) => Promise<{ readonly expert: Weights; readonly grams: ReadonlyMap<string, Float64Array> }>,
): Promise<Map<string, Float32Array>> {
  const equations = new Map<string, NormalEquations>();
  if (layers.length === 0) return new Map();
  for (const task of source.tasks.keys()) {
    const { expert, grams } = await lookAt(task);
    for (const { name, shape } of layers) {
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
