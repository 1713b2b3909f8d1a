/**
 * PCB-Merging (Du et al. 2024, arXiv:2410.02396): elements compete within a task (by size) and across tasks (by agreement); the
 * winners' scores weigh a mean. Source of the conventions: pcb-merging @5897888, pcb_merging. K tasks, N elements of a piece, D of the model.
 *
 * Differs from the official code: quantiles are exact on float32 scores, which are computed in float64; the model is streamed.
 */
import { z } from "zod";
import { ConfigError } from "../../errors.js";
import { valuesAtRanks } from "../rank-selection.js";
import { addToBase, defineMethod, type Piece, piecesOf, remember } from "./method.js";

/** Magnitudes beyond these quantiles of a task vector are clamped. */
const CLAMPED_SHARE = 1e-4;
/** Keeps the mean finite where no task has a score. */
const SMALLEST_WEIGHT = 1e-12;

interface Range {
  readonly low: number;
  readonly high: number;
}

export const pcb = defineMethod({
  name: "pcb",
  title: "PCB-Merging",
  paper: "https://arxiv.org/abs/2410.02396",
  parameters: z.strictObject({
    ratio: z.number().gt(0).max(1).default(0.1).describe("Share of each task vector's elements that win"),
    scale: z.number().default(1.2).describe("Weight of the merged task vector"),
    task_scales: z
      .array(z.number())
      .min(1)
      .nullable()
      .default(null)
      .describe("Instead of one weight: of each task vector, in the order of the tasks; the paper's search finds them"),
  }),
  unit: "element",
  prepare: async (context, { ratio, scale, task_scales }) => {
    const scales = task_scales ?? context.source.tasks.map(() => scale);
    if (scales.length !== context.source.tasks.length)
      throw new ConfigError(
        `pcb: task_scales: expected ${context.source.tasks.length} numbers, one for each task, found ${scales.length}`,
      );
    const find = () => competition(() => piecesOf(context, "element"), ratio);
    const { magnitudes, winners } = await remember(context, "pcb", find, { ratio });
    return (piece) => {
      const scoresKN = pieceScores(piece, magnitudes);
      return addToBase(piece, (element) => {
        let [sum, weights] = [0, 0];
        for (const [task, tauN] of piece.taskVectors.entries()) {
          const weight = share(scoresKN[task]?.[element] ?? 0, winners[task]);
          const tau = tauN[element] ?? 0;
          sum += (scales[task] ?? 0) * weight * Math.sign(tau) * clamp(Math.abs(tau), magnitudes[task]);
          weights += weight;
        }
        return sum / Math.max(weights, SMALLEST_WEIGHT);
      });
    };
  },
});

/** Task vectors of the whole model, in any pieces. */
type Vectors = () => AsyncIterable<Pick<Piece, "taskVectors">>;

/** Which magnitudes are clamped, and which scores win, per task. */
export interface Competition {
  readonly magnitudes: readonly Range[];
  readonly winners: readonly Range[];
}

/** Looks at the whole model twice. */
export async function competition(vectors: Vectors, ratio: number): Promise<Competition> {
  const magnitudes = await magnitudeRanges(vectors);
  return { magnitudes, winners: await scoreRanges(vectors, magnitudes, ratio) };
}

/** Each task's part of the mean that its scores weigh, in place; their sum is the method's change at scale 1. */
export function winningParts(taskVectors: readonly Float32Array[], { magnitudes, winners }: Competition): void {
  const scoresKN = pieceScores({ taskVectors }, magnitudes);
  const sharesKN = scoresKN.map((scoresN, task) => Float64Array.from(scoresN, (score) => share(score, winners[task])));
  for (const [task, tauN] of taskVectors.entries())
    for (let i = 0; i < tauN.length; i++) {
      const weights = sharesKN.reduce((sum, sharesN) => sum + (sharesN[i] ?? 0), 0);
      const tau = tauN[i] ?? 0;
      const winning = (sharesKN[task]?.[i] ?? 0) * Math.sign(tau) * clamp(Math.abs(tau), magnitudes[task]);
      tauN[i] = winning / Math.max(weights, SMALLEST_WEIGHT);
    }
}

/** The clamping range of each task's magnitudes. */
async function magnitudeRanges(vectors: Vectors): Promise<Range[]> {
  const stream = async function* () {
    for await (const { taskVectors } of vectors()) yield taskVectors.map((tauN) => tauN.map((tau) => Math.abs(tau)));
  };
  const values = await valuesAtRanks(stream, (count) => [
    Math.floor(count * CLAMPED_SHARE),
    Math.floor(count * (1 - CLAMPED_SHARE) - 1),
  ]);
  return values.map(([low = 0, high = 0]) => ({ low, high }));
}

/** From the score that only `ratio` of the elements exceed to the highest, per task. */
async function scoreRanges(vectors: Vectors, magnitudes: readonly Range[], ratio: number): Promise<Range[]> {
  const stream = async function* () {
    for await (const piece of vectors()) yield pieceScores(piece, magnitudes);
  };
  const values = await valuesAtRanks(stream, (count) => [Math.floor(count * (1 - ratio)), count - 1]);
  return values.map(([low = 0, high = 0]) => ({ low, high }));
}

/** exp(K m^2) tanh(tau_t sum_s tau_s), m the magnitude's place in its range: K arrays of N, float32. */
function pieceScores({ taskVectors }: Pick<Piece, "taskVectors">, magnitudes: readonly Range[]): Float32Array[] {
  const tasks = taskVectors.length;
  const size = taskVectors[0]?.length ?? 0;
  const sumN = new Float64Array(size);
  for (const tauN of taskVectors) for (let i = 0; i < size; i++) sumN[i] = (sumN[i] ?? 0) + (tauN[i] ?? 0);
  return taskVectors.map((tauN, task) =>
    tauN.map((tau, i) => {
      const place = share(clamp(Math.abs(tau), magnitudes[task]), magnitudes[task]);
      return Math.exp(tasks * place ** 2) * Math.tanh(tau * (sumN[i] ?? 0));
    }),
  );
}

function clamp(value: number, range: Range | undefined): number {
  return Math.min(Math.max(value, range?.low ?? 0), range?.high ?? 0);
}

/** Where a value lies in a range: 0 at its low end or below, 1 at its high end; 0 in an empty range. */
function share(value: number, range: Range | undefined): number {
  const width = (range?.high ?? 0) - (range?.low ?? 0);
  return width === 0 ? 0 : (clamp(value, range) - (range?.low ?? 0)) / width;
}
