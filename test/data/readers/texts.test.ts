/** Texts from tables by lines and folders: how columns and labels are found, what is said of odd rows, what is refused with its place. */
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { datasetSplits, type OpenDatasetOptions, openDataset } from "../../../src/data/dataset.js";
import type { Dataset } from "../../../src/data/readers/dataset-reader.js";
import { textStore } from "../../../src/data/text/text-store.js";
import { DataError } from "../../../src/errors.js";
import { temporaryFolder, writeAt } from "../temporary-folder.js";

const root = temporaryFolder();
let made = 0;
const put = (files: Readonly<Record<string, string | Uint8Array>>): string => {
  const folder = `set${made++}`;
  for (const [name, content] of Object.entries(files)) writeAt(root, `${folder}/${name}`, content);
  return join(root, folder);
};
const open = (path: string, more: Partial<OpenDatasetOptions> = {}) =>
  openDataset({ kind: "text", path, split: "test", where: "tasks.x", ...more });
const textAt = async (set: Dataset, index: number) => Buffer.from(await set.encoded(index)).toString();
const textsOf = (set: Dataset) => Promise.all(Array.from({ length: set.size }, (_, index) => textAt(set, index)));
const secondsOf = (set: Dataset) =>
  Promise.all(
    Array.from({ length: set.size }, async (_, index) => Buffer.from((await set.second?.(index)) ?? "none").toString()),
  );

