/** What `adamerge init` makes of a person's texts, before any model is asked: splits, classes, the manifest that it writes, and what it refuses. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { openDataset } from "../../../src/data/dataset.js";
import { DataError } from "../../../src/errors.js";
import { exampleKind, requireKind } from "../../../src/run/init/example-kind.js";
import { type ExampleSource, type GivenExamples, lookAtExamples } from "../../../src/run/init/example-sources.js";
import { initFiles } from "../../../src/run/init/init-files.js";
import { temporaryFolder, writeAt } from "../../data/temporary-folder.js";

const root = temporaryFolder();
const look = (path: string, needsHead = true, flag: GivenExamples["flag"] = "--texts") =>
  lookAtExamples({ name: "mood", path: join(root, path), flag }, "text", needsHead);

/** Writes what init would, and reads a split of it. */
async function written(source: ExampleSource, split: string) {
  const directory = join(root, "suites", `${Math.random()}`.slice(2));
  const head = {
    head: { prototypes: { split: "head", model: "expert" } } as const,
    logitScale: undefined,
    assumed: [],
  };
  const task = {
    name: "mood",
    expert: "/experts/mood",
    examples: source,
    head: { ...head, classes: source.classes ?? [] },
  };
  const suite = {
    name: "s",
    base: "/base",
    textModel: undefined,
    logitScale: undefined,
    features: undefined,
    tasks: [task],
  };
  const files = initFiles(suite, "paper", directory, { absolute: false });
  for (const [name, text] of files) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  const { dataset } = parse(files.get("suite.yaml") ?? "").tasks[0];
  const path = typeof dataset === "string" ? join(directory, dataset) : dataset.path;
  const own = typeof dataset === "string" ? split : dataset.splits[split];
  const set = await openDataset({ kind: "text", path, split: own, classes: source.classes, where: "x" });
  const text = async (read: typeof set.encoded, index: number) => Buffer.from(await read(index)).toString();
  const rows = await Promise.all(
    Array.from({ length: set.size }, async (_, index) => [
      await text(set.encoded, index),
      ...(set.second === undefined ? [] : [await text(set.second, index)]),
      set.classes?.[set.labels?.[index] ?? -1],
    ]),
  );
  return { rows, names: [...files.keys()] };
}

const csv = (cells: readonly (readonly string[])[]) =>
  cells.map((row) => `${row.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(",")}\n`).join("");
const FORTY = Array.from({ length: 40 }, (_, index) => [`text "${index}",\n more`, index % 2 === 0 ? "good" : "bad"]);
const SPLITS = ["head", "adapt", "val", "test"];

describe("one collection of texts", () => {
  it("is divided class by class, always alike, into a manifest that reads back", async () => {
    writeAt(root, "one/reviews.csv", csv([["review", "sentiment"], ...FORTY]));
    writeAt(root, "two/other.jsonl", FORTY.map(([text, label]) => `${JSON.stringify({ text, label })}\n`).join(""));
    const source = await look("one/reviews.csv");
    expect([source.classes, [...source.counts]]).toEqual([
      ["bad", "good"],
      expect.arrayContaining([
        ["head", 12],
        ["adapt", 12],
        ["test", 12],
        ["val", 4],
      ]),
    ]);
    expect(source.assumed).toBe(
      "mood: one collection, divided by chance class by class (head 30 %, test 30 %, adapt 30 %, val 10 %)",
    );
    expect(source.notices.map((text) => text.replace(/.*reviews.csv: /, ""))).toEqual([
      "the labels are those of column sentiment; to take another, call it label in the table",
    ]);
    const parts = await Promise.all(SPLITS.map(async (split) => (await written(source, split)).rows));
    expect(parts.flat().toSorted()).toEqual(FORTY.toSorted());
    expect((await written(source, "head")).names).toEqual(["texts/mood/manifest.csv", "suite.yaml", "config.yaml"]);
    expect((await look("two/other.jsonl")).manifest).toEqual(source.manifest);
  });

  it("keeps texts that are the same but for blanks and composition in one split", async () => {
    const repeats = ["caf\u00e9 ", " cafe\u0301", "caf\u00e9"].map((text) => [text, "good"]);
    writeAt(root, "repeats/all.csv", csv([["text", "label"], ...FORTY, ...repeats]));
    const source = await look("repeats/all.csv");
    const same = source.manifest?.filter(({ example }) => example.trim().normalize() === "café") ?? [];
    expect([same.length, new Set(same.map(({ split }) => split)).size]).toEqual([3, 1]);
    expect(source.notices).toEqual([
      `${join(root, "repeats")}: 2 of 43 texts are the same as one before: they stay in one split`,
    ]);
  });

  it("names the classes that are too small for every split", async () => {
    writeAt(root, "thin/all.csv", csv([["text", "label"], ...FORTY, ["a rare one", "rare"]]));
    const source = await look("thin/all.csv");
    expect(source.manifest?.filter(({ label }) => label === "rare").map(({ split }) => split)).toEqual(["head"]);
    expect(source.notices).toEqual([
      `${join(root, "thin")}: a class has too few examples for every split: rare (only in head)`,
    ]);
  });

  it("of pairs keeps both texts; of numbers has classes by number", async () => {
    const rows = Array.from({ length: 8 }, (_, index) => [
      `p${index}`,
      index < 2 ? "" : `h ${index}`,
      String(index % 2),
    ]);
    writeAt(root, "pairs/nli.csv", csv([["premise", "hypothesis", "label"], ...rows]));
    const source = await look("pairs/nli.csv");
    expect([source.classes, source.areNumbers]).toEqual([["0", "1"], true]);
    const parts = await Promise.all(
      SPLITS.map(async (split) => (await written(source, split).catch(() => ({ rows: [] }))).rows),
    );
    expect(parts.flat().toSorted()).toEqual(rows.toSorted());
  });

  it("may be parquet, or a folder per class", async () => {
    const { texts } = {
      texts: JSON.parse(readFileSync(join(import.meta.dirname, "../../data/readers/parquet/texts.json"), "utf8")),
    };
    writeAt(root, "parquet/films.parquet", Buffer.from(texts.string, "base64"));
    const source = await look("parquet/films.parquet", false);
    expect(source.manifest?.map(({ example }) => example).toSorted()).toEqual([
      "",
      "a good film",
      "naïve",
      "schlecht 🦊\nsehr",
    ]);
    for (const [label, text] of [
      ["pos", "good"],
      ["pos", "fine"],
      ["neg", "bad"],
      ["neg", "poor"],
    ])
      writeAt(root, `folders/${label}/${text}.txt`, `${text}\n`);
    const folders = await look("folders", false);
    expect(folders.manifest?.map(({ example, label }) => [example, label]).toSorted()).toEqual([
      ["bad\n", "neg"],
      ["fine\n", "pos"],
      ["good\n", "pos"],
      ["poor\n", "neg"],
    ]);
  });
});

