/** Decoding and encoding of halves in kernels against checkpoint/float16.ts, which is compared with numpy and PyTorch elsewhere. */
import { beforeEach, describe, expect, it } from "vitest";
import {
  decodeBfloat16,
  decodeFloat16,
  encodeBfloat16Into,
  encodeFloat16Into,
} from "../../../src/checkpoint/float16.js";
import { loadKernels } from "../../../src/merge/kernels/kernels.js";
import { createRng } from "../../../src/runtime/rng.js";

const kernels = loadKernels(1 << 21);
beforeEach(kernels.memory.release);

const PATTERNS = 1 << 16;
const rows = [
  { dtype: "BF16", decode: decodeBfloat16, encode: encodeBfloat16Into },
  { dtype: "F16", decode: decodeFloat16, encode: encodeFloat16Into },
] as const;

/** float32 with the patterns. */
function floats(patterns: readonly number[]): Float32Array {
  return new Float32Array(Uint32Array.from(patterns).buffer);
}

describe.each(rows)("$dtype", ({ dtype, decode, encode }) => {
  it("decodes every pattern", () => {
    const bits = kernels.memory.halves(PATTERNS);
    bits.set(Array.from({ length: PATTERNS }, (_, pattern) => pattern));
    const values = kernels.memory.floats(PATTERNS);
    kernels.decode(dtype, bits, values);
    for (const [pattern, expected] of decode(bits).entries())
      if (!Object.is(values[pattern], expected)) expect([pattern, values[pattern]]).toEqual([pattern, expected]);
  });

  /** Every half, its neighbours in float32, and what lies between two halves and beside it; and others. */
  const finite = (): Float32Array => {
    const rng = createRng(3, dtype);
    const halves = Float32Array.from(decode(Uint16Array.from({ length: PATTERNS }, (_, pattern) => pattern)));
    const words = new Uint32Array(halves.buffer);
    const middles = dtype === "BF16" ? [0x8000] : [0x1000];
    const near = [...words].flatMap((word) =>
      [0, ...middles].flatMap((middle) => [word + middle - 1, word + middle, word + middle + 1]),
    );
    const any = Array.from({ length: PATTERNS }, () => rng.nextUint32());
    // Denormals of binary16 are coarser than what lies near them here.
    const small = Array.from({ length: PATTERNS }, () => 0x3200_0000 + rng.nextInt(0x0700_0000));
    return floats([...near, ...any, ...small].map((word) => word >>> 0));
  };

  it("encodes to nearest even, and says what is not finite", () => {
    const length = 4;
    const [own, bits] = [kernels.memory.floats(length), kernels.memory.halves(length)];
    const expected = new Uint16Array(length);
    const values = finite();
    let [compared, refused] = [0, 0];
    for (let from = 0; from + length <= values.length; from += length) {
      own.set(values.subarray(from, from + length));
      const allFinite = encode(own, expected);
      const found = kernels.encode(dtype, own, bits);
      if (found !== allFinite) expect([[...own], found]).toEqual([[...own], allFinite]);
      if (!allFinite) refused += 1;
      else if (bits.join() === expected.join()) compared += 1;
      else expect([[...own], [...bits]]).toEqual([[...own], [...expected]]);
    }
    expect(compared).toBeGreaterThan(50_000);
    expect(refused).toBeGreaterThan(100);
  });
});

it("finds what is not finite in float32", () => {
  for (const [value, expected] of [
    [1, true],
    [3.4e38, true],
    [Number.NaN, false],
    [Number.POSITIVE_INFINITY, false],
    [Number.NEGATIVE_INFINITY, false],
  ] as const) {
    const own = kernels.memory.floats(7);
    own[6] = value;
    expect(kernels.areFinite(own), String(value)).toBe(expected);
  }
});
