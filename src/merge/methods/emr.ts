/**
 * EMR-Merging (Huang et al. 2024, arXiv:2405.17461): one unified task vector, and for each task a bit mask and a factor that
 * bring its expert nearly back. Needs to know the task at inference. K tasks, N elements of a piece.
 */
import { z } from "zod";
import { addToBase, defineMethod, type MergeContext, type Piece, piecesOf, remember } from "./method.js";

export const emr = defineMethod({
  name: "emr",
  title: "EMR-Merging",
  paper: "https://arxiv.org/abs/2405.17461",
  parameters: z.strictObject({}),
  unit: "element",
  perTask: true,
  // A bit for each element and task, and a factor for each task.
  extraBytes: (elements, tasks) => tasks * (Math.ceil(elements / 8) + 4),
  prepare: async (context) => {
    const factors = await remember(context, "emr", () => rescalers(context));
    return (piece, task = 0) => {
      const unifiedN = unified(piece);
      const tauN = piece.taskVectors[task] ?? new Float32Array();
      const factor = factors[task] ?? 0;
      return addToBase(piece, (i) => ((tauN[i] ?? 0) * (unifiedN[i] ?? 0) > 0 ? factor * (unifiedN[i] ?? 0) : 0));
    };
  },
});

/** What the masked unified vector of each task is multiplied with. */
async function rescalers(context: MergeContext): Promise<number[]> {
  const own = context.source.tasks.map(() => 0);
  const kept = context.source.tasks.map(() => 0);
  for await (const piece of piecesOf(context, "element")) {
    const unifiedN = unified(piece);
    for (const [task, tauN] of piece.taskVectors.entries())
      for (let i = 0; i < tauN.length; i++) {
        const [tau, one] = [tauN[i] ?? 0, unifiedN[i] ?? 0];
        own[task] = (own[task] ?? 0) + Math.abs(tau);
        if (tau * one > 0) kept[task] = (kept[task] ?? 0) + Math.abs(one);
      }
  }
  return own.map((sum, task) => (kept[task] ? sum / kept[task] : 0));
}

/** Per element the sign of the sum with the largest magnitude among the task vectors of that sign. */
function unified({ taskVectors, baseN }: Piece): Float64Array {
  return Float64Array.from({ length: baseN.length }, (_, i) => {
    const sign = Math.sign(taskVectors.reduce((sum, tauN) => sum + (tauN[i] ?? 0), 0));
    return sign * taskVectors.reduce((most, tauN) => Math.max(most, sign * (tauN[i] ?? 0)), 0);
  });
}
