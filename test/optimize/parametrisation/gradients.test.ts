/**
 * Every parametrisation on random tensors: its start is the scalar merge, its gradient that of central differences of a quadratic loss. With all
 * coefficients alike each is the scalar one.
 */
import { describe, expect, it } from "vitest";
import { allWeights } from "../../../src/optimize/parametrisation/all-weights.js";
import { elementWise } from "../../../src/optimize/parametrisation/element-wise.js";
import { lowRank } from "../../../src/optimize/parametrisation/low-rank.js";
import { masks, softMasks } from "../../../src/optimize/parametrisation/masks.js";
import type { Parametrisation, TensorParts } from "../../../src/optimize/parametrisation/parametrisation.js";
import { rows, rowsColumns } from "../../../src/optimize/parametrisation/rows-columns.js";
import { scalar } from "../../../src/optimize/parametrisation/scalar.js";
import { singular } from "../../../src/optimize/parametrisation/singular.js";
import { randomArray, relativeError } from "../../support/random.js";

const TASKS = 3;
const INITIAL = 0.4;
const all = { scalar, rows, rowsColumns, singular: singular(2), elementWise, allWeights, lowRank: lowRank(2) };
const shapes = { vector: [6], matrix: [5, 4], wide: [3, 7], patches: [4, 3, 2, 2] };

function partsOf(shape: readonly number[]): TensorParts {
  const size = shape.reduce((a, b) => a * b, 1);
  return { shape, baseS: randomArray(size, 1), tauKS: randomArray(TASKS * size, 2) };
}

function opened(parametrisation: Parametrisation, shape: readonly number[]) {
  const parts = partsOf(shape);
  const form = parametrisation.form(parts);
  const parameters = new Float64Array(parametrisation.size({ shape, tasks: TASKS })).fill(Number.NaN);
  form.start(parts, INITIAL, parameters);
  const mergedAt = (at: Float64Array): Float32Array => {
    const merged = new Float32Array(parts.baseS.length);
    form.merge(parts, at, merged);
    return merged;
  };
  return { parts, form, parameters, mergedAt };
}

const cases = Object.entries(all).flatMap(([name, parametrisation]) =>
  Object.entries(shapes).map(([shape, sizes]) => ({ name, parametrisation, shape, sizes })),
);

describe.each(cases)("$name of a $shape", ({ parametrisation, sizes }) => {
  it("starts as the base and the sum of task vectors times the initial coefficient", () => {
    const { parts, parameters, mergedAt } = opened(parametrisation, sizes);
    const expected = [...parts.baseS].map((value, s) => {
      const sum = [0, 1, 2].reduce((total, task) => total + (parts.tauKS[task * parts.baseS.length + s] ?? 0), 0);
      return value + INITIAL * sum;
    });
    expect(relativeError(mergedAt(parameters), expected)).toBeLessThan(1e-6);
  });

  it("has the gradient of central differences", () => {
    const { parts, form, parameters, mergedAt } = opened(parametrisation, sizes);
    const noise = randomArray(parameters.length, 3, -0.5, 0.5);
    const at = parameters.map((value, index) => value + (noise[index] ?? 0));
    const target = randomArray(parts.baseS.length, 4);
    const lossAt = (point: Float64Array): number =>
      mergedAt(point).reduce((sum, value, s) => sum + 0.5 * (value - (target[s] ?? 0)) ** 2, 0);
    const slopes = new Float64Array(parameters.length).fill(Number.NaN);
    form.gradient(
      parts,
      at,
      mergedAt(at).map((value, s) => value - (target[s] ?? 0)),
      slopes,
    );
    const numeric = at.map((_, index) => {
      const shifted = (by: number) => lossAt(at.map((value, other) => (other === index ? value + by : value)));
      return (shifted(1e-2) - shifted(-1e-2)) / 2e-2;
    });
    // The merged tensor is float32, and so is the difference's noise.
    expect(relativeError(slopes, numeric)).toBeLessThan(1e-4);
  });
});

