/**
 * Which elements are kept: the largest by magnitude, or each at random; others become 0. Magnitudes of float32 are compared as bit patterns
 * without the sign, whose order is theirs.
 */

const MAGNITUDE: i32 = 0x7fff_ffff;
const LOWER_BITS: i32 = 15;

/** Adds to the table of 2^16 counts (float64) how often each upper half of a magnitude occurs. */
export function countUpper(values: usize, count: i32, table: usize): void {
  for (const end = values + 4 * count; values < end; values += 4)
    addOne(table, (load<u32>(values) & MAGNITUDE) >>> LOWER_BITS);
}

/** Adds to the table of 2^15 counts how often each lower half occurs beside the upper half `upper`. */
export function countLower(values: usize, count: i32, upper: i32, table: usize): void {
  for (const end = values + 4 * count; values < end; values += 16) {
    const halves = i32x4.shr_u(v128.and(v128.load(values), i32x4.splat(MAGNITUDE)), LOWER_BITS);
    // Few have it: whole vectors are looked at first.
    let found = i32x4.bitmask(i32x4.eq(halves, i32x4.splat(upper)));
    for (; found !== 0; found &= found - 1)
      addOne(table, load<u32>(values + ((<usize>ctz(found)) << 2)) & ((1 << LOWER_BITS) - 1));
  }
}

function addOne(table: usize, bin: u32): void {
  const place = table + ((<usize>bin) << 3);
  store<f64>(place, load<f64>(place) + 1);
}

/**
 * Sets to 0 what is below `border`, and what equals it but for the first `equalOnes`. Returns how many of those are still to come behind
 * these elements.
 */
export function keepLargest(values: usize, count: i32, border: i32, equalOnes: i32): i32 {
  const end = values + 4 * count;
  // Whole vectors while all that equal it are kept, then one element after another until none is left to keep, then vectors again.
  for (; values < end && equalOnes >= 4; values += 16) {
    const patterns = v128.load(values);
    const magnitudes = v128.and(patterns, i32x4.splat(MAGNITUDE));
    v128.store(values, v128.and(patterns, i32x4.ge_s(magnitudes, i32x4.splat(border))));
    equalOnes -= popcnt(i32x4.bitmask(i32x4.eq(magnitudes, i32x4.splat(border))));
  }
  for (; values < end && (equalOnes > 0 || (values & 15) !== 0); values += 4) {
    const magnitude = <i32>(load<u32>(values) & MAGNITUDE);
    if (magnitude > border) continue;
    if (magnitude === border && equalOnes > 0) equalOnes -= 1;
    else store<u32>(values, 0);
  }
  for (; values < end; values += 16) {
    const patterns = v128.load(values);
    const magnitudes = v128.and(patterns, i32x4.splat(MAGNITUDE));
    v128.store(values, v128.and(patterns, i32x4.gt_s(magnitudes, i32x4.splat(border))));
  }
  return equalOnes;
}

/** 2^32 over the golden ratio, made odd. */
const GOLDEN: i32 = 0x9e37_79b9;

/**
 * Sets to 0 the elements whose random number is above `last`. It is the finaliser of MurmurHash3 over a sequence by the golden ratio (as in
 * SplitMix) from `start` on: `index` is the place of the first element in the sequence.
 */
export function keepRandom(values: usize, count: i32, start: i32, index: i32, last: u32): void {
  const end = values + 4 * count;
  const first = start + index * GOLDEN;
  let state = i32x4.add(i32x4.splat(first), i32x4(0, GOLDEN, 2 * GOLDEN, 3 * GOLDEN));
  for (; values < end; values += 16) {
    const kept = i32x4.le_u(mix(state), i32x4.splat(last));
    v128.store(values, v128.and(v128.load(values), kept));
    state = i32x4.add(state, i32x4.splat(4 * GOLDEN));
  }
}

/** The finaliser of MurmurHash3 (A. Appleby, public domain). */
function mix(state: v128): v128 {
  let hash = i32x4.mul(v128.xor(state, i32x4.shr_u(state, 16)), i32x4.splat(0x85eb_ca6b));
  hash = i32x4.mul(v128.xor(hash, i32x4.shr_u(hash, 13)), i32x4.splat(0xc2b2_ae35));
  return v128.xor(hash, i32x4.shr_u(hash, 16));
}
