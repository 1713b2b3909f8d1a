/**
 * Seeded random numbers: xoshiro128** 1.1 with a state hashed from keys, so that every stream is a pure
 * function of what it is for ("sampler", seed, task, epoch) and none depends on how often another was used.
 * Not for secrets. Source: D. Blackman, S. Vigna, "Scrambled linear pseudorandom number generators",
 * ACM TOMS 47(4), 2021; https://prng.di.unimi.it/xoshiro128starstar.c (public domain).
 */
import { createHash } from "node:crypto";
import { assert } from "../errors.js";

const TWO_32 = 2 ** 32;

export interface Rng {
  /** Uniform over the integers 0 .. 2^32 - 1. */
  nextUint32(): number;
  /** Uniform over [0, 1), with 53 random bits. */
  nextFloat(): number;
  /** Uniform over the integers 0 .. n - 1, without modulo bias; n is 1 .. 2^32. */
  nextInt(n: number): number;
  /** Standard normal (Box-Muller). Uses Math.log and Math.cos, so its last bit may differ between Node builds. */
  nextNormal(): number;
}

/**
 * A generator whose stream is fixed by `keys`: same keys, same numbers, on every machine. The number 1
 * and the text "1" are different keys, and so are ("ab", "c") and ("a", "bc"). Numbers must be finite.
 */
export function createRng(...keys: readonly (number | string)[]): Rng {
  const state = seedState(keys);
  const nextUint32 = () => step(state);
  // 27 + 26 bits, as in CPython's random(): every double of the form k / 2^53 is reachable.
  const nextFloat = () => ((nextUint32() >>> 5) * 2 ** 26 + (nextUint32() >>> 6)) / 2 ** 53;
  const nextInt = (n: number) => {
    assert(Number.isInteger(n) && n >= 1 && n <= TWO_32, `nextInt(n) needs an integer 1 .. 2^32, got ${n}`);
    // Draws above the largest multiple of n would favour small results.
    const limit = TWO_32 - (TWO_32 % n);
    let drawn = nextUint32();
    while (drawn >= limit) drawn = nextUint32();
    return drawn % n;
  };
  // 1 - u is in (0, 1], so the logarithm is finite.
  const nextNormal = () => Math.sqrt(-2 * Math.log(1 - nextFloat())) * Math.cos(2 * Math.PI * nextFloat());
  return { nextUint32, nextFloat, nextInt, nextNormal };
}

/** A uniformly random order of 0 .. n - 1 (Fisher-Yates, Durstenfeld's form). */
export function permutation(n: number, rng: Rng): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, index) => index);
  for (let last = n - 1; last > 0; last--) {
    const other = rng.nextInt(last + 1);
    const kept = order[last] ?? 0;
    order[last] = order[other] ?? 0;
    order[other] = kept;
  }
  return order;
}

/** The first 128 bits of SHA-256 over the keys as JSON, which keeps types and borders apart. */
function seedState(keys: readonly (number | string)[]): Uint32Array {
  for (const key of keys) assert(typeof key === "string" || Number.isFinite(key), `rng key ${key} is not finite`);
  const digest = createHash("sha256").update(JSON.stringify(keys)).digest();
  return Uint32Array.from({ length: 4 }, (_, word) => digest.readUInt32LE(4 * word));
}

/** One step of xoshiro128** 1.1; `state` is four words, not all zero, and is advanced in place. */
export function step(state: Uint32Array): number {
  // By index: destructuring goes through an iterator, which takes five times as long.
  const s0 = state[0] ?? 0;
  const s1 = state[1] ?? 0;
  const s2 = state[2] ?? 0;
  const s3 = state[3] ?? 0;
  const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0;
  const mixed2 = s2 ^ s0;
  const mixed3 = s3 ^ s1;
  state[0] = s0 ^ mixed3;
  state[1] = s1 ^ mixed2;
  state[2] = mixed2 ^ (s1 << 9);
  state[3] = rotateLeft(mixed3, 11);
  return result;
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
