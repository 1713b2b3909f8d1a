/** Bytes of the heads that a fit learned: what is kept beside one model to answer for every task. */
import { learnedHeads } from "../../config/stages.js";
import { sizeOf } from "../../engine/program.js";
import { headSpecs } from "../../model/head-program.js";
import type { Head } from "../../model/heads.js";
import { learnedHeadNames } from "../../optimize/learned-heads.js";

/** Of the numbers, as a file has them; 0 where all heads are the suite's. */
export function learnedHeadBytes(heads: readonly Head[], config: Parameters<typeof learnedHeads>[0]): number {
  const names = new Set(learnedHeads(config).flatMap((learned) => learnedHeadNames(heads, learned)));
  const sizes = headSpecs(heads).map(([name, { shape }]) => (names.has(name) ? sizeOf(shape) : 0));
  return Float32Array.BYTES_PER_ELEMENT * sizes.reduce((sum, size) => sum + size, 0);
}
