/** What a run keeps of parameters outside the graph: checkpoints of both widths to the bit, and a record that cannot be taken for coefficients. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readTrainCheckpoint, writeTrainCheckpoint } from "../../src/track/checkpoints.js";
import { coefficientsText, parseCoefficients, requireCoefficients } from "../../src/track/coefficients-file.js";
import { temporaryFolder } from "../support/cli.js";
import { randomArray } from "../support/random.js";

describe.each([
  ["float32", (seed: number) => randomArray(9, seed)],
  ["float64", (seed: number) => Float64Array.from(randomArray(9, seed), (value) => value / 3)],
] as const)("a checkpoint of %s parameters", (_name, arrayOf) => {
  it("comes back as it was, in arrays of its type", async () => {
    const folder = join(await temporaryFolder(), "checkpoints");
    const adam = { updates: 4, mean: arrayOf(2), meanSquare: arrayOf(3) };
    const state = { step: 4, parametersP: arrayOf(1), adam, evaluatedStep: 2 };
    await writeTrainCheckpoint(folder, { state, inputs: { config: "abc" } });
    expect(await readTrainCheckpoint(folder, () => {})).toEqual({ state, inputs: { config: "abc" } });
    const startWeights = new Map([
      ["a", randomArray(3, 8)],
      ["b", randomArray(5, 9)],
    ]);
    const later = { ...state, step: 5, stage: 1, startWeights };
    await writeTrainCheckpoint(folder, { state: later, inputs: {} });
    expect(await readTrainCheckpoint(folder, () => {})).toEqual({ state: later, inputs: {} });
  });
});

describe("the coefficients nearest to what was learned", () => {
  const record = {
    granularity: "layer-wise",
    tasks: ["a"],
    groups: ["w"],
    values: [[0.5]],
    groupOf: { w: "w" },
    nearest: { parametrisation: "rows", outside: [0.25] },
  };

  it("are written with what they stand for, and read back", () => {
    expect(parseCoefficients(coefficientsText(record), "file")).toEqual(record);
  });

  it("are no coefficients to merge with", () => {
    expect(() => requireCoefficients(record, "runs/x/coefficients.json")).toThrow(
      "runs/x/coefficients.json: expected coefficients that were learned, found those nearest to what parametrisation rows learned, which are not its model; use the `model` folder of the run",
    );
    const { nearest: _nearest, ...plain } = record;
    expect(() => requireCoefficients(plain, "file")).not.toThrow();
  });
});
