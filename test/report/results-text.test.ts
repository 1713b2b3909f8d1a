/** Results in a terminal of any width: no line is wider, nothing is lost, what matters comes first, the best single model is bold. */
import { describe, expect, it } from "vitest";
import { resultsText } from "../../src/report/results-text.js";
import type { ResultRow } from "../../src/report/summary.js";

const TASKS = ["languages", "code", "dictionary", "emoji", "game", "speech", "bible", "books"];
const row = (method: string, values: readonly number[]): ResultRow => ({
  method,
  average: values.reduce((sum, value) => sum + value, 0) / values.length,
  tasks: Object.fromEntries(TASKS.map((task, index) => [task, values[index] ?? 0])),
});
const ROWS = [
  row("pretrained", [40, 43, 61, 56, 36, 53, 45, 67]),
  row("individual", [92, 90, 91, 84, 90, 92, 89, 89]),
  row("weight_averaging", [54, 52, 71, 70, 50, 77, 56, 75]),
  row("layer_wise_tsv_expert", [92, 90, 79, 81, 83, 90, 83, 82]),
];

describe("a table of results", () => {
  it("has the average, its difference to averaging and the share of the experts first", () => {
    const lines = resultsText(ROWS, {}).split("\n");
    expect(lines[0]).toMatch(/^method +average +vs averaging +of experts +languages/);
    expect(lines[2]).toMatch(/^pretrained +50\.13 +-13\.00 +56\.1 % +40\.00/);
    expect(lines[4]).toMatch(/^weight_averaging +63\.13 +70\.5 % +54\.00/);
    expect(lines[5]).toMatch(/^layer_wise_tsv_expert +85\.00 +\+21\.88 +94\.8 %/);
    expect(lines).toHaveLength(2 + ROWS.length);
  });

  it.each([20, 40, 60, 80, 100, 120, 200])("fits into %i columns, with every number", (columns) => {
    const text = resultsText(ROWS, { columns });
    // One column beside the method is the least there is.
    const least = "layer_wise_tsv_expert".length + 2 + "vs averaging".length;
    for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(Math.max(columns, least));
    for (const task of TASKS) expect(text.match(new RegExp(`\\b${task}\\b`, "g"))).toHaveLength(1);
    expect(text.match(/\d+\.\d\d/g)).toHaveLength(resultsText(ROWS, {}).match(/\d+\.\d\d/g)?.length ?? 0);
  });

  it("makes the best single model of each column bold, whatever the experts have, and nothing without colours", () => {
    const bold = resultsText(ROWS, { color: true });
    expect(bold.split("\n").filter((line) => line.includes("\u001b[1m"))).toHaveLength(1);
    expect(bold).toContain("\u001b[1m  85.00\u001b[22m");
    expect(resultsText(ROWS, {})).not.toContain("\u001b");
    // Alike: none is best.
    const [first = ROWS[0]] = ROWS;
    expect(resultsText([first, { ...first, method: "same" }] as ResultRow[], { color: true })).not.toContain("\u001b");
  });

  it("of entropies has neither, since lower is surer and need not be better", () => {
    const entropies = ROWS.map((own) => ({ ...own, measure: "entropy_nats" as const }));
    const text = resultsText(entropies, { color: true });
    expect(text.split("\n")[0]).toMatch(/^entropy \(nats\) +average +languages/);
    expect(text).not.toContain("\u001b");
  });
});
