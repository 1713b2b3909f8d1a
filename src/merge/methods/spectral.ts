/**
 * Methods on the singular vectors of weight matrices. TSV-M (Gargiulo et al. 2025, arXiv:2412.00081): keep the leading vectors of each
 * task and make them orthogonal between tasks. ISO-C (Marczak et al. 2025, arXiv:2502.04959): sum, then make all directions
 * equally strong. Iso-CTS (of the same paper) and SVC (Li et al. 2026, arXiv:2602.05536) are in isotropic-subspaces.ts and
 * calibrated-parts.ts. Tensors that are not matrices are averaged. R rows, C columns, S singular values, K tasks.
 */
import { z } from "zod";
import { calibratedParts } from "../calibrated-parts.js";
import { isotropicParts, sumOf } from "../isotropic-subspaces.js";
import { orthogonalSum } from "../orthogonal-task-vectors.js";
import { polarFactor } from "../singular-triples.js";
import { addToBase, defineMethod, type MergeContext, type MergePiece, type Piece } from "./method.js";

type ChangeOf = (taskVectors: readonly Float32Array[], columns: number) => Float64Array;

/** theta0 + scale * (change of a matrix, or mean of the task vectors of anything else). */
function matrixMethod({ changes }: MergeContext, scale: number, changeOf: ChangeOf): MergePiece {
  return (piece) => {
    const { shape } = piece.tensor;
    if (shape.length !== 2) return addToBase(piece, (element) => scale * mean(piece, element));
    // Rounded whether it is kept or not, so that a search finds the numbers that a merge will have.
    const compute = (): Float32Array => Float32Array.from(changeOf(piece.taskVectors, shape[1] ?? 1));
    const change = changes?.changeOf(piece.tensor.name, compute) ?? compute();
    return addToBase(piece, (element) => scale * (change[element] ?? 0));
  };
}

function mean({ taskVectors }: Piece, element: number): number {
  return taskVectors.reduce((sum, tauN) => sum + (tauN[element] ?? 0), 0) / taskVectors.length;
}

const scale = z.number().default(1).describe("Weight of the merged task vector");

export const tsvM = defineMethod({
  name: "tsv_m",
  title: "TSV-M",
  paper: "https://arxiv.org/abs/2412.00081",
  parameters: z.strictObject({ scale }),
  unit: "tensor",
  prepare: async (context, { scale }) => matrixMethod(context, scale, orthogonalSum),
});

export const isoC = defineMethod({
  name: "iso_c",
  title: "ISO-C",
  paper: "https://arxiv.org/abs/2502.04959",
  parameters: z.strictObject({ scale }),
  unit: "tensor",
  prepare: async (context, { scale }) => matrixMethod(context, scale, isotropicSum),
});

export const isoCts = defineMethod({
  name: "iso_cts",
  title: "Iso-CTS",
  paper: "https://arxiv.org/abs/2502.04959",
  parameters: z.strictObject({
    scale,
    common: z
      .number()
      .min(0)
      .max(1)
      .default(0.8)
      .describe("Share of the directions that are the sum's; others are the tasks'"),
  }),
  unit: "tensor",
  prepare: async (context, { scale, common }) =>
    matrixMethod(context, scale, (taskVectors, columns) => sumOf(isotropicParts(taskVectors, columns, common))),
});

export const svc = defineMethod({
  name: "svc",
  title: "SVC",
  paper: "https://arxiv.org/abs/2602.05536",
  parameters: z.strictObject({
    scale,
    floor: z.number().gt(0).default(0.1).describe("Least by which a task counts along a direction"),
  }),
  unit: "tensor",
  prepare: async (context, { scale, floor }) =>
    matrixMethod(context, scale, (taskVectors, columns) => sumOf(calibratedParts(taskVectors, columns, floor))),
});

/**
 * The sum of the task vectors with every singular value replaced by the mean of all. Directions that the sum lacks, as
 * sums of few adapters do, stay empty: the official code gives them the same weight, in a basis that is noise.
 */
function isotropicSum(taskVectors: readonly Float32Array[], columns: number): Float64Array {
  const sumRC = new Float64Array(taskVectors[0]?.length ?? 0);
  for (const tauRC of taskVectors)
    for (let index = 0; index < sumRC.length; index++) sumRC[index] = (sumRC[index] ?? 0) + (tauRC[index] ?? 0);
  const { factorRC, sum } = polarFactor(sumRC, columns, "float32 difference");
  const average = sum / Math.min(columns, sumRC.length / columns);
  return factorRC.map((value) => value * average);
}
