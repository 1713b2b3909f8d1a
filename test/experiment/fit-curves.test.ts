/** Which points of rows that vary are joined to one curve. */
import { expect, it } from "vitest";
import { curvePoints } from "../../src/experiment/fit-curves.js";
import type { TableRow } from "../../src/experiment/table-row.js";

const row = (method: string, point: object, adapted: string | null = null): TableRow => {
  const fields = {
    method,
    point: { ...point },
    adapted,
    average: 50,
    interval: [49, 51],
    averages: { merged: null, "left out": 40 },
  };
  // What curves do not look at is left out.
  return fields as unknown as TableRow;
};
const seriesOf = (rows: readonly TableRow[]) => curvePoints(rows).map(({ key, x, series }) => `${key} ${x}: ${series}`);

it("a second setting that follows from the first is one curve, and one that does not tells curves apart", () => {
  const linked = [4, 8].map((size) => row("batch", { "data.batch_size": size, steps: 1600 / size }, "inductive"));
  expect(seriesOf(linked)).toEqual(["batch_size 4: batch inductive", "batch_size 8: batch inductive"]);
  const grid = [1, 2].flatMap((scale) => ["a", "b"].map((kind) => row("grid", { "settings.scale": scale, kind })));
  expect(seriesOf(grid)).toEqual([
    "scale 1: grid kind=a",
    "scale 1: grid kind=b",
    "scale 2: grid kind=a",
    "scale 2: grid kind=b",
  ]);
  // What another row has says nothing.
  expect(seriesOf([...linked, ...grid]).slice(0, 2)).toEqual(seriesOf(linked));
});

it("rows that do not vary are no points, and averages that are not known no parts", () => {
  expect(curvePoints([{ ...row("one", {}), point: null }])).toEqual([]);
  expect(curvePoints([row("x", { tasks: ["a", "b"] })])).toMatchObject([{ x: "2", parts: { "left out": 40 } }]);
});
