/** A random number for each element of a tensor, without state: pieces of any size, in any order, get the same ones. */

/**
 * A number in [0, 1) from a key and an index: two rounds of the 32-bit finaliser of MurmurHash3 (A. Appleby, public domain),
 * which needs no state, unlike the generator of runtime/rng.ts.
 */
export function uniformAt(key: number, index: number): number {
  const low = mix(key ^ (index >>> 0));
  return mix(low + Math.floor(index / 2 ** 32) + GOLDEN) / 2 ** 32;
}

/** 2^32 over the golden ratio, made odd. */
const GOLDEN = 0x9e3779b9;

function mix(value: number): number {
  let h = value >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

const WORD = 2 ** 32;

/**
 * Sets elements to 0, each with the probability 1 - density. `from` is the index of the first within its tensor; `key` is the tensor's own. One
 * round of the finaliser over a sequence by the golden ratio (as in SplitMix), since this is called for every element of large models.
 */
export function dropAtRandom(values: Float32Array, key: number, from: number, density: number): void {
  const border = density * WORD;
  const patterns = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let start = 0; start < values.length; ) {
    // The upper word of the index changes rarely, and is a part of the key.
    const high = Math.floor((from + start) / WORD);
    const end = Math.min(values.length, (high + 1) * WORD - from);
    const own = mix(key + high);
    const low = (from + start) % WORD;
    // Masked and not branched on: nobody can predict random numbers.
    for (let i = start; i < end; i++) {
      const kept = +(mix(own + Math.imul(low + i - start, GOLDEN)) < border) | 0;
      patterns[i] = (patterns[i] ?? 0) & -kept;
    }
    start = end;
  }
}
