import { describe, expect, it } from "vitest";
import {
  type Constraint,
  constrain,
  constraintGradient,
  toGroupGradient,
  toTensorCoefficients,
  uniformCoefficients,
} from "../../src/merge/coefficients.js";
import { randomArray, relativeError } from "../support/random.js";

const TASKS = 3;
const grouping = { groups: ["a", "b"], tensors: ["t0", "t1", "t2", "t3"], groupOf: [0, 1, 1, 0] };
const raw = Float64Array.from(randomArray(TASKS * 2, 5, -0.5, 1.5));

const constraints: Constraint[] = [{ kind: "none" }, { kind: "clamp", min: 0, max: 1 }, { kind: "softmax" }];

describe.each(constraints)("$kind", (constraint) => {
  it("has the gradient of central differences", () => {
    const slopes = Float64Array.from(randomArray(raw.length, 9));
    const loss = (at: Float64Array) =>
      constrain(at, TASKS, constraint).reduce((sum, value, index) => sum + value * (slopes[index] ?? 0), 0);
    const numeric = raw.map((_, index) => {
      const shifted = (sign: number) => raw.map((value, other) => (other === index ? value + sign * 1e-6 : value));
      return (loss(shifted(1)) - loss(shifted(-1))) / 2e-6;
    });
    const values = constrain(raw, TASKS, constraint);
    const analytic = constraintGradient(raw, values, slopes, TASKS, constraint);
    expect(relativeError(analytic, numeric)).toBeLessThan(1e-8);
  });
});

it("clamp lets the gradient pass at its ends, as torch.clamp", () => {
  const ends = Float64Array.of(0, 1, -1e-9, 1 + 1e-9);
  const clamp: Constraint = { kind: "clamp", min: 0, max: 1 };
  const gradient = constraintGradient(ends, constrain(ends, 1, clamp), Float64Array.of(1, 1, 1, 1), 1, clamp);
  expect([...gradient]).toEqual([1, 1, 0, 0]);
});

it("softmax sums to one over the tasks of each group, also for huge values", () => {
  const values = constrain(Float64Array.of(1000, 0, 1000, 1, 0, 2), TASKS, { kind: "softmax" });
  expect((values[0] ?? 0) + (values[2] ?? 0) + (values[4] ?? 0)).toBeCloseTo(1, 12);
  expect((values[1] ?? 0) + (values[3] ?? 0) + (values[5] ?? 0)).toBeCloseTo(1, 12);
  expect(values[0]).toBeCloseTo(0.5, 12);
});

it("groups spread to tensors, and tensors' gradients sum to groups: the two are adjoint", () => {
  const perTensor = toTensorCoefficients(Float64Array.of(1, 2, 3, 4, 5, 6), grouping, TASKS);
  expect([...perTensor]).toEqual([1, 3, 5, 2, 4, 6, 2, 4, 6, 1, 3, 5]);
  const slopes = randomArray(12, 3);
  const sums = toGroupGradient(slopes, grouping, TASKS);
  const left = perTensor.reduce((sum, value, index) => sum + value * (slopes[index] ?? 0), 0);
  const right = [1, 2, 3, 4, 5, 6].reduce((sum, value, index) => sum + value * (sums[index] ?? 0), 0);
  expect(left).toBeCloseTo(right, 5);
});

it("uniform coefficients repeat each task's value over the groups", () => {
  expect([...uniformCoefficients([0.1, 0.2], 3)]).toEqual([0.1, 0.1, 0.1, 0.2, 0.2, 0.2]);
});
