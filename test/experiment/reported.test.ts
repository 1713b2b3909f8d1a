/** Published numbers at their own points and along fits, and fits that adapt on whatever is judged. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { loadCells } from "../../src/experiment/cells.js";
import { openExperiment } from "../../src/experiment/experiment-file.js";
import { orderAgreement, orderText } from "../../src/experiment/method-order.js";
import { tableLines } from "../../src/experiment/table-lines.js";
import type { TableRow } from "../../src/experiment/table-row.js";
import { stepsFigure } from "../../src/report/figures/experiment.js";
import { ROOT, temporaryFolder } from "../support/cli.js";

let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
});

const cellsOf = async (rows: string) => {
  const file = join(folder, "some.yaml");
  const suite = join(ROOT, "datasets", "mini8", "suite.yaml");
  await writeFile(
    file,
    `title: Some
config: ${join(ROOT, "configs", "mini8.yaml")}
suites: [${suite}]
adaptation:
  - { name: judged }
  - { name: apart, split: adapt }
rows:
${rows}`,
  );
  const experiment = await openExperiment(file, folder, folder);
  const options = { presetsDir: join(ROOT, "configs", "presets"), cwd: folder, overrides: [], output: folder };
  return loadCells(experiment, tableLines(experiment, new Map()), { ...options, suiteFingerprint: async () => "" });
};

it("an adaptation without a split is on the split that is judged, at every point", async () => {
  const cells = await cellsOf("  - { name: x, fit: [steps=1], vary: { data.eval_split: [test, val] } }\n");
  const splits = cells.map(({ adaptation, config }) => [
    adaptation?.name,
    config.data.adapt_split,
    config.data.eval_split,
  ]);
  expect(splits).toEqual([
    ["judged", "test", "test"],
    ["apart", "adapt", "test"],
    ["judged", "val", "val"],
    ["apart", "adapt", "val"],
  ]);
});

it("reported numbers stand at their point, and at every point if they name none", async () => {
  const row = `  - name: x
    method: ties
    vary: { data.eval_split: [test, val], settings.scale: [0.3, 1] }
    reported:
      - { by: here, average: 1, source: s, at: { data.eval_split: val, settings.scale: 0.3 } }
      - { by: both, average: 2, source: s, at: { data.eval_split: test } }
      - { by: all, average: 3, source: s }
`;
  const cells = await cellsOf(row);
  expect(cells.map(({ row: { reported } }) => reported.map(({ by }) => by))).toEqual([
    ["both", "all"],
    ["both", "all"],
    ["here", "all"],
    ["all"],
  ]);
  await expect(cellsOf(row.replace("data.eval_split: test }", "data.eval_split: tset }"))).rejects.toThrow(
    'row x: reported.at: expected settings of one of the row\'s points (vary), found {"data.eval_split":"tset"}',
  );
  await expect(cellsOf(row.replace(/ {4}vary: .*\n/, ""))).rejects.toThrow(
    "row x: reported.at: expected settings of one",
  );
});

it("curves of others are drawn dashed beside ours, and only where there are some", () => {
  const row = {
    label: "learned",
    class: "unlabelled images",
    average: 70,
    interval: [69, 71],
    tasks: {},
    curve: [
      { step: 0, average: 60 },
      { step: 10, average: 70 },
    ],
  } as const;
  const reported = [{ by: "official log", curve: [[10, 69.66]] }] as const;
  const drawn = JSON.stringify(stepsFigure([{ ...row, reported }], "images")?.spec);
  expect(drawn).toContain('{"label":"learned","of":"official log","step":10,"average":69.66}');
  expect(drawn).toContain('"strokeDash":{"field":"of"');
  const plain = JSON.stringify(stepsFigure([{ ...row, reported: [{ by: "paper", curve: [] }] }], "images")?.spec);
  expect(plain).not.toContain("strokeDash");
});

it("the order of the methods is compared with that elsewhere, by published settings alone", () => {
  const row = (method: string, average: number, setting: "published" | "val" = "published") =>
    ({ method, average, setting }) as TableRow;
  const rows = [row("a", 50), row("b", 60), row("c", 70), row("b", 99, "val"), row("d", 10)];
  const elsewhere = (averages: Record<string, number>) => [{ by: "there", source: "s", averages }];
  expect(orderAgreement(rows, elsewhere({ a: 1, b: 2, c: 3 }))).toEqual([
    { by: "there", source: "s", methods: 3, correlation: 1 },
  ]);
  const [mixed] = orderAgreement(rows, elsewhere({ a: 1, b: 3, c: 2, d: 4, none: 5 }));
  // By ranks 1 2 3 0 here and 0 2 1 3 there: 1 - 6 (1 + 0 + 4 + 9) / (4 * 15).
  expect(mixed).toMatchObject({ methods: 4, correlation: expect.closeTo(-0.4, 12) });
  expect(orderText(orderAgreement(rows, elsewhere({ a: 1, b: 2 })))).toContain("fewer than three");
});

it("an order names rows of the table", async () => {
  const order = "order:\n  - { by: there, source: s, averages: { tie: 1 } }\n";
  await expect(cellsOf(`  - { name: ties, method: ties }\n${order}`)).rejects.toThrow(
    /order: there: expected names of rows, found tie. Did you mean ties\?/,
  );
});
