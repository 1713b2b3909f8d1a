/**
 * TIES-Merging (Yadav et al. 2023, arXiv:2306.01708): trim, elect signs, and take the mean or the sum of what agrees.
 * theta = theta0 + scale * tau_m. Source of the conventions: official code of ties-merging @44e7891 (top-k over the whole flattened model, zero
 * signs resolved to the majority sign). K tasks, N elements of a piece.
 */
import { z } from "zod";
import { magnitudeThresholds, trim } from "../magnitudes.js";
import { electSigns, majoritySign } from "../task-vector-processing.js";
import { addToBase, defineMethod, type MergeContext, type MergePiece, piecesOf, remember } from "./method.js";

const parameters = z.strictObject({
  density: z.number().gt(0).max(1).default(0.2).describe("Share of each task vector that is kept, by magnitude"),
  aggregation: z
    .enum(["sum", "mean"])
    .default("sum")
    .describe(
      "Of the elements that agree with the elected sign: sum (the papers' for images) or mean (the paper's for T5)",
    ),
  scale: z.number().default(0.3).describe("Weight of the merged task vector; 0.3 goes with sum, 1 with mean"),
});

/** Trims and elects in place, then sums or averages what is left, per element. */
export async function prepareTies(
  context: MergeContext,
  { density, aggregation, scale }: z.output<typeof parameters>,
): Promise<MergePiece> {
  const stream = () => piecesOf(context, "element");
  const find = async () => {
    const found = await magnitudeThresholds(stream, density);
    return { thresholds: found, majority: await majoritySign(stream, found) };
  };
  const { thresholds, majority } = await remember(context, "ties", find, { density });
  return (piece) => {
    const kept = [...piece.taskVectors];
    trim(kept, thresholds);
    electSigns(kept, majority);
    return addToBase(piece, (element) => {
      let [sum, count] = [0, 0];
      for (const tauN of kept) {
        const value = tauN[element] ?? 0;
        sum += value;
        if (value !== 0) count += 1;
      }
      return scale * (aggregation === "mean" ? sum / Math.max(1, count) : sum);
    });
  };
}

export const ties = defineMethod({
  name: "ties",
  title: "TIES-Merging",
  paper: "https://arxiv.org/abs/2306.01708",
  parameters,
  unit: "element",
  prepare: prepareTies,
});
