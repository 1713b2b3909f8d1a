/** What `init` divides before it trains experts: columns of other names are named as a fine-tuning's are, and what is assumed is said. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { divideData } from "../../../src/run/experts/divide-data.js";
import { temporaryFolder } from "../../support/cli.js";

let root = "";
beforeAll(async () => {
  root = await temporaryFolder();
});

const rows = (heading: string, count: number) =>
  [heading, ...Array.from({ length: count }, (_, at) => `note ${at} of ${7 * at},kind ${at % 2}`), ""].join("\n");

async function divided(path: string, columns: Readonly<Record<string, string>>, said: string[] = []) {
  const signal = new AbortController().signal;
  return divideData(
    { name: "notes", path: join(root, path), flag: "--texts" },
    { directory: root, kind: "text", columns, force: true, signal, log: (line) => said.push(line) },
  );
}

it("names columns, and writes a table whose columns are called as usual", async () => {
  await writeFile(join(root, "notes.csv"), rows("body,section", 20));
  await expect(divided("notes.csv", {})).rejects.toThrow(/add --finetune label_column=NAME/);
  const folder = await divided("notes.csv", { text_column: "body", label_column: "section" });
  const [heading, ...lines] = (await readFile(join(folder, "manifest.csv"), "utf8")).trimEnd().split("\n");
  expect(heading).toBe("text,label,split");
  expect(lines.map((line) => line.replace(/,\w+$/, "")).toSorted()).toEqual(rows("", 20).trim().split("\n").toSorted());
});

it("says which column it took for the labels", async () => {
  await writeFile(join(root, "near.csv"), rows("text,Category", 20));
  const said: string[] = [];
  await divided("near.csv", {}, said);
  expect(said[0]).toMatch(
    /^notice: .*: the labels are those of column Category; to take another, add --finetune label_column=NAME$/,
  );
});

it("refuses names for a data set that stays where it is, which the suite reads too", async () => {
  await mkdir(join(root, "own"));
  for (const split of ["train", "test"]) await writeFile(join(root, "own", `${split}.csv`), rows("text,section", 4));
  await expect(divided("own", { label_column: "section" })).rejects.toThrow(
    /expected a single table with --finetune label_column=, found splits of its own .*; call its columns text and label/,
  );
});
