/**
 * The 8-bit float types of safetensors that hold plain values, to float32: E4M3 and E5M2, and their variants without
 * infinities and negative zero (FNUZ). Decoding only, and exact: every value of 8 bits is one of float32. Not here:
 * E8M0, which only scales of quantised weights have. Source: Micikevicius et al. 2022 (arXiv 2209.05433), and PyTorch's
 * c10/util/Float8_*.h.
 */

interface Layout {
  readonly mantissaBits: number;
  readonly bias: number;
  /** What stands for infinities and NaN, by the pattern without its sign. */
  readonly special: (magnitude: number, isNegative: boolean) => number | undefined;
}

const nanAtNegativeZero = (magnitude: number, isNegative: boolean) =>
  magnitude === 0 && isNegative ? Number.NaN : undefined;

const LAYOUTS: ReadonlyMap<string, Layout> = new Map([
  // No infinities: only the largest pattern is NaN, and 448 the largest number.
  ["F8_E4M3", { mantissaBits: 3, bias: 7, special: (magnitude) => (magnitude === 0x7f ? Number.NaN : undefined) }],
  // As IEEE types: the last exponent is for infinity and NaN.
  [
    "F8_E5M2",
    {
      mantissaBits: 2,
      bias: 15,
      special: (magnitude, isNegative) => {
        if (magnitude < 0x7c) return undefined;
        if (magnitude > 0x7c) return Number.NaN;
        return isNegative ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
      },
    },
  ],
  ["F8_E4M3FNUZ", { mantissaBits: 3, bias: 8, special: nanAtNegativeZero }],
  ["F8_E5M2FNUZ", { mantissaBits: 2, bias: 16, special: nanAtNegativeZero }],
]);

/** Made at the first use, 1 KB each. */
const tables = new Map<string, Float32Array>();

/** Whether `decodeFloat8Into` reads this dtype. */
export function isFloat8(dtype: string): boolean {
  return LAYOUTS.has(dtype);
}

/** Decodes patterns of a type that `isFloat8`, into `values` of the same length. */
export function decodeFloat8Into(dtype: string, bits: Uint8Array, values: Float32Array): void {
  const table = tableOf(dtype);
  for (let i = 0; i < bits.length; i++) values[i] = table[bits[i] ?? 0] ?? 0;
}

function tableOf(dtype: string): Float32Array {
  const known = tables.get(dtype);
  if (known !== undefined) return known;
  const layout = LAYOUTS.get(dtype);
  const table = Float32Array.from({ length: 256 }, (_, bits) => (layout === undefined ? 0 : valueOfBits(bits, layout)));
  tables.set(dtype, table);
  return table;
}

function valueOfBits(bits: number, { mantissaBits, bias, special }: Layout): number {
  const [magnitude, isNegative] = [bits & 0x7f, bits > 0x7f];
  const found = special(magnitude, isNegative);
  if (found !== undefined) return found;
  const exponent = magnitude >> mantissaBits;
  const mantissa = (magnitude & ((1 << mantissaBits) - 1)) / 2 ** mantissaBits;
  const value = exponent === 0 ? mantissa * 2 ** (1 - bias) : (1 + mantissa) * 2 ** (exponent - bias);
  return isNegative ? -value : value;
}
