/** The table of `predict`: aligned from its first line on, whatever rows follow, and never wider than the terminal. */
import { describe, expect, it } from "vitest";
import { predictionText } from "../../src/cli/prediction-text.js";
import type { PredictionRow } from "../../src/run/predict/predict.js";

const LONG = "great white shark, white shark, man-eater, man-eating shark";
const MANY = new Map([
  ["birds", ["owl", LONG]],
  ["colours-of-the-sky", ["red", "blue"]],
]);
const SKY = new Map([["sky", ["red", "a very deep blue"]]]);
const row = (source: string, ...labels: [string, string][]): PredictionRow => ({
  source,
  predictions: labels.map(([task, label]) => ({ task, labels: [{ label, probability: 0.5 }] })),
});
const PLACE = "photos/of/a/long/summer/IMG_0001.png";
const ROWS: readonly PredictionRow[] = [
  row("a.png", ["birds", "owl"], ["colours-of-the-sky", "red"]),
  row(PLACE, ["birds", LONG], ["colours-of-the-sky", "blue"]),
  { source: PLACE, error: `expected an image, found 12 bytes of something else; see ${"x".repeat(70)}` },
];

function linesOf(classes: typeof MANY, rows: readonly PredictionRow[], columns?: number): readonly string[] {
  const { heading, row: shown } = predictionText("table", classes, columns);
  return `${heading}${rows.map(shown).join("")}`.trimEnd().split("\n");
}

describe("the table", () => {
  it("is as wide as the longest name of a class, also before that is in a row", () => {
    expect(linesOf(SKY, [row("a.png", ["sky", "red"]), row("b.png", ["sky", "a very deep blue"])])).toEqual([
      "label                   %  example",
      "red                50.0 %  a.png",
      "a very deep blue   50.0 %  b.png",
    ]);
  });

  it("has everything where it is no terminal", () => {
    const lines = linesOf(MANY, ROWS);
    expect(lines).toHaveLength(6);
    expect(lines[3]).toBe(`birds               ${LONG}   50.0 %  ${PLACE}`);
    const begin = lines[0]?.indexOf("example");
    for (const line of lines.slice(1)) expect(line.slice(begin)).toMatch(/^(?:a\.png|photos)/);
  });

  it.each([200, 120, 80, 60, 50])("keeps to %i columns of a terminal, cut where it says least", (columns) => {
    const lines = linesOf(MANY, ROWS, columns);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
    const begin = lines[0]?.indexOf("example") ?? 0;
    expect(lines[1]?.slice(begin)).toBe("a.png");
    expect(lines[3]?.slice(begin)).toMatch(/IMG_0001\.png$/);
    expect(lines.slice(3).every((line) => line[begin - 1] === " ")).toBe(true);
    // What is wrong is said whole.
    const said = lines.slice(5).map((line) => line.slice(begin));
    expect(said.join("").replaceAll(" ", "")).toBe(
      Object.values(ROWS[2] ?? {})
        .join(":")
        .replaceAll(" ", ""),
    );
  });

  it("of a very narrow terminal keeps its columns", () => {
    expect(linesOf(SKY, [row("photos/b.png", ["sky", "a very deep blue"])], 10)).toEqual([
      "label        %  example",
      "a ve…   50.0 %  ….png",
    ]);
  });
});
