/**
 * bfloat16 and binary16 (F16) to float32, exactly, and back to nearest even. `bits` are 16-bit patterns. Encoders return whether all values and
 * all results are finite; what others become does not matter, since nobody may write them.
 */

/** float32 exponents of infinities and NaN; magnitudes below it are finite. */
const INFINITY: i32 = 0x7f80_0000;
const MAGNITUDE: i32 = 0x7fff_ffff;

export function decodeBfloat16(bits: usize, values: usize, count: i32): void {
  const end = values + 4 * count;
  for (; values < end; values += 16, bits += 8) v128.store(values, i32x4.shl(v128.load_ext<u16>(bits), 16));
}

/**
 * Shifted to where float32 has exponent and mantissa, a pattern is the number times 2^-112, denormals too; infinities and NaN come out as
 * 65,536 and more.
 */
export function decodeFloat16(bits: usize, values: usize, count: i32): void {
  const end = values + 4 * count;
  const scale = f32x4.splat(reinterpret<f32>((127 + 112) << 23));
  for (; values < end; values += 16, bits += 8) {
    const half = v128.load_ext<u16>(bits);
    const sign = i32x4.shl(v128.and(half, i32x4.splat(0x8000)), 16);
    const scaled = f32x4.mul(i32x4.shl(v128.and(half, i32x4.splat(0x7fff)), 13), scale);
    const special = v128.and(f32x4.ge(scaled, f32x4.splat(65_536)), i32x4.splat(INFINITY));
    v128.store(values, v128.or(sign, v128.or(scaled, special)));
  }
}

export function encodeBfloat16(values: usize, bits: usize, count: i32): bool {
  const end = values + 4 * count;
  let largest = i32x4.splat(0);
  for (; values < end; values += 16, bits += 8) {
    const word = v128.load(values);
    const odd = v128.and(i32x4.shr_u(word, 16), i32x4.splat(1));
    const rounded = i32x4.shr_u(i32x4.add(word, i32x4.add(odd, i32x4.splat(0x7fff))), 16);
    const magnitude = v128.and(word, i32x4.splat(MAGNITUDE));
    const result = i32x4.shl(v128.and(rounded, i32x4.splat(0x7fff)), 16);
    largest = i32x4.max_s(largest, i32x4.max_s(magnitude, result));
    v128.store64_lane(bits, i16x8.narrow_i32x4_u(rounded, rounded), 0);
  }
  return allBelow(largest, INFINITY);
}

/** Bounds are float32 patterns: of 2^-14, the smallest normal number, and of 65,520, which rounds to infinity. */
export function encodeFloat16(values: usize, bits: usize, count: i32): bool {
  const end = values + 4 * count;
  const half = f32x4.splat(0.5);
  let largest = i32x4.splat(0);
  for (; values < end; values += 16, bits += 8) {
    const word = v128.load(values);
    const magnitude = v128.and(word, i32x4.splat(MAGNITUDE));
    largest = i32x4.max_s(largest, magnitude);
    const odd = v128.and(i32x4.shr_u(magnitude, 13), i32x4.splat(1));
    const normal = i32x4.shr_u(i32x4.add(magnitude, i32x4.sub(odd, i32x4.splat(0x3800_0000 - 0xfff))), 13);
    // Denormals count units of 2^-24, which is also the last bit of float32 from 0.5 on: the sum rounds as it should.
    const denormal = i32x4.sub(f32x4.add(magnitude, half), half);
    const isDenormal = i32x4.lt_s(magnitude, i32x4.splat(0x3880_0000));
    const sign = v128.and(i32x4.shr_u(word, 16), i32x4.splat(0x8000));
    const result = v128.or(sign, v128.bitselect(denormal, normal, isDenormal));
    v128.store64_lane(bits, i16x8.narrow_i32x4_u(result, result), 0);
  }
  return allBelow(largest, 0x477f_f000);
}

/** Nothing to encode. */
export function areFinite(values: usize, count: i32): bool {
  const end = values + 4 * count;
  let largest = i32x4.splat(0);
  for (; values < end; values += 16)
    largest = i32x4.max_s(largest, v128.and(v128.load(values), i32x4.splat(MAGNITUDE)));
  return allBelow(largest, INFINITY);
}

function allBelow(patterns: v128, bound: i32): bool {
  return i32x4.all_true(i32x4.lt_s(patterns, i32x4.splat(bound)));
}
