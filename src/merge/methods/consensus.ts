/**
 * Consensus merging by TALL masks (Wang et al. 2024, arXiv:2405.07813): keep the elements of the merged task vector that at least k tasks
 * need. m_t = [ |tau_t| >= lambda |tau_mt - tau_t| ], tau_mt = sum of task vectors. Source: nik-dim/tall_masks @d10af8b.
 */
import { z } from "zod";
import { addToBase, defineMethod } from "./method.js";

export const consensus = defineMethod({
  name: "consensus",
  title: "Consensus merging (TALL masks)",
  paper: "https://arxiv.org/abs/2405.07813",
  parameters: z.strictObject({
    mask_threshold: z
      .number()
      .min(0)
      .default(0.4)
      .describe("lambda: how much of the others a task's own change must outweigh"),
    min_tasks: z.int().min(1).default(2).describe("Elements that fewer tasks need are dropped"),
    scale: z.number().default(0.3).describe("Weight of the merged task vector"),
  }),
  unit: "element",
  prepare:
    async (_context, { mask_threshold, min_tasks, scale }) =>
    (piece) => {
      const keptN = consensusMask(piece.taskVectors, mask_threshold, min_tasks);
      return addToBase(piece, (element) => {
        if (keptN[element] === 0) return 0;
        return scale * piece.taskVectors.reduce((sum, tauN) => sum + (tauN[element] ?? 0), 0);
      });
    },
});

/** 1 where at least `minTasks` tasks have |tau_t| >= threshold |sum of the others|: [N]. */
export function consensusMask(taskVectors: readonly Float32Array[], threshold: number, minTasks: number): Uint8Array {
  return Uint8Array.from({ length: taskVectors[0]?.length ?? 0 }, (_, element) => {
    let sum = 0;
    for (const tauN of taskVectors) sum += tauN[element] ?? 0;
    let active = 0;
    for (const tauN of taskVectors) {
      const tau = tauN[element] ?? 0;
      if (Math.abs(tau) >= threshold * Math.abs(sum - tau)) active += 1;
    }
    return active >= minTasks ? 1 : 0;
  });
}