describe("tables of texts", () => {
  const ROWS = ["good, really", 'say "no"\nand go', "", "naïve 🦊"];
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  const LABELS = ["pos", "neg", "neg", "pos"];
  const json = ROWS.map((text, index) => JSON.stringify({ text, label: LABELS[index] })).join("\n");
  const csv = `text,label\n${ROWS.map((text, index) => `${quoted(text)},${LABELS[index]}\n`).join("")}`;

  it.each<readonly [string, Readonly<Record<string, string | Uint8Array>>]>([
    ["CSV", { "test.csv": csv }],
    ["CSV with Windows line ends", { "test.csv": csv.replaceAll(/\n(?!and)/g, "\r\n") }],
    ["CSV with a byte order mark", { "test.csv": `\ufeff${csv}` }],
    ["CSV in the folder data", { "data/test.csv": csv }],
    [
      "CSV of all splits",
      {
        "manifest.csv": csv.replaceAll(
          /(label|pos|neg)\n/g,
          (_, end) => `${end},${end === "label" ? "split" : "test"}\n`,
        ),
      },
    ],
    ["TSV", { "test.tsv": csv.replaceAll(/,(label|pos|neg)\n/g, "\t$1\n") }],
    ["JSON lines", { "test.jsonl": json }],
    [
      "JSON lines with a byte order mark and blank lines",
      { "test.json": `\ufeff${json.replaceAll("\n", "\r\n\n")}\n` },
    ],
    ["packed JSON lines", { "test.jsonl.gz": gzipSync(json) }],
    ["packed CSV", { "test.csv.gz": gzipSync(csv) }],
    [
      "shards",
      {
        "test-00000-of-00002.jsonl": `${json.split("\n").slice(0, 3).join("\n")}\n`,
        "test-00001-of-00002.jsonl": json.split("\n").slice(3).join("\n"),
      },
    ],
  ])("as %s are read; an empty text is kept and counted", async (_, files) => {
    const set = await open(put(files));
    expect(await textsOf(set)).toEqual(ROWS);
    expect([set.kind, set.classes, [...(set.labels ?? [])], set.second]).toEqual([
      "text",
      ["neg", "pos"],
      [1, 0, 0, 1],
      undefined,
    ]);
    expect(set.notices?.filter((notice) => notice.includes("1 empty text, kept (the first in line "))).toHaveLength(1);
  });

  it("in the places that README.md names are read", async () => {
    const readme = "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: test\n    path: held/*.csv\n---\n";
    const path = put({ "README.md": readme, "held/a.csv": "text,label\none,x\n", "held/b.csv": "text,label\ntwo,y\n" });
    const set = await open(path);
    expect(await textsOf(set)).toEqual(["one", "two"]);
    expect(set.locate(1)).toBe(`${join(path, "held/b.csv")}:2`);
  });

  it("are found by their splits", async () => {
    const path = put({ "train.jsonl": json, "dev.csv": csv, "notes.json": "{}", "test/pos/0.txt": "x" });
    expect(await datasetSplits(path, "text", "x")).toEqual(["dev", "train"]);
    expect((await open(path, { split: "dev" })).size).toBe(4);
    await expect(open(put({ "train.csv": csv }))).rejects.toThrow(
      "expected split test as table (<split>.csv, .tsv or .jsonl, or manifest.csv (columns text, label)) or Hugging Face parquet text data set (",
    );
    await expect(open(put({ "train.csv": csv }))).rejects.toThrow(", found none (there are train)");
    await expect(datasetSplits(put({ "a.png": "" }), "text", "x")).rejects.toThrow(
      /expected texts as .*found none \(there are 1 \.png \(a\.png\)\)/,
    );
  });

  /** Header -> columns of the texts and of the labels (by the values of the row, which are the names), or the error. */
  it.each<readonly [string, readonly [text: string, pair: string, labels: string] | string]>([
    ["text,label", ["text", "none", "label"]],
    ["label,sentence", ["sentence", "none", "label"]],
    ["review,sentiment", ["review", "none", "sentiment"]],
    ["content,title,stars", ["content", "none", "stars"]],
    ["id,Tweet,Category", ["Tweet", "none", "Category"]],
    ["sentence1,sentence2,label", ["sentence1", "sentence2", "label"]],
    ["premise,hypothesis,label", ["premise", "hypothesis", "label"]],
    ["question,sentence,label", ["question", "sentence", "label"]],
    ["question,answer,label", ["question", "answer", "label"]],
    ["text,text_pair,label", ["text", "text_pair", "label"]],
    ["sentence_A,sentence_B,label", ["sentence_A", "sentence_B", "label"]],
    ["text,question,answer,label", ["text", "none", "label"]],
    ["question,label", ["question", "none", "label"]],
    [
      "premise,hypothesis,text1,text2,label",
      "of which several could be the pair (text1 and text2, or premise and hypothesis): for each of the two, set dataset.text_column in suite.yaml and set dataset.pair_column in suite.yaml",
    ],
    [
      "message,comment,label",
      "of which message and comment could be meant: for the one that is, set dataset.text_column in suite.yaml",
    ],
    ["x,y,label", ":1: expected a column text, found x, y, label; set dataset.text_column in suite.yaml"],
  ])("with columns %s", async (header, expected) => {
    const path = put({ "test.csv": `${header}\n${header}\n` });
    if (typeof expected === "string") {
      await expect(open(path)).rejects.toThrow(expected);
      return;
    }
    const set = await open(path);
    expect([await textAt(set, 0), (await secondsOf(set))[0], set.classes?.[0]]).toEqual(expected);
    const isUsual = /^(?:text|sentence|content|review)$/.test(expected[0]) && expected[1] === "none";
    const said = (set.notices ?? []).filter((notice) => /the texts are/.test(notice));
    expect(said).toHaveLength(isUsual ? 0 : 1);
  });

  it("take the columns that are named, and refuse those of images and those that are not there", async () => {
    const path = put({ "test.csv": "premise,hypothesis,why,label\na,b,c,x\n" });
    const named = (parameters: object) => open(path, { parameters });
    const set = await named({ text_column: "why" });
    expect([await textAt(set, 0), set.second]).toEqual(["c", undefined]);
    expect(await secondsOf(await named({ text_column: "premise", pair_column: "why" }))).toEqual(["c"]);
    await expect(named({ text_column: "wy" })).rejects.toThrow(":1: expected a column wy, found premise, hypothesis");
    await expect(named({ text_column: "why", pair_column: "no" })).rejects.toThrow(
      ":1: expected a column no, found premise, hypothesis, why, label; set dataset.pair_column in suite.yaml",
    );
    await expect(named({ image_column: "why" })).rejects.toThrow("unknown key `image_column`");
  });

  it.each<readonly [string, Readonly<Record<string, string | Uint8Array>>, string]>([
    [
      "a row of another length",
      { "test.csv": "text,label\na,x\nb\n" },
      "Invalid Record Length: expect 2, got 1 on line 3",
    ],
    [
      "a broken quote",
      { "test.csv": 'text,label\n"a"b,x\n' },
      "expected CSV with a header row (RFC 4180), found: Invalid Closing Quote",
    ],
    [
      "another encoding",
      { "test.csv": Buffer.from("text,label\na,x\ncaf\xe9,y\n", "latin1") },
      "test.csv:3: expected CSV in UTF-8, found caf\\xe9,y",
    ],
    ["no rows", { "test.csv": "text,label\n" }, "expected at least 1 text of split test, found none"],
    ["nothing", { "test.jsonl": "" }, "expected at least 1 text of split test, found an empty file"],
    [
      "a missing label",
      { "test.jsonl": '{"text":"a","label":"x"}\n{"text":"b"}' },
      "test.jsonl:2: expected a value for label",
    ],
    [
      "a missing text",
      { "test.jsonl": '{"text":"a"}\n\n{"label":"b"}' },
      "test.jsonl:3: expected a text in column text, found none",
    ],
    [
      "a null",
      { "test.jsonl": '{"text":null}' },
      "test.jsonl:1: expected a text in column text, found none; remove the row",
    ],
    ["a number", { "test.jsonl": '{"text":7}' }, "test.jsonl:1: expected a text in column text, found a number"],
    [
      "half a letter",
      { "test.jsonl": '{"text":"a\\ud800"}' },
      "test.jsonl:1: expected a text in column text, found half a letter",
    ],
    [
      "a label that is none",
      { "test.jsonl": '{"text":"a","label":[1]}' },
      "test.jsonl:1: expected a class number or the name of a class, found",
    ],
    ["no JSON", { "test.jsonl": '{"text":"a"}\nb\n' }, "test.jsonl:2: expected a JSON object in one line, found b ("],
    ["a list", { "test.json": '[{"text":"a"}]' }, "test.json:1: expected a JSON object in one line, found a list"],
    ["an object over lines", { "test.json": '{\n"text":"a"}' }, "test.json:1: expected a JSON object in one line"],
    ["depth", { "test.jsonl": `{"text":${"[".repeat(300)}${"]".repeat(300)}}` }, "more than 200 levels deep"],
    [
      "other encoding in JSON",
      { "test.jsonl": Buffer.from('{"text":"\xe9"}\n', "latin1") },
      'test.jsonl:1: expected JSON lines in UTF-8, found {"text":"\\xe9"} in another'.replaceAll('"', '\\"'),
    ],
    [
      "bytes that are not packed",
      { "test.csv.gz": "text\na\n" },
      "test.csv.gz: expected a file packed with gzip, found: incorrect header check",
    ],
    [
      "a packed file cut off",
      { "test.csv.gz": gzipSync(csv).subarray(0, 40) },
      "expected a file packed with gzip, found: unexpected end of file",
    ],
    [
      "a missing shard",
      { "test-00000-of-00002.csv": csv },
      "expected the shards 0 to 1 once each, found 1 files without shard 1",
    ],
  ])("with %s are refused", async (_, files, message) => {
    const error = await open(put(files)).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(DataError);
    expect(String(error)).toContain(message);
  });

  it("of a line without an end are refused", async () => {
    const long = `{"text":"${"x".repeat(11_000_000)}`;
    await expect(open(put({ "test.jsonl": long }))).rejects.toThrow(
      "test.jsonl:1: expected a JSON object in one line of at most 10000000 characters, found 11000009",
    );
    await expect(open(put({ "test.jsonl": long.repeat(4) }))).rejects.toThrow(
      "expected JSON lines with lines of at most 10000000 characters, found a longer one",
    );
  });

  it("in TSV keep quotes that are letters", async () => {
    const set = await open(put({ "test.tsv": 'sentence\tlabel\nit \'s "fun" .\t1\n"so" bad\t0\n' }));
    expect(await textsOf(set)).toEqual(['it \'s "fun" .', '"so" bad']);
  });
});

