/** The loops of row and column factors against the same written per element, over sizes that do not fill vectors or pieces. */
import { expect, it } from "vitest";
import { type Factors, factorLoops } from "../../../src/optimize/parametrisation/factor-loops.js";
import { randomArray } from "../../support/random.js";

interface Sizes {
  readonly K: number;
  readonly R: number;
  readonly C: number;
}

const SIZES: readonly Sizes[] = [
  { K: 3, R: 37, C: 130 },
  { K: 2, R: 5000, C: 3 },
  { K: 8, R: 3, C: 4101 },
  { K: 1, R: 64, C: 384 },
];

function problem({ K, R, C }: Sizes, hasColumns: boolean) {
  const parameters = Float64Array.from(randomArray(K * (hasColumns ? R + C : R), 1, 0, 2));
  const factors: Factors = { parameters, rows: R, hasColumns };
  return { factors, base: randomArray(R * C, 2), tau: randomArray(K * R * C, 3), slopes: randomArray(R * C, 4) };
}

/** a, b and tau of every element, in the order of tasks, rows and columns. */
function eachElement(
  { K, R, C }: Sizes,
  { parameters, hasColumns }: Factors,
  visit: (element: { task: number; row: number; column: number; a: number; b: number }) => void,
): void {
  const perTask = hasColumns ? R + C : R;
  for (let task = 0; task < K; task++)
    for (let row = 0; row < R; row++)
      for (let column = 0; column < C; column++) {
        const a = parameters[task * perTask + row] ?? 0;
        const b = hasColumns ? (parameters[task * perTask + R + column] ?? 0) : 1;
        visit({ task, row, column, a, b });
      }
}

it.each(SIZES.flatMap((sizes) => [true, false].map((hasColumns) => ({ ...sizes, hasColumns }))))(
  "K $K, R $R, C $C, columns $hasColumns",
  ({ hasColumns, ...sizes }) => {
    const { K, R, C } = sizes;
    const { factors, base, tau, slopes } = problem(sizes, hasColumns);
    const sums = Float64Array.from(base);
    const gradient = new Float64Array(factors.parameters.length);
    eachElement(sizes, factors, ({ task, row, column, a, b }) => {
      const [at, of] = [row * C + column, task * R * C + row * C + column];
      sums[at] = (sums[at] ?? 0) + a * b * (tau[of] ?? 0);
      const product = (slopes[at] ?? 0) * (tau[of] ?? 0);
      const first = task * (hasColumns ? R + C : R);
      gradient[first + row] = (gradient[first + row] ?? 0) + b * product;
      if (hasColumns) gradient[first + R + column] = (gradient[first + R + column] ?? 0) + a * product;
    });
    const loops = factorLoops(C, K);
    const merged = new Float32Array(R * C);
    loops.merge(factors, base, tau, merged);
    // The sums are taken in the same order: to the bit.
    expect(merged).toEqual(Float32Array.from(sums));
    const found = new Float64Array(gradient.length).fill(Number.NaN);
    loops.gradient(factors, slopes, tau, found);
    const worst = Math.max(...found.map((value, i) => Math.abs(value - (gradient[i] ?? 0))));
    expect(worst).toBeLessThan(1e-11 * Math.max(R, C));
  },
);
