import { expect, test } from "vitest";
import { parse } from "yaml";
import { parseRunConfig } from "../../src/config/load.js";
import { modelCard } from "../../src/report/model-card.js";
import { resultRow } from "../../src/report/summary.js";
import { markdownTable, textTable } from "../../src/report/table.js";

const rows = [
  resultRow("pretrained", ["a", "b|c"], [50, 25]),
  { method: "task arithmetic 0.3", average: 60, tasks: { a: 60 } },
];

test("text table", () => {
  expect(textTable(rows)).toBe(
    [
      "method                   a    b|c  average",
      "-------------------  -----  -----  -------",
      "pretrained           50.00  25.00    37.50",
      "task arithmetic 0.3  60.00      -    60.00",
    ].join("\n"),
  );
});

test("Markdown table", () => {
  expect(markdownTable(rows)).toBe(
    [
      "| method | a | b\\|c | average |",
      "| --- | ---: | ---: | ---: |",
      "| pretrained | 50.00 | 25.00 | 37.50 |",
      "| task arithmetic 0.3 | 60.00 | - | 60.00 |",
    ].join("\n"),
  );
});

test("model card: front matter, method, coefficients, honesty, no path of the machine", () => {
  const card = (adaptSplit: string) =>
    modelCard({
      name: "mini",
      base: "base",
      experts: ["one", "two"],
      config: parseRunConfig({
        suite: "/home/somebody/suites/mini",
        output: "/home/somebody/runs",
        data: { adapt_split: adaptSplit },
      }),
      coefficients: {
        granularity: "layer-wise",
        tasks: ["a", "b"],
        groups: ["x", "y"],
        values: [
          [0.5, 0],
          [0.25, 0.75],
        ],
        groupOf: {},
      },
      rows,
      version: "0.1.0",
    });
  const text = card("test");
  expect(parse(text.split("---\n")[1] ?? "")).toEqual({
    base_model: ["base", "one", "two"],
    base_model_relation: "merge",
    tags: ["merge", "adamerge"],
  });
  expect(text).toContain("| a | 0.2500 | 0.0000 | 0.5000 | 50.0 % |");
  expect(text).toContain("**The coefficients were fitted to the very images they are judged on**");
  expect(text).not.toContain("somebody");
  expect(card("train")).toContain(
    "Adapted on the images (no labels) of the `train` split; accuracy measured on the `test` split.",
  );
  expect(card("train")).not.toContain("very images");
});
