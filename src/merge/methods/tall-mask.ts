/**
 * Compression by TALL masks (Wang et al. 2024, arXiv:2405.07813): one merged task vector, and for each task a bit mask that brings its expert nearly back:
 * theta0 + m_t tau_mt with m_t = [ |tau_t| >= lambda |tau_mt - tau_t| ], tau_mt = sum of task vectors. Needs to know the task at
 * inference. Source: nik-dim/tall_masks @d10af8b. N elements of a piece.
 */
import { z } from "zod";
import { addToBase, defineMethod } from "./method.js";

export const tallMask = defineMethod({
  name: "tall_mask",
  title: "TALL masks (compressed experts)",
  paper: "https://arxiv.org/abs/2405.07813",
  parameters: z.strictObject({
    mask_threshold: z
      .number()
      .min(0)
      .default(0.4)
      .describe("lambda: how much of the others a task's own change must outweigh"),
  }),
  unit: "element",
  perTask: true,
  // The merged task vector beside the base, and a bit for each element and task.
  extraBytes: (elements, tasks) => elements * Float32Array.BYTES_PER_ELEMENT + tasks * Math.ceil(elements / 8),
  prepare:
    async (_context, { mask_threshold: threshold }) =>
    (piece, task = 0) => {
      const ownN = piece.taskVectors[task] ?? new Float32Array();
      return addToBase(piece, (element) => {
        let sum = 0;
        for (const tauN of piece.taskVectors) sum += tauN[element] ?? 0;
        const own = ownN[element] ?? 0;
        return Math.abs(own) >= threshold * Math.abs(sum - own) ? sum : 0;
      });
    },
});
