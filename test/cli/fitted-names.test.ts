/** Names of tensors in a narrow terminal: their ends, which tell them apart. */
import { expect, it } from "vitest";
import { withFittedNames } from "../../src/cli/fitted-names.js";
import { alignedText } from "../../src/report/table.js";

const cells = [
  ["tensor", "dtype", "shape"],
  ["encoder.layer.11.attention.self.query.weight", "F32", "384 x 384"],
  ["bias", "F32", "384"],
];

it("are cut from the left where the table is wider than the terminal", () => {
  expect(withFittedNames(cells, undefined)).toBe(cells);
  expect(withFittedNames(cells, 80)).toBe(cells);
  const lines = alignedText(withFittedNames(cells, 40)).split("\n");
  expect(lines[2]).toBe("...n.self.query.weight    F32  384 x 384");
  expect(lines.every((line) => line.length <= 40)).toBe(true);
  expect(lines[3]).toMatch(/^bias /);
});
