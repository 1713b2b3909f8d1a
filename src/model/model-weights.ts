/** A model's tensors as its forward pass asks for them: whole, or some rows of a table. */
import type { LowRankFactors } from "../engine/ops/low-rank-linear.js";
import { type Tensor, tf } from "../engine/tf.js";

/** A model's tensors while its forward pass is built, merged as they are asked for. */
export interface ModelWeights {
  /** A tensor by its canonical name. */
  get(name: string): Tensor;
  /**
   * Rows of a table [V, D] (a tensor with `isTable`) by their numbers, int32 [...]: [..., D]. Not `get` and a gathering: of merged weights only
   * these rows are merged, since gathering is linear.
   */
  rows(name: string, numbers: Tensor): Tensor;
  /**
   * Factors whose product is added to the matrix of a linear layer (a tensor with `sharesInput`), where it has some; `get`
   * gives the matrix without it.
   */
  factors?(name: string): LowRankFactors | undefined;
}

/** Weights that are there as they are. */
export function plainWeights(get: (name: string) => Tensor): ModelWeights {
  return { get, rows: (name, numbers) => tf.gather(get(name), numbers) };
}
