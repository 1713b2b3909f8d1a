/**
 * SCE of FuseChat (Wan et al. 2024, arXiv:2408.07990): select the elements of a tensor whose task vectors vary most, weigh the tasks by their
 * squared change there, erase what disagrees with the majority sign. Source of the conventions: mergekit's `sce`. K tasks,
 * N elements of one tensor.
 */
import { z } from "zod";
import { addToBase, defineMethod } from "./method.js";

export const sce = defineMethod({
  name: "sce",
  title: "SCE (FuseChat)",
  paper: "https://arxiv.org/abs/2408.07990",
  parameters: z.strictObject({
    select_topk: z
      .number()
      .gt(0)
      .max(1)
      .default(1)
      .describe("Share of each tensor that is selected, by variance over the tasks"),
    scale: z.number().default(1).describe("Weight of the merged task vector"),
  }),
  unit: "tensor",
  prepare:
    async (_context, { select_topk, scale }) =>
    (piece) => {
      if (select_topk < 1) select(piece.taskVectors, select_topk);
      const weightsK = taskWeights(piece.taskVectors);
      return addToBase(piece, (element) => {
        let total = 0;
        for (const tauN of piece.taskVectors) total += tauN[element] ?? 0;
        const positive = total >= 0;
        let [sum, weight] = [0, 0];
        for (const [task, tauN] of piece.taskVectors.entries()) {
          const tau = tauN[element] ?? 0;
          if (tau === 0 || tau > 0 !== positive) continue;
          sum += (weightsK[task] ?? 0) * tau;
          weight += weightsK[task] ?? 0;
        }
        return weight === 0 ? 0 : (scale * sum) / weight;
      });
    },
});

/** Sets to 0, in all tasks, the elements that are not among the share of largest variance, of equal ones the first; elements without variance never are. */
function select(taskVectors: readonly Float32Array[], share: number): void {
  const variancesN = variancesOf(taskVectors);
  const varied = variancesN.reduce((count, variance) => (variance > 0 ? count + 1 : count), 0);
  const selected = Math.floor(varied * share);
  const descending = variancesN.toSorted().reverse();
  const border = descending[selected - 1] ?? Number.POSITIVE_INFINITY;
  let equalOnes = selected - descending.indexOf(border);
  for (const [element, variance] of variancesN.entries()) {
    if (variance > border || (variance === border && equalOnes-- > 0)) continue;
    for (const tauN of taskVectors) tauN[element] = 0;
  }
}

function variancesOf(taskVectors: readonly Float32Array[]): Float64Array {
  const variancesN = new Float64Array(taskVectors[0]?.length ?? 0);
  for (let element = 0; element < variancesN.length; element++) {
    const mean = taskVectors.reduce((sum, tauN) => sum + (tauN[element] ?? 0), 0) / taskVectors.length;
    variancesN[element] =
      taskVectors.reduce((sum, tauN) => sum + ((tauN[element] ?? 0) - mean) ** 2, 0) / taskVectors.length;
  }
  return variancesN;
}

/** Mean square of each task's vector over the tensor, divided by their sum; equal weights when nothing changed. */
function taskWeights(taskVectors: readonly Float32Array[]): number[] {
  const squares = taskVectors.map((tauN) => tauN.reduce((sum, tau) => sum + tau * tau, 0));
  const total = squares.reduce((sum, square) => sum + square, 0);
  return squares.map((square) => (total === 0 ? 1 / squares.length : square / total));
}
