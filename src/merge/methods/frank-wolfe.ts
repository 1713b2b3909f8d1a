/**
 * FW-Merging, hard (Chen et al. 2025, arXiv:2503.12649): Frank-Wolfe steps over the models themselves. In each iteration the entropy's gradient at the
 * merged model picks the model that points against it most, and the merged model moves towards it. Source: fusion_bench fw_merging/fw_hard.py @54c9e8c.
 * The soft variant is a fit: `coefficients.restart_every`. K experts, N elements of a tensor.
 *
 * Differs from the official code: the loss is the entropy of unlabelled images (its other option; the default there reads labels); all iterations look at the same
 * images, where it draws new ones; and tensors whose gradient is rounding alone have no say (that of every key bias is 0, since softmax does not
 * see it, and there the cosine of its rounding error counts as much as any other).
 */
import { z } from "zod";
import { expertOf, lookedUp, requireProbe } from "./expert-weights.js";
import { defineMethod, type MergeContext, piecesOf, remember } from "./method.js";

const parameters = z.strictObject({
  iterations: z.int().min(1).default(10).describe("Steps towards one model each"),
  step_size: z.number().gt(0).default(0.1).describe("Of 2 / (t + 2), the step of iteration t counted from 0"),
  scale: z.number().default(0.3).describe("Weight of the task vectors, at the start and in every step"),
  granularity: z.enum(["model", "tensor"]).default("model").describe("What picks: the whole model, or every tensor"),
  examples: z.int().min(1).default(100).describe("Unlabelled examples of each task"),
});
type Settings = z.output<typeof parameters>;

/** A tensor's gradient below this share of the whole gradient's norm is the rounding of a zero. */
const ROUNDING = 1e-5;

/** Values by tensor. */
type Model = ReadonlyMap<string, Float32Array>;

export const fwHard = defineMethod({
  name: "fw_hard",
  title: "FW-Merging (hard)",
  paper: "https://arxiv.org/abs/2503.12649",
  parameters,
  unit: "element",
  needsImages: true,
  prepare: async (context, settings) =>
    lookedUp(await remember(context, "fw_hard", () => mergeBySteps(context, settings), settings)),
});

async function mergeBySteps(context: MergeContext, settings: Settings): Promise<Map<string, Float32Array>> {
  const probe = requireProbe(context, "fw_hard");
  const unchanged = (await context.unchanged?.()) ?? new Map();
  const { start, experts } = await modelsOf(context, settings.scale);
  const pool = [...experts, start];
  let merged = new Map(start);
  for (let iteration = 0; iteration < settings.iterations; iteration++) {
    const gradient = new Map<string, Float64Array>();
    for (const task of context.source.tasks.keys()) {
      const own = await probe.entropyGradient(task, new Map([...unchanged, ...merged]), settings.examples);
      for (const [name, values] of own) addTo(gradient, name, values);
    }
    const step = (settings.scale * settings.step_size * 2) / (iteration + 2);
    const chosenFor = choice(gradient, pool, settings.granularity);
    merged = new Map([...merged].map(([name, values]) => [name, moved(values, chosenFor(name)?.get(name), step)]));
  }
  return merged;
}

/** Task arithmetic's model, where the steps start, and the experts. */
async function modelsOf(context: MergeContext, scale: number): Promise<{ start: Model; experts: Model[] }> {
  const start = new Map<string, Float32Array>();
  const experts = context.source.tasks.map(() => new Map<string, Float32Array>());
  for await (const piece of piecesOf(context, "tensor")) {
    const sumOf = (element: number): number => piece.taskVectors.reduce((sum, tauN) => sum + (tauN[element] ?? 0), 0);
    start.set(
      piece.tensor.name,
      piece.baseN.map((value, element) => value + scale * sumOf(element)),
    );
    for (const [task, expert] of experts.entries()) expert.set(piece.tensor.name, expertOf(piece, task));
  }
  return { start, experts };
}

/**
 * The model with the least sum over tensors of the cosine with the gradient; with `tensor`, the one with the least cosine of each tensor, and
 * none where there is no gradient.
 */
function choice(
  gradient: ReadonlyMap<string, Float64Array>,
  pool: readonly Model[],
  granularity: Settings["granularity"],
): (name: string) => Model | undefined {
  const sizes = new Map([...gradient].map(([name, values]) => [name, Math.sqrt(product(values, values))]));
  const whole = Math.hypot(...sizes.values());
  const known = new Set([...sizes].filter(([, size]) => size > ROUNDING * whole).map(([name]) => name));
  const cosine = (model: Model, name: string): number => {
    const [slopeN, valueN] = [gradient.get(name), model.get(name)];
    if (slopeN === undefined || valueN === undefined || !known.has(name)) return 0;
    return product(slopeN, valueN) / ((sizes.get(name) ?? 0) * (Math.sqrt(product(valueN, valueN)) || 1));
  };
  const least = (score: (model: Model) => number): Model | undefined => {
    const scores = pool.map(score);
    return pool[scores.indexOf(Math.min(...scores))];
  };
  if (granularity === "tensor") return (name) => (known.has(name) ? least((model) => cosine(model, name)) : undefined);
  const chosen = least((model) => [...model.keys()].reduce((sum, name) => sum + cosine(model, name), 0));
  return () => chosen;
}

function product(aN: ArrayLike<number>, bN: ArrayLike<number>): number {
  let sum = 0;
  for (let element = 0; element < aN.length; element++) sum += (aN[element] ?? 0) * (bN[element] ?? 0);
  return sum;
}

function moved(fromN: Float32Array, towardsN: Float32Array | undefined, step: number): Float32Array {
  return fromN.map((value, element) => value + step * ((towardsN?.[element] ?? value) - value));
}

function addTo(sums: Map<string, Float64Array>, name: string, values: Float64Array): void {
  const sum = sums.get(name) ?? new Float64Array(values.length);
  for (let element = 0; element < values.length; element++) sum[element] = (sum[element] ?? 0) + (values[element] ?? 0);
  sums.set(name, sum);
}
