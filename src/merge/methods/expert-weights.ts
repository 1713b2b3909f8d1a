/** Whole models in memory, for methods that run them: an expert's weights, and the plain mean of tensors. */
import { ConfigError } from "../../errors.js";
import type { MergeContext, MergePiece, ModelProbe, Piece, Weights } from "./method.js";

/** The context's probe. Throws ConfigError where there is none: when a merge has weights but no examples. */
export function requireProbe({ probe }: MergeContext, method: string): ModelProbe {
  if (probe !== undefined) return probe;
  throw new ConfigError(
    `method ${method}: expected unlabelled examples of every task, found none; it works on a suite only`,
  );
}

/** theta0 + tau of one task, tensor by tensor. */
export async function expertWeights(context: MergeContext, task: number): Promise<Map<string, Float32Array>> {
  const weights = new Map((await context.unchanged?.()) ?? []);
  const { source } = context;
  for (const tensor of source.tensors) weights.set(tensor.name, await source.readExpert(tensor, task));
  return weights;
}

/** The expert's values of a piece [N]. */
export function expertOf({ baseN, taskVectors }: Piece, task: number): Float32Array {
  const tauN = taskVectors[task];
  return baseN.map((value, element) => value + (tauN?.[element] ?? 0));
}

/** The mean of the experts' values of a piece [N]. */
export function meanOfExperts({ baseN, taskVectors }: Piece): Float32Array {
  return baseN.map(
    (value, element) =>
      value + taskVectors.reduce((sum, tauN) => sum + (tauN[element] ?? 0), 0) / Math.max(1, taskVectors.length),
  );
}

/** Merges tensors that are in `merged` by looking them up, and all others by their mean. */
export function lookedUp(merged: Weights): MergePiece {
  return (piece) => {
    const values = merged.get(piece.tensor.name);
    return values === undefined
      ? meanOfExperts(piece)
      : values.subarray(piece.from, piece.from + piece.baseN.length).slice();
  };
}
