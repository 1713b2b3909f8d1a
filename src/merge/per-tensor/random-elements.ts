/**
 * Elements that are kept at random, without state: a number for each comes from a key and the element's index, so pieces of any size get the
 * same ones. One round of MurmurHash3's finaliser over a sequence by the golden ratio (as in SplitMix), less than random-element.ts does,
 * since it is done for every element of large models.
 */

import type { Kernels } from "../kernels/kernels.js";
import { mix } from "../random-element.js";

const WORD = 2 ** 32;

/** Sets elements to 0, each with the probability 1 - density. `from` is the index of the first within its tensor, a multiple of 4; `key` is the tensor's own. */
export function keepAtRandom(
  kernels: Pick<Kernels, "keepRandom">,
  values: Float32Array,
  key: number,
  from: number,
  density: number,
): void {
  // Random words below it are kept.
  const border = Math.ceil(density * WORD);
  if (border >= WORD) return;
  if (border === 0) {
    values.fill(0);
    return;
  }
  for (let start = 0; start < values.length; ) {
    // The upper word of the index changes rarely, and is a part of the key.
    const upper = Math.floor((from + start) / WORD);
    const end = Math.min(values.length, (upper + 1) * WORD - from);
    kernels.keepRandom(values.subarray(start, end), mix(key + upper), (from + start) % WORD, border - 1);
    start = end;
  }
}
