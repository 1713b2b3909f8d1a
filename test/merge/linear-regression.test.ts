/** The change of least norm that LOT solves for each linear layer, against matrices of which it is known. */
import { describe, expect, it } from "vitest";
import { addTask, emptyEquations, leastChange, solveEquations } from "../../src/merge/linear-regression.js";
import { randomArray, relativeError } from "../support/random.js";

const [OUTPUTS, INPUTS] = [3, 5];

/** X^T X of `rows` random inputs, of which only the first `used` are not 0. */
function gramOf(rows: number, seed: number, used = INPUTS): Float64Array {
  const xRI = randomArray(rows * INPUTS, seed).map((value, index) => (index % INPUTS < used ? value : 0));
  return Float64Array.from({ length: INPUTS * INPUTS }, (_, index) => {
    const [i, j] = [Math.floor(index / INPUTS), index % INPUTS];
    let sum = 0;
    for (let row = 0; row < rows; row++) sum += (xRI[row * INPUTS + i] ?? 0) * (xRI[row * INPUTS + j] ?? 0);
    return sum;
  });
}

const base = randomArray(OUTPUTS * INPUTS, 1);
const experts = [2, 3].map((seed) => base.map((value, i) => value + 0.1 * (randomArray(base.length, seed)[i] ?? 0)));

function equationsOf(grams: readonly Float64Array[]) {
  const equations = emptyEquations(OUTPUTS, INPUTS);
  for (const [task, gram] of grams.entries()) addTask(equations, experts[task] ?? base, gram, 1);
  return equations;
}

describe("the change of least norm", () => {
  it("leads where RegMean's equations do, if the inputs are of all directions", () => {
    const equations = equationsOf([gramOf(9, 4), gramOf(9, 5)]);
    const change = leastChange(equations, base, 1e-9, "w");
    const solved = solveEquations(equations, "w");
    expect(
      relativeError(
        base.map((value, i) => value + (change[i] ?? 0)),
        solved,
      ),
    ).toBeLessThan(1e-6);
    expect(relativeError(base, solved)).toBeGreaterThan(1e-3);
  });

  it("leaves directions that no input has as the base has them", () => {
    const equations = equationsOf([gramOf(9, 4, 3), gramOf(9, 5, 3)]);
    const change = leastChange(equations, base, 1e-9, "w");
    for (const [index, value] of change.entries())
      if (index % INPUTS >= 3) expect(value, `${index}`).toBeCloseTo(0, 12);
      else expect(Math.abs(value), `${index}`).toBeGreaterThan(1e-5);
    expect([...leastChange(emptyEquations(OUTPUTS, INPUTS), base, 1e-9, "w")]).toEqual([...base].map(() => 0));
  });

  it("adds up what tasks change in directions of their own", () => {
    const only = (used: number) =>
      Float64Array.from({ length: INPUTS * INPUTS }, (_, index) => (index === used * (INPUTS + 1) ? 2 : 0));
    const change = leastChange(equationsOf([only(0), only(4)]), base, 1e-9, "w");
    const wanted = base.map((value, i) => {
      const own = i % INPUTS === 0 ? experts[0] : i % INPUTS === 4 ? experts[1] : base;
      return (own?.[i] ?? 0) - value;
    });
    expect(relativeError(change, wanted)).toBeLessThan(1e-6);
  });

  it("takes directions below the tolerance for none", () => {
    const gram = Float64Array.from({ length: INPUTS * INPUTS }, (_, index) =>
      index % (INPUTS + 1) === 0 ? 10 ** -(index / (INPUTS + 1)) : 0,
    );
    const equations = emptyEquations(OUTPUTS, INPUTS);
    addTask(equations, experts[0] ?? base, gram, 1);
    const change = leastChange(equations, base, 3e-3, "w");
    for (const [index, value] of change.entries()) expect(value !== 0, `${index}`).toBe(index % INPUTS < 3);
  });

  it("names a layer whose inputs are not finite", () => {
    const gram = gramOf(9, 4).fill(Number.NaN, 3, 4);
    expect(() => leastChange(equationsOf([gram]), base, 1e-9, "tensor fc")).toThrow(
      "tensor fc: the Gram matrix of its inputs is not finite",
    );
  });
});
