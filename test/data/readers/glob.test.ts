/** Patterns of names: what they mean, and that no pattern takes longer than its length times the name's. */
import { describe, expect, test } from "vitest";
import { parseGlob } from "../../../src/data/readers/glob.js";
import { readmeFiles } from "../../../src/data/readers/readme-configs.js";

test.each<[pattern: string, fits: string[], not: string[]]>([
  [
    "data/train-*.parquet",
    ["data/train-0.parquet", "data/train-.parquet"],
    ["data/train-a/b.parquet", "train-0.parquet"],
  ],
  ["**/*.parquet", ["a.parquet", "a/b/c.parquet"], ["a/b.parquet.txt"]],
  ["a/**", ["a/", "a/b", "a/b/c"], ["a", "b/a/c"]],
  ["?.parquet", ["a.parquet", "\u{1f600}.parquet"], ["ab.parquet", "/.parquet"]],
  ["a.b[c](d)+{e}|$^\\", ["a.b[c](d)+{e}|$^\\"], ["axb[c](d)+{e}|$^\\"]],
  ["***x", ["x", "a/x"], ["xy"]],
  ["*a*b*", ["ab", "xaxbx"], ["ba", "a/b"]],
  ["", [""], ["a"]],
])("%s", (pattern, fits, not) => {
  const glob = parseGlob(pattern);
  expect(fits.filter((name) => !glob.fits(name))).toEqual([]);
  expect(not.filter((name) => glob.fits(name))).toEqual([]);
});

test("equals the regular expression that it stands for, on random patterns and names", () => {
  let state = 1;
  const draw = (count: number) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % count;
  };
  const word = (letters: string, most: number) =>
    Array.from({ length: draw(most) }, () => letters[draw(letters.length)]).join("");
  for (let round = 0; round < 3000; round++) {
    const [pattern, name] = [word("ab/**?", 7), word("ab/", 9)];
    const source = pattern.replace(/\*\*+\/?|\*|\?/g, (part) =>
      part.startsWith("**") ? ".*" : part === "*" ? "[^/]*" : "[^/]",
    );
    expect([pattern, name, parseGlob(pattern).fits(name)]).toEqual([
      pattern,
      name,
      new RegExp(`^${source}$`).test(name),
    ]);
  }
});

describe("many stars", () => {
  const hostile = [`${"*a".repeat(400)}b`, `${"**a".repeat(300)}b`, "*".repeat(1000), `${"*?".repeat(400)}b`];
  test.each(hostile.map((pattern) => [pattern.slice(0, 12), pattern]))("%s... take no time", (_, pattern) => {
    const name = `data/${"a".repeat(900)}.parquet`;
    const start = performance.now();
    parseGlob(pattern).fits(name);
    expect(performance.now() - start).toBeLessThan(500);
  });

  test("in the card of a data set leave its other files to be found", () => {
    const name = `${"a".repeat(900)}.parquet`;
    const paths = [...hostile.map((pattern) => `    - "${pattern}"`), "    - plain.parquet"].join("\n");
    const card = `---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path:\n${paths}\n---\n`;
    const start = performance.now();
    const choice = readmeFiles(card, {
      names: [name, "plain.parquet"],
      extensions: ["parquet"],
      split: "train",
      config: undefined,
    });
    expect(choice?.files).toContain("plain.parquet");
    expect(performance.now() - start).toBeLessThan(2000);
  });

  test("are refused where there are very many of them, and of files", () => {
    const names = Array.from({ length: 50_000 }, (_, index) => `data/part-${index}.parquet`);
    const paths = Array.from({ length: 500 }, (_, index) => `    - "**${index}*x*"`).join("\n");
    const card = `---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path:\n${paths}\n---\n`;
    expect(() => readmeFiles(card, { names, extensions: ["parquet"], split: "train", config: undefined })).toThrow(
      "README.md: expected a few patterns of files for a split, found 500 for 50000 files",
    );
  });
});
