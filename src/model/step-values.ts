/**
 * How many values a transformer holds for one example at the peak of a step, forwards and backwards: what the estimate of a step's memory
 * (optimize/step-memory.ts) is made of. T tokens, D width, I inner width, H heads.
 */
import type { BlockConfig } from "./transformer-block.js";

/** Values of one token that a layer keeps for its gradient: sums, normalised values, queries, keys, values, outputs (13 D), the MLP (2 I). */
const KEPT_WIDTHS = 13;
const KEPT_INNER_WIDTHS = 2;
/** Values of one token in the layer under way, backwards: the slopes of the MLP. */
const PASSING_INNER_WIDTHS = 4;

/** Of an encoder of `layers` blocks over T tokens. */
export function transformerValues(
  { hiddenSize, intermediateSize, heads }: BlockConfig,
  layers: number,
  tokens: number,
): number {
  const kept = KEPT_WIDTHS * hiddenSize + KEPT_INNER_WIDTHS * intermediateSize + heads * tokens;
  const passing = PASSING_INNER_WIDTHS * intermediateSize + 2 * heads * tokens;
  return tokens * (layers * kept + passing);
}
