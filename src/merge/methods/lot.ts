/**
 * LOT Merging (Sun et al. 2025, arXiv:2505.23859): the task vector of every layer with which its outputs are nearest, in
 * least squares, to each expert's outputs on the expert's own inputs, times a scale. X_t are the inputs of a layer of
 * expert t, T_t its change.
 *
 *     matrix of a linear layer      T* = (sum_t X_t^T X_t)^+ sum_t X_t^T X_t T_t                          (equation 9)
 *     scale of a norm, LayerScale   T*_d = sum_t x_td^2 T_td / sum_t x_td^2, x the values it multiplies    (12)
 *     all others                    T* = mean of T_t
 *     theta = theta0 + scale * T*
 *
 * Of matrices this is RegMean (regmean.ts) without shrinking, but for directions that no input has: RegMean's equations
 * leave them open, LOT leaves the base there. The paper's scale is tuned on labels; 1 is what least squares say.
 *
 * It makes one task vector, not one of each task, so that it is no processing that learning may start from.
 *
 * Differs from the paper: the kernel of a patch embedding is averaged, as biases, positions and tables of words are. Of
 * models with lengths every task weighs the same, whatever its number of tokens.
 */
import { z } from "zod";
import { addTask, emptyEquations, leastChange, type NormalEquations } from "../linear-regression.js";
import { expertWeights, requireProbe } from "./expert-weights.js";
import { addToBase, defineMethod, type MergeContext, type Piece, remember } from "./method.js";

const parameters = z.strictObject({
  scale: z
    .number()
    .default(1.2)
    .describe("Weight of the merged task vector; the paper's: 1.2 (ViT-B/32), 1.5 (ViT-L/14)"),
  examples: z.int().min(1).default(64).describe("Unlabelled examples of each task; the paper's: 16 to 64"),
  tolerance: z
    .number()
    .min(0)
    .lt(1)
    .default(1e-6)
    .describe("Directions of inputs with a square of at most this share of the largest count as rounding"),
});
type Settings = z.output<typeof parameters>;

export const lot = defineMethod({
  name: "lot",
  title: "LOT Merging",
  paper: "https://arxiv.org/abs/2505.23859",
  parameters,
  unit: "element",
  needsImages: true,
  prepare: async (context, settings) => {
    const { examples, tolerance } = settings;
    const found = await remember(context, "lot", () => layerChanges(context, settings), { examples, tolerance });
    return (piece) => {
      const { from, tensor } = piece;
      const change = found.get(tensor.name);
      return addToBase(piece, (element) => settings.scale * (change?.[from + element] ?? mean(piece, element)));
    };
  },
});

function mean({ taskVectors }: Piece, element: number): number {
  return taskVectors.reduce((sum, tauN) => sum + (tauN[element] ?? 0), 0) / taskVectors.length;
}

/** Sums of x^2 and of x^2 times the tasks' scales, [D]. */
interface ScaleEquations {
  readonly squaresD: Float64Array;
  readonly productD: Float64Array;
}

/** T* of the tensors whose inputs are known, by name. */
async function layerChanges(
  context: MergeContext,
  { examples, tolerance }: Pick<Settings, "examples" | "tolerance">,
): Promise<Map<string, Float32Array>> {
  const probe = requireProbe(context, "lot");
  const { source } = context;
  const namesOf = (rank: number) => source.tensors.flatMap(({ name, shape }) => (shape.length === rank ? [name] : []));
  const layers = new Map<string, NormalEquations>();
  const scales = new Map<string, ScaleEquations>();
  for (const task of source.tasks.keys()) {
    const expert = await expertWeights(context, task);
    for (const [name, gram] of await probe.grams(task, expert, examples, namesOf(2))) {
      const weightOI = expert.get(name) ?? new Float32Array();
      const inputs = Math.sqrt(gram.length);
      const own = layers.get(name) ?? emptyEquations(weightOI.length / inputs, inputs);
      addTask(own, weightOI, gram, 1);
      layers.set(name, own);
    }
    for (const [name, squaresD] of await probe.squares(task, expert, examples, namesOf(1))) {
      const own = scales.get(name) ?? {
        squaresD: new Float64Array(squaresD.length),
        productD: new Float64Array(squaresD.length),
      };
      addScale(own, expert.get(name) ?? new Float32Array(), squaresD);
      scales.set(name, own);
    }
  }
  const changes = new Map<string, Float32Array>();
  for (const tensor of source.tensors) {
    const [layer, scale] = [layers.get(tensor.name), scales.get(tensor.name)];
    if (layer === undefined && scale === undefined) continue;
    const whole = await source.read(tensor, 0, tensor.size);
    if (layer !== undefined)
      changes.set(tensor.name, leastChange(layer, whole.baseN, tolerance, `tensor ${tensor.name}`));
    else if (scale !== undefined) changes.set(tensor.name, scaleChange(scale, whole));
  }
  return changes;
}

function addScale({ squaresD, productD }: ScaleEquations, scaleD: Float32Array, ownD: Float64Array): void {
  for (let d = 0; d < ownD.length; d++) {
    squaresD[d] = (squaresD[d] ?? 0) + (ownD[d] ?? 0);
    productD[d] = (productD[d] ?? 0) + (ownD[d] ?? 0) * (scaleD[d] ?? 0);
  }
}

/** The mean where the scale multiplies nothing but zeros. */
function scaleChange({ squaresD, productD }: ScaleEquations, whole: Piece): Float32Array {
  return Float32Array.from(squaresD, (square, d) =>
    square > 0 ? (productD[d] ?? 0) / square - (whole.baseN[d] ?? 0) : mean(whole, d),
  );
}
