/** Corruptions against NumPy and Pillow on given noise (test/golden/make-corruptions.py), and what all of them promise. */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { flatten } from "../../../src/data/image/corruptions/contrast.js";
import { blurAlong } from "../../../src/data/image/corruptions/motion-blur.js";
import { addImpulses, addNoise } from "../../../src/data/image/corruptions/noise.js";
import { throughSmaller } from "../../../src/data/image/corruptions/pixelate.js";
import { corrupt, corruptions } from "../../../src/data/image/corruptions/registry.js";
import { coverWithMud } from "../../../src/data/image/corruptions/spatter.js";
import type { RgbImage } from "../../../src/data/image/resample.js";
import { type FixtureArrays, readFixture } from "../../conformance/fixture.js";

let arrays: FixtureArrays;
beforeAll(async () => {
  arrays = await readFixture(join("..", "golden", "corruptions", "fixture.safetensors"));
});

function imageOf(size: string): RgbImage {
  const [height = 0, width = 0] = arrays.shape(`${size}/image`);
  return { height, width, pixelsHWC: arrays.bytes(`${size}/image`) };
}

/** Mean and largest difference in levels. */
function difference(a: Uint8Array, b: Uint8Array): { mean: number; most: number } {
  const all = [...a].map((value, i) => Math.abs(value - (b[i] ?? 0)));
  return { mean: all.reduce((sum, value) => sum + value, 0) / all.length, most: Math.max(...all) };
}

describe.each([
  {
    size: "small",
    noise: 0.1,
    share: 0.07,
    flat: 0.15,
    pixels: 0.65,
    blur: [9, 2.5] as const,
    mud: [0.65, 0.1, 0.5, 0.68, 0.6],
  },
  {
    size: "large",
    noise: 0.38,
    share: 0.27,
    flat: 0.05,
    pixels: 0.25,
    blur: [20, 15] as const,
    mud: [0.67, 0.4, 1, 0.65, 1.5],
  },
])("a $size image", ({ size, noise, share, flat, pixels, blur, mud }) => {
  const at = (name: string) => (i: number) => arrays.floats(`${size}/${name}`)[i] ?? 0;
  const [mean = 0, deviation = 0, smoothing = 0, threshold = 0, edge = 0] = mud;
  it.each([
    ["gaussian_noise", (image: RgbImage) => addNoise(image, noise, at("normal")), 0],
    ["impulse_noise", (image: RgbImage) => addImpulses(image, share, at("uniform")), 0],
    // Float64 sums of another order may fall on the other side of a level.
    ["contrast", (image: RgbImage) => flatten(image, flat), 1],
    ["pixelate", (image: RgbImage) => throughSmaller(image, pixels), 0],
    ["motion_blur", (image: RgbImage) => blurAlong(image, blur[0], blur[1], 30), 1],
    [
      "spatter",
      (image: RgbImage) => coverWithMud(image, { mean, deviation, smoothing, threshold, edge }, at("plane")),
      1,
    ],
  ] as const)("%s is NumPy's and Pillow's", (name, work, most) => {
    const image = imageOf(size);
    const found = difference(work(image).pixelsHWC, arrays.bytes(`${size}/${name}`));
    expect(found.most).toBeLessThanOrEqual(most);
    expect(found.mean).toBeLessThan(0.01);
    expect(difference(image.pixelsHWC, arrays.bytes(`${size}/${name}`)).mean).toBeGreaterThan(1);
  });

  it("jpeg_compression is Pillow's but for the coders' rounding", async () => {
    const image = imageOf(size);
    const found = await corrupt(image, { name: "jpeg_compression", severity: 5, seed: 0 }, 0);
    const wanted = arrays.bytes(`${size}/jpeg_compression`);
    expect(difference(found.pixelsHWC, wanted).mean).toBeLessThan(0.5);
    expect(difference(image.pixelsHWC, wanted).mean).toBeGreaterThan(2);
  });
});

describe.each([...corruptions.values()])("$name", ({ name, severities = [1, 2, 3, 4, 5] }) => {
  const chosen = (severity: number, seed = 0) => ({ name, severity, seed });
  it("is the same for the same image, place and seed, and keeps size and image", async () => {
    const image = imageOf("large");
    const before = Uint8Array.from(image.pixelsHWC);
    const first = await corrupt(image, chosen(5), 3);
    expect(await corrupt(image, chosen(5), 3)).toEqual(first);
    expect(first).toMatchObject({ height: image.height, width: image.width });
    expect(first.pixelsHWC).toHaveLength(before.length);
    expect(image.pixelsHWC).toEqual(before);
    const isRandom = !["contrast", "pixelate", "jpeg_compression"].includes(name);
    const others = [await corrupt(image, chosen(5), 4), await corrupt(image, chosen(5, 1), 3)];
    for (const other of others) expect(difference(other.pixelsHWC, first.pixelsHWC).mean > 0).toBe(isRandom);
  });

  it("takes more away at the highest severity than at the lowest", async () => {
    for (const size of ["small", "large"]) {
      const image = imageOf(size);
      const lost: number[] = [];
      for (const severity of severities) {
        // Over several places, so that chance (an angle, where mud falls) evens out.
        let sum = 0;
        for (let place = 0; place < 24; place++) {
          const { pixelsHWC } = await corrupt(image, chosen(severity), place);
          sum += pixelsHWC.reduce((total, value, i) => total + (value - (image.pixelsHWC[i] ?? 0)) ** 2, 0);
        }
        lost.push(sum);
      }
      // Not with each: resampling by a factor near 1 does not lose evenly.
      expect(lost.at(-1), size).toBeGreaterThan(1.1 * (lost[0] ?? 0));
    }
  });
});

it("noise has the deviation it should, and impulses their share", async () => {
  const grey = { height: 200, width: 200, pixelsHWC: new Uint8Array(120_000).fill(128) };
  const noisy = await corrupt(grey, { name: "gaussian_noise", severity: 1, seed: 0 }, 0);
  const deviation = Math.sqrt(
    noisy.pixelsHWC.reduce((sum, value) => sum + (value + 0.5 - 128.5) ** 2, 0) / noisy.pixelsHWC.length,
  );
  expect(deviation / 255).toBeCloseTo(0.08, 2);
  const salted = await corrupt(grey, { name: "impulse_noise", severity: 5, seed: 0 }, 0);
  const share = (level: number) => salted.pixelsHWC.filter((value) => value === level).length / 120_000;
  for (const level of [0, 255]) expect(Math.abs(share(level) - 0.135)).toBeLessThan(0.005);
});

it("drops of water are not made, and that is said", async () => {
  await expect(corrupt(imageOf("small"), { name: "spatter", severity: 3, seed: 0 }, 0)).rejects.toThrow(
    "data.corruption_severity: expected one of 4, 5 with corruption spatter, found 3",
  );
});
