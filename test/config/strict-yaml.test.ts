/** The reader of all YAML: what it refuses, with lines, in which time; and where values are. */
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readMergeFile } from "../../src/config/merge-file.js";
import { parseStrict, parseYaml } from "../../src/config/strict-yaml.js";
import { openSweep } from "../../src/config/sweep.js";
import { readmeFiles } from "../../src/data/readers/readme-configs.js";
import { openSuite } from "../../src/data/suite.js";
import { ConfigError, DataError } from "../../src/errors.js";
import { openExperiment } from "../../src/experiment/experiment-file.js";
import { readRun } from "../../src/track/read-run.js";

/** A billion strings, in 400 bytes. */
const BOMB = Array.from({ length: 9 }, (_, i) =>
  i === 0 ? "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" : `a${i}: &a${i} [${`*a${i - 1}, `.repeat(10)}]\n`,
).join("");
const ALIAS = "alias *a0: write the value out instead";
const TOO_MUCH = [BOMB, 5, "alias *a3: expected aliases for at most 100000 values"] as const;
const DEEP = "expected values inside each other some 100 levels deep at most, found more";

describe("refused, with the line", () => {
  it.each([
    ["aliases", BOMB, `f.yaml:2: ${ALIAS}`],
    ["a merge of keys", "a: &a0 {b: 1}\nc:\n  <<: *a0\n", `f.yaml:3: ${ALIAS}`],
    ["equal keys", "a: 1\nb: 2\na: 3\n", "f.yaml:3: this key is set a second time; keep one of the two"],
    ["equal keys inside", "a:\n  - {b: 1, c: 2, b: 3}\n", "f.yaml:2: this key is set a second time"],
    ["a number and a text that are one key", "1: a\n'1': b\n", "f.yaml:2: this key is set a second time"],
    ["a list as a key", "? [a, b]\n: 1\n", "f.yaml:1: expected a key that is a text or number"],
    ["two documents", "a: 1\n---\nb: 2\n", "f.yaml:2: expected one YAML document, found a second"],
    ["a tag", "a: 1\nb: !!python/object:os.system x\n", "f.yaml:2: not valid YAML: Unresolved tag"],
    ["a list that is not closed", "a: [1,\n", "f.yaml:2: not valid YAML"],
    ["a tab", "a:\n\tb: 1\n", "f.yaml:2: not valid YAML"],
    ["lists in lists", "[".repeat(100_000), `f.yaml:1: ${DEEP}`],
    ["lists of dashes", `a:\n  - 1\nb:\n  ${"- ".repeat(100_000)}`, `f.yaml:4: ${DEEP}`],
    ["maps in maps", "{a: ".repeat(100_000), `f.yaml:1: ${DEEP}`],
    ["keys in keys", "? ".repeat(100_000), `f.yaml:1: ${DEEP}`],
    [
      "too much",
      `a: ${"x".repeat(10_000_000)}`,
      "f.yaml:1: expected YAML of at most 10000000 characters, found 10000003",
    ],
  ])("%s", (_, text, message) => {
    const started = performance.now();
    expect(() => parseYaml(text, "f.yaml", { Failure: DataError })).toThrow(DataError);
    expect(() => parseYaml(text, "f.yaml", { Failure: DataError })).toThrow(message);
    // The fault would be minutes, or no end.
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it("in a time that grows with the size: 20,000 keys, of which the last is there twice", () => {
    const keys = Array.from({ length: 20_000 }, (_, i) => `key${i}: ${i}\n`).join("");
    const started = performance.now();
    expect(parseStrict(`${keys}key0: 1\n`).problems).toEqual([
      { line: 20_001, text: "this key is set a second time; keep one of the two" },
    ]);
    // Each key compared with each took 19 seconds where this takes one.
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it("with few of the mistakes of a file of another kind", () => {
    const { problems } = parseStrict("%PDF: [\n".repeat(1000));
    expect(problems.length).toBeLessThan(25);
    expect(problems.length).toBeGreaterThan(0);
  });
});

it("knows where values are, and the nearest parent of those that are not there", () => {
  const { value, locate } = parseYaml("a:\n  - b: 1\n    c:\n  - d\n\n__proto__: 2\n", "f.yaml");
  expect(JSON.stringify(value)).toBe('{"a":[{"b":1,"c":null},"d"],"__proto__":2}');
  const places: [PropertyKey[], number][] = [
    [["a", 0, "b"], 2],
    [["a", 0, "c"], 3],
    [["a", 1], 4],
    [["a", 1, "x"], 4],
    [["a", 7], 2],
    [["__proto__"], 6],
    [[], 1],
  ];
  for (const [path, line] of places) expect(locate(path), path.join(".")).toBe(`f.yaml:${line}`);
});

describe("all files are read with it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "strict-yaml-"));
  const path = (name: string) => join(folder, name);
  const readers: Readonly<Record<string, () => Promise<unknown>>> = {
    "merge.yaml": () => readMergeFile(path("merge.yaml")),
    "sweep.yaml": () => openSweep(path("sweep.yaml"), folder),
    "suite.yaml": () => openSuite(folder),
    "experiment.yaml": () => openExperiment(path("experiment.yaml"), folder, folder),
    "config.yaml": () => readRun(folder),
  };
  const takesAliases = new Set(["merge.yaml", "experiment.yaml"]);
  // What makes the folder that of a run.
  await writeFile(path("status.json"), "{}");
  it.each(Object.entries(readers))("%s", async (name, read) => {
    for (const [text, line, problem] of [
      ...(takesAliases.has(name) ? [TOO_MUCH] : [[BOMB, 2, ALIAS] as const]),
      [`a: 1\nb: ${"[".repeat(100_000)}`, 2, DEEP],
      ["a: 1\n---\nb: 1\n", 2, "expected one YAML document"],
    ] as const) {
      await writeFile(path(name), text);
      const error: unknown = await read().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(ConfigError);
      expect(String(error)).toContain(`${name}:${line}: ${problem}`);
      // Said once.
      expect(String(error).split("\n")[0]?.split(folder).length).toBe(2);
    }
  });

  it("the head of a data set's README, where its files are looked up there", () => {
    const ask = (head: string) => () =>
      readmeFiles(`---\nlicense: mit\n${head}\n---\nText.\n`, {
        names: [],
        extensions: ["parquet"],
        split: "test",
        config: undefined,
      });
    expect(ask("configs: &a0 [*a0]")).toThrow(DataError);
    expect(ask("configs: &a0 [*a0]")).toThrow(`README.md:3: ${ALIAS}`);
    expect(ask(`configs: ${"[".repeat(100_000)}`)).toThrow(`README.md:3: ${DEEP}`);
  });
});

describe("aliases, for readers that take them", () => {
  const read = (text: string) => parseYaml(text, "f.yaml", { aliases: true });

  it("stand for the last value of their name before them", () => {
    const { value, locate } = read("a: &x {b: [1]}\nc: *x\nd: &x 2\ne: [*x, *x]\n");
    expect(JSON.parse(JSON.stringify(value))).toEqual({ a: { b: [1] }, c: { b: [1] }, d: 2, e: [2, 2] });
    expect(locate(["c", "b", 0])).toBe("f.yaml:1");
    expect(locate(["e", 1])).toBe("f.yaml:4");
  });

  it.each([
    ["a bomb", BOMB, /^f\.yaml:5: alias \*a3: expected aliases for at most 100000 values, 100 inside each other;/],
    ["themselves", "a: &a [1, *a]\n", /^f\.yaml:1: alias \*a: stands inside of &a itself$/],
    ["nothing", "a: *a\n", /^f\.yaml:1: /],
    [
      "a chain",
      Array.from({ length: 200 }, (_, i) => `a${i}: &a${i} [${i === 0 ? "x" : `*a${i - 1}`}]\n`).join(""),
      /^f\.yaml:\d+: alias \*a\d+: expected aliases for at most/,
    ],
  ])("%s is refused", (_, text, message) => {
    expect(() => read(text)).toThrow(message);
  });

  it("are taken in experiments, as the shipped ones have them", async () => {
    const root = join(import.meta.dirname, "..", "..");
    const file = join(root, "experiments", "mini8-main.yaml");
    expect((await openExperiment(file, root, root)).rows.length).toBeGreaterThan(30);
  });
});