describe("labels of tables of texts", () => {
  const labelled = (...labels: readonly string[]) =>
    put({ "test.csv": `text,label\n${labels.map((label) => `a,${label}\n`).join("")}` });
  const found = async (path: string, classes?: readonly string[]) => {
    const set = await open(path, { classes });
    return [set.classes, set.labels && [...set.labels], set.unlabelled?.replace(/.*found /, "")];
  };

  it.each<readonly [readonly string[], readonly string[] | undefined, readonly unknown[]]>([
    [["1", "0", "2"], undefined, [undefined, [1, 0, 2], undefined]],
    [["1.0", "0.0"], undefined, [undefined, [1, 0], undefined]],
    [
      ["1", "0"],
      ["bad", "good"],
      [["bad", "good"], [1, 0], undefined],
    ],
    [
      ["10", "2", "0"],
      Array.from({ length: 11 }, (_, label) => String(label)),
      [Array.from({ length: 11 }, (_, label) => String(label)), [10, 2, 0], undefined],
    ],
    [["1", "10", "2"], undefined, [["1", "2", "10"], [0, 2, 1], undefined]],
    [
      ["1", "2"],
      ["1", "2"],
      [["1", "2"], [0, 1], undefined],
    ],
    [["b", "a", "1"], undefined, [["1", "a", "b"], [2, 1, 0], undefined]],
    [["-1", "-1"], undefined, [undefined, undefined, "only -1 in column label"]],
    [["", ""], undefined, [undefined, undefined, "nothing in column label"]],
  ])("%j with classes %j", async (labels, classes, expected) => {
    expect(await found(labelled(...labels), classes)).toEqual(expected);
  });

  it("of JSON are numbers, booleans and names alike", async () => {
    const path = put({ "test.jsonl": '{"text":"a","label":true}\n{"text":"b","label":0}\n{"text":"c","label":"1"}' });
    expect(await found(path)).toEqual([undefined, [1, 0, 1], undefined]);
  });

  it("have the names of README.md, where nobody else has some", async () => {
    const readme = `---\ndataset_info:\n  features:\n  - name: text\n    dtype: string\n  - name: label\n    dtype:\n      class_label:\n        names:\n          '0': neg\n          '1': pos\n---\n`;
    expect(await found(put({ "README.md": readme, "test.csv": "text,label\na,1\nb,0\n" }))).toEqual([
      ["neg", "pos"],
      [1, 0],
      undefined,
    ]);
  });

  it("that are no classes of the head are refused with their row", async () => {
    await expect(found(labelled("0", "1", "2"), ["bad", "good"])).rejects.toThrow(
      /test\.csv:4: expected a label 0 to 1 \(2 classes\), found 2/,
    );
    await expect(found(labelled("x", "good"), ["bad", "good"])).rejects.toThrow("only in the data set: x");
    await expect(found(labelled("0", "-1"))).rejects.toThrow("test.csv:3: expected a value for label");
  });
});

