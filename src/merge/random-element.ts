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

/** The finaliser; of 32 bits, without a sign. */
export function mix(value: number): number {
  let h = value >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
