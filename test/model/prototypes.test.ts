/** Class prototypes against their definition, and the logit scale against a search of the same loss written out. */
import { describe, expect, it } from "vitest";
import { classPrototypes } from "../../src/model/prototypes.js";
import { createRng } from "../../src/runtime/rng.js";

const CLASSES = 3;
const SIZE = 5;
const IMAGES = 24;

/** Noisy directions of length 1, a class each third. */
function features(noise: number): { featuresNE: Float32Array; labelsN: Int32Array } {
  const random = createRng("prototypes", noise);
  const labelsN = Int32Array.from({ length: IMAGES }, (_, image) => image % CLASSES);
  const rows = Array.from(labelsN, (label) => {
    const row = Array.from({ length: SIZE }, (_, e) => (e === label ? 1 : 0.3) + noise * (random.nextFloat() - 0.5));
    const length = Math.hypot(...row);
    return row.map((value) => value / length);
  });
  return { featuresNE: Float32Array.from(rows.flat()), labelsN };
}

describe("class prototypes", () => {
  it("are the centred means at length 1, and the bias takes the centre away", () => {
    const { featuresNE, labelsN } = features(0.5);
    const made = classPrototypes(featuresNE, labelsN, CLASSES, 7);
    const feature = (image: number) => [...featuresNE.subarray(image * SIZE, (image + 1) * SIZE)];
    const means = Array.from({ length: CLASSES }, (_, c) => {
      const own = Array.from(labelsN.keys()).filter((image) => labelsN[image] === c);
      return Array.from({ length: SIZE }, (_, e) => own.reduce((sum, i) => sum + (feature(i)[e] ?? 0), 0) / own.length);
    });
    const centre = Array.from({ length: SIZE }, (_, e) => means.reduce((sum, mean) => sum + (mean[e] ?? 0), 0) / 3);
    expect(made?.logitScale).toBe(7);
    for (const [c, mean] of means.entries()) {
      const row = mean.map((value, e) => value - (centre[e] ?? 0));
      const unit = row.map((value) => value / Math.hypot(...row));
      const got = [...(made?.weightCE.subarray(c * SIZE, (c + 1) * SIZE) ?? [])];
      for (const [e, value] of unit.entries()) expect(got[e]).toBeCloseTo(value, 6);
      // Logits are 7 times the cosine part of the centred feature.
      const bias = -7 * unit.reduce((sum, value, e) => sum + value * (centre[e] ?? 0), 0);
      expect(made?.biasC[c]).toBeCloseTo(bias, 5);
    }
  });

  it("do not depend on how many images a class has", () => {
    const { featuresNE, labelsN } = features(0.5);
    const twice = classPrototypes(
      Float32Array.from([...featuresNE, ...featuresNE.subarray(0, SIZE)]),
      Int32Array.from([...labelsN, labelsN[0] ?? 0]),
      CLASSES,
      1,
    );
    const once = classPrototypes(featuresNE, labelsN, CLASSES, 1);
    const others = (weight?: Float32Array) => [...(weight?.subarray(SIZE) ?? [])];
    for (const [index, value] of others(once?.weightCE).entries())
      expect(Math.abs(value - (others(twice?.weightCE)[index] ?? 0))).toBeLessThan(0.05);
  });

  it("have a smaller scale the more classes overlap, and CLIP's limit when they do not", () => {
    const scaleOf = (noise: number) => {
      const { featuresNE, labelsN } = features(noise);
      return classPrototypes(featuresNE, labelsN, CLASSES)?.logitScale ?? Number.NaN;
    };
    expect(scaleOf(0.1)).toBeCloseTo(100, 2);
    expect(scaleOf(3)).toBeLessThan(scaleOf(1.5));
    expect(scaleOf(3)).toBeGreaterThan(0.1);
  });

  it("cannot fit a scale on one image per class", () => {
    const { featuresNE, labelsN } = features(0.5);
    const [few, labels] = [featuresNE.subarray(0, CLASSES * SIZE), labelsN.subarray(0, CLASSES)];
    expect(classPrototypes(few, labels, CLASSES)).toBeUndefined();
    expect(classPrototypes(few, labels, CLASSES, 10)?.logitScale).toBe(10);
  });
});