describe("texts with splits, without labels, and wrong ones", () => {
  it("keep their splits", async () => {
    writeAt(root, "own/train.tsv", "sentence\tlabel\na\t1\nb\t0\nc\t1\n");
    writeAt(root, "own/dev.tsv", "sentence\tlabel\nd\t1\ne\t0\n");
    const source = await look("own");
    expect([source.manifest, [...(source.splits ?? [])], source.headSplit, source.classes]).toEqual([
      undefined,
      [
        ["adapt", "train"],
        ["test", "dev"],
      ],
      "adapt",
      ["0", "1"],
    ]);
    expect((await written(source, "test")).rows).toEqual([
      ["d", "1"],
      ["e", "0"],
    ]);
  });

  it("say where their columns are named: in the suite, which reads them where they are", async () => {
    for (const split of ["train", "test"]) writeAt(root, `near/${split}.csv`, "text,Category\na b,x\nc d,y\n");
    const { notices } = await look("near");
    expect(notices.map((text) => text.replace(/.*\.csv: /, ""))).toContain(
      "the labels are those of column Category; to take another, call it label in the table, or set dataset.label_column in suite.yaml",
    );
  });

  it("without labels are all learned from", async () => {
    writeAt(root, "bare/some.jsonl", '{"text":"a"}\n{"text":"b"}\n');
    const source = await look("bare/some.jsonl", false);
    expect([source.assumed, [...(source.splits ?? [])]]).toEqual([
      "mood: no labels: all texts are learned from, none is judged",
      [["adapt", "some"]],
    ]);
    expect((await written(source, "adapt")).rows).toEqual([
      ["a", undefined],
      ["b", undefined],
    ]);
  });

  it("are refused with the flag they were given by", async () => {
    writeAt(root, "wrong/notes.docx", "");
    writeAt(root, "wrong/twice.csv", "text,label\na,x\n");
    writeAt(root, "wrong/twice.jsonl", "{}");
    writeAt(root, "wrong/high.csv", "text,label\na,0\nb,5000000\n");
    for (const [path, flag, message] of [
      ["bare/some.jsonl", "--texts", "--texts mood: .*: expected labels .*, or labelled texts"],
      [
        "wrong/notes.docx",
        "--data",
        "--data mood: .*expected a folder or a .csv, .tsv, .jsonl, .json or .parquet file",
      ],
      ["wrong/twice.jsonl", "--texts", "expected a name of its own, found .*twice.csv beside it"],
      ["wrong/twice.csv", "--texts", "expected at least 2 classes, found 1 \\(x\\) for 1 texts"],
      ["wrong/high.csv", "--texts", "expected labels below 1000000, found 5000000"],
    ] as const) {
      const error = await look(path, true, flag).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(DataError);
      expect(String(error)).toMatch(new RegExp(message));
    }
  });
});

describe("the kind of the examples", () => {
  const given = (...flags: readonly GivenExamples["flag"][]) => ({
    base: "org/base",
    experts: [{ path: join(root, "no-expert") }],
    examples: flags.map((flag, index) => ({ name: `e${index}`, path: "", flag })),
  });

  it("is what the base takes; before it is here, what was said", async () => {
    expect(await exampleKind(given("--texts"), { config: { model_type: "clip" } })).toBe("image");
    expect(await exampleKind(given("--data", "--texts"), undefined)).toBe("text");
    await expect(exampleKind(given("--data"), undefined)).rejects.toThrow("say --images or --texts instead");
    writeAt(root, "no-expert/config.json", '{"model_type":"clip"}');
    expect(await exampleKind(given("--data"), undefined)).toBe("image");
  });

  it("must be what was said", () => {
    expect(() => requireKind(given("--data", "--texts"), "image")).toThrow(
      "--texts e1: expected images, which the base org/base takes, found texts; give --images e1=PATH, or a base that takes texts",
    );
    expect(() => requireKind(given("--data", "--texts"), "text")).not.toThrow();
  });
});
