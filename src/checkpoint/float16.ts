/**
 * Half-precision codecs: IEEE binary16 (F16) and bfloat16 (BF16) bit patterns to and from float32. Node 20
 * has no Float16Array. Encoding rounds to nearest, ties to even, keeps denormals, infinities and NaN, and
 * turns what is too large into infinity (the writer of checkpoints refuses that, this file does not).
 */

/** float32 of each of the 65,536 binary16 patterns; made at the first use, 256 KB. */
let float16Table: Float32Array | undefined;

/** Decodes binary16 bit patterns; exact. Element i of the result is element i of `bits`. */
export function decodeFloat16(bits: Uint16Array): Float32Array {
  const values = new Float32Array(bits.length);
  decodeFloat16Into(bits, values);
  return values;
}

/** The same into `values`, which has the length of `bits`. */
export function decodeFloat16Into(bits: Uint16Array, values: Float32Array): void {
  float16Table ??= makeFloat16Table();
  const table = float16Table;
  for (let i = 0; i < bits.length; i++) values[i] = table[bits[i] ?? 0] ?? 0;
}

/** Encodes float32 as binary16, to nearest even; magnitudes from 65,520 become infinity. */
export function encodeFloat16(values: Float32Array): Uint16Array {
  const bits = new Uint16Array(values.length);
  encodeFloat16Into(values, bits);
  return bits;
}

/** The same into `bits`, which has the length of `values`. Returns whether all results are finite. */
export function encodeFloat16Into(values: Float32Array, bits: Uint16Array): boolean {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  let allFinite = true;
  for (let i = 0; i < words.length; i++) {
    const half = float16Bits(words[i] ?? 0);
    bits[i] = half;
    if ((half & 0x7c00) === 0x7c00) allFinite = false;
  }
  return allFinite;
}

/** Decodes bfloat16 bit patterns, the upper halves of float32; exact. */
export function decodeBfloat16(bits: Uint16Array): Float32Array {
  const values = new Float32Array(bits.length);
  decodeBfloat16Into(bits, values);
  return values;
}

/** The same into `values`, which has the length of `bits`. */
export function decodeBfloat16Into(bits: Uint16Array, values: Float32Array): void {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < bits.length; i++) words[i] = (bits[i] ?? 0) << 16;
}

/** Encodes float32 as bfloat16, to nearest even; NaN stays NaN. */
export function encodeBfloat16(values: Float32Array): Uint16Array {
  const bits = new Uint16Array(values.length);
  encodeBfloat16Into(values, bits);
  return bits;
}

/** The same into `bits`, which has the length of `values`. Returns whether all results are finite. */
export function encodeBfloat16Into(values: Float32Array, bits: Uint16Array): boolean {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  let allFinite = true;
  for (let i = 0; i < bits.length; i++) {
    const word = words[i] ?? 0;
    const rounded = (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
    bits[i] = rounded;
    const isNan = (word & 0x7fff_ffff) > 0x7f80_0000;
    if ((rounded & 0x7f80) !== 0x7f80 && !isNan) continue;
    allFinite = false;
    // Rounding a NaN could carry into infinity or zero; setting the quiet bit cannot.
    if (isNan) bits[i] = (word >>> 16) | 0x40;
  }
  return allFinite;
}

function makeFloat16Table(): Float32Array {
  const table = new Float32Array(65_536);
  const words = new Uint32Array(table.buffer);
  for (let half = 0; half < 65_536; half++) {
    const sign = (half & 0x8000) << 16;
    const exponent = (half >>> 10) & 0x1f;
    const mantissa = half & 0x3ff;
    if (exponent === 0) {
      table[half] = mantissa * 2 ** -24;
      words[half] = (words[half] ?? 0) | sign;
    } else {
      const wide = exponent === 0x1f ? 0xff : exponent + 112;
      words[half] = sign | (wide << 23) | (mantissa << 13);
    }
  }
  return table;
}

/** `word` is a float32 pattern. The bounds are float32 patterns of 65,520, 2^-14 and 2^-25. */
function float16Bits(word: number): number {
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fff_ffff;
  if (magnitude > 0x7f80_0000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x1ff);
  if (magnitude >= 0x477f_f000) return sign | 0x7c00;
  if (magnitude >= 0x3880_0000) {
    return sign | ((magnitude + 0xfff + ((magnitude >>> 13) & 1) - 0x3800_0000) >>> 13);
  }
  if (magnitude <= 0x3300_0000) return sign;
  // A denormal counts units of 2^-24: shift the full 24-bit mantissa down and round what falls off.
  const shift = 126 - (magnitude >>> 23);
  const mantissa = (magnitude & 0x7f_ffff) | 0x80_0000;
  const quotient = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  const up = rest > half || (rest === half && (quotient & 1) === 1);
  return sign | (up ? quotient + 1 : quotient);
}