describe("folders of texts", () => {
  it("have a class per folder; a byte order mark is no letter, and what is beside is counted", async () => {
    const path = put({
      "test/pos/0.txt": "\ufeffgood",
      "test/pos/1.TXT": "",
      "test/neg/0.txt": "bad\n",
      "test/neg/0.json": "{}",
      "test/urls.txt": "http",
    });
    const set = await open(path);
    expect(await textsOf(set)).toEqual(["bad\n", "good", ""]);
    expect([set.classes, [...(set.labels ?? [])]]).toEqual([
      ["neg", "pos"],
      [0, 1, 1],
    ]);
    expect(set.notices).toEqual([
      `${join(path, "test")}: passed over: 1 texts beside class folders (urls.txt), 1 .json (neg/0.json)`,
      `${join(path, "test")}: 1 empty text, kept (the first 1.TXT)`,
    ]);
    expect(await datasetSplits(path, "text", "x")).toEqual(["test"]);
  });

  it("without folders are unlabelled; other encodings are refused with their place", async () => {
    const path = put({
      "test/a.txt": Buffer.from("ab caf\xe9!", "latin1"),
      "test/b.txt": Buffer.from("é").subarray(0, 1),
    });
    const set = await open(path);
    expect([set.size, set.labels]).toEqual([2, undefined]);
    await expect(set.encoded(0)).rejects.toThrow(
      `${join(path, "test/a.txt")}: expected a text in UTF-8, found the bytes e9 21 at byte 6; save it as UTF-8`,
    );
    await expect(set.encoded(1)).rejects.toThrow("expected a text in UTF-8, found");
  });
});

describe("the store of texts", () => {
  it("gives back what was put in, over the ends of its pieces, and bounds itself", () => {
    const store = textStore();
    const texts = ["a".repeat(4_194_300), "bcdefghé".repeat(5), "", "z".repeat(9_000_000), "end"];
    for (const text of texts) store.add(text, "x");
    for (const [index, text] of texts.entries())
      expect(Buffer.from(store.at(index)).toString() === text, String(index)).toBe(true);
    expect(store.size).toBe(5);
    expect(() => store.at(5)).toThrow(RangeError);
    const small = textStore(2 ** 20);
    small.add("a".repeat(2 ** 20), "x");
    expect(() => small.add("b", "tasks.x: test.csv:3")).toThrow(
      "tasks.x: test.csv:3: expected texts of at most 1 MiB in a split of a table",
    );
  });
});