describe("masks", () => {
  it.each(Object.entries(shapes))("of a %s that are all on are the scalar merge and its gradient", (_name, sizes) => {
    const { parts, form, parameters, mergedAt } = opened(masks(1), sizes);
    const plain = opened(scalar, sizes);
    expect([...mergedAt(parameters)]).toEqual([...plain.mergedAt(plain.parameters)]);
    const gradientS = randomArray(parts.baseS.length, 5);
    const [own, expected] = [new Float64Array(parameters.length), new Float64Array(TASKS)];
    form.gradient(parts, parameters, gradientS, own);
    plain.form.gradient(plain.parts, plain.parameters, gradientS, expected);
    const perTask = own.length / TASKS;
    expect(own.filter((_, at) => at % perTask === 0)).toEqual(expected);
  });

  it.each(Object.entries(shapes))("of a %s, softened, have the gradient of central differences", (_name, sizes) => {
    const soft = opened(softMasks(0.5), sizes);
    const noise = randomArray(soft.parameters.length, 3, -0.5, 0.5);
    const at = soft.parameters.map((value, index) => value + (noise[index] ?? 0));
    const weights = randomArray(soft.parts.baseS.length, 4);
    const lossAt = (point: Float64Array): number =>
      soft.mergedAt(point).reduce((sum, value, s) => sum + value * (weights[s] ?? 0), 0);
    const slopes = new Float64Array(at.length).fill(Number.NaN);
    soft.form.gradient(soft.parts, at, weights, slopes);
    const numeric = at.map((_, index) => {
      const shifted = (by: number) => lossAt(at.map((value, other) => (other === index ? value + by : value)));
      return (shifted(5e-2) - shifted(-5e-2)) / 1e-1;
    });
    expect(relativeError(slopes, numeric)).toBeLessThan(1e-4);
  });

  it("start with the leading share of directions, which is the truncated sum, and go off and on at 0", () => {
    const { parts, parameters, mergedAt } = opened(masks(0.5), [5, 4]);
    expect([...parameters.slice(0, 5)]).toEqual([INITIAL, 0.1, 0.1, -0.1, -0.1]);
    // With coefficients of single directions: INITIAL for the two leading ones, 0 for all others.
    const truncated = opened(singular(2), [5, 4]);
    const coefficients = truncated.parameters.map((value, at) => (at % 3 === 0 ? 0 : value));
    expect(relativeError(mergedAt(parameters), truncated.mergedAt(coefficients))).toBeLessThan(1e-6);
    const logits = parameters.map((value, at) => (at % 5 === 0 ? value : 0));
    const whole = opened(scalar, [5, 4]);
    expect([...mergedAt(logits)]).toEqual([...whole.mergedAt(whole.parameters)]);
    expect(parts.shape).toEqual([5, 4]);
  });
});

it.each(Object.entries({ ...all, masks: masks(1) }))(
  "%s: one expert and coefficient 1 is that expert",
  (_, parametrisation) => {
    for (const shape of Object.values(shapes)) {
      const size = shape.reduce((a, b) => a * b, 1);
      const parts = { shape, baseS: randomArray(size, 1), tauKS: randomArray(size, 2) };
      const form = parametrisation.form(parts);
      const parameters = new Float64Array(parametrisation.size({ shape, tasks: 1 }));
      form.start(parts, 1, parameters);
      const merged = new Float32Array(size);
      form.merge(parts, parameters, merged);
      expect(
        relativeError(
          merged,
          parts.baseS.map((value, s) => value + (parts.tauKS[s] ?? 0)),
        ),
      ).toBeLessThan(1e-6);
    }
  },
);

it("singular directions that are all kept merge any coefficients as the truncated sums do", () => {
  const { parts, form, parameters, mergedAt } = opened(singular(4), [5, 4]);
  // One direction of one task left out: what is lost is that part alone, orthogonal to the rest of its task vector.
  const without = parameters.slice();
  without[1] = 0;
  const lost = mergedAt(parameters).map((value, s) => value - (mergedAt(without)[s] ?? 0));
  const own = parts.tauKS.subarray(0, 20);
  const product = lost.reduce((sum, value, s) => sum + value * (own[s] ?? 0), 0);
  const squares = lost.reduce((sum, value) => sum + value * value, 0);
  // <s u v^T initial, tau> = initial s^2, and |.|^2 = initial^2 s^2.
  expect(squares / product).toBeCloseTo(INITIAL, 5);
  expect(form.readsTaskVectors).toBe(true);
});
