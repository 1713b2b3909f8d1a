/** Corruptions of texts: how much they change, that the same seed and place give the same text, and that each kind of example has its own. */
import { describe, expect, it } from "vitest";
import { corruptions } from "../../../src/data/image/corruptions/registry.js";
import { corruptText, textCorruptions } from "../../../src/data/text/corruptions/registry.js";

const WORDS = "several quick brown foxes jump over the lazy sleeping watchdogs behind another garden".split(" ");
const LONG = Array.from({ length: 400 }, (_, index) => WORDS[(index * 7) % WORDS.length]).join(" ");

const of = (name: string, severity: number, text = LONG, index = 0, part: 0 | 1 = 0) =>
  corruptText(text, { name, severity, seed: 3 }, index, part);

/** The share of words of at least four letters that differ, word by word. */
function changed(text: string): number {
  const [before, after] = [LONG.split(" "), text.split(" ")];
  const long = before.flatMap((word, index) => (word.length >= 4 ? [index] : []));
  return long.filter((index) => before[index] !== after[index]).length / long.length;
}

describe.each([...textCorruptions.keys()])("%s", (name) => {
  it("gives the same text for a seed and a place, and another for another place", () => {
    expect(of(name, 3)).toBe(of(name, 3));
    expect(of(name, 3)).not.toBe(of(name, 3, LONG, 1));
    expect(of(name, 3)).not.toBe(of(name, 3, LONG, 0, 1));
  });

  it.each(["", " ", "a", "ab", "\u4e2d\u6587", "x\u0301y\u0301z\u0301"])("leaves %j a text", (text) => {
    for (let index = 0; index < 20; index++) {
      const found = of(name, 5, text, index);
      expect(found).not.toMatch(/\p{Surrogate}/u);
      expect(found === "").toBe(text === "");
    }
  });

  it("is refused beyond five severities", () => {
    expect(() => of(name, 6)).toThrow(
      `data.corruption_severity: expected one of 1, 2, 3, 4, 5 with corruption ${name}, found 6`,
    );
  });
});

it("typing errors are in the documented shares of words, within them", () => {
  const shares = [1, 2, 3, 4, 5].map((severity) => changed(of("typos", severity)));
  // A swap of two equal letters changes nothing.
  for (const [index, share] of [0.1, 0.2, 0.3, 0.45, 0.6].entries())
    expect(Math.abs((shares[index] ?? 0) - share)).toBeLessThan(0.08);
  for (const [index, word] of of("typos", 5).split(" ").entries()) {
    const before = LONG.split(" ")[index] ?? "";
    expect([word[0], word.at(-1)]).toEqual([before[0], before.at(-1)]);
    if (before.length < 4) expect(word).toBe(before);
  }
  expect(of("typos", 5, "TITANIC ".repeat(50))).not.toMatch(/[a-z]/);
});

it("typing errors keep marks with their letters", () => {
  const word = "e\u0301".repeat(8);
  const texts = Array.from({ length: 30 }, (_, index) => of("typos", 5, word, index));
  expect(texts.some((text) => text !== word)).toBe(true);
  for (const text of texts) expect(text).toMatch(/^(e\u0301)+$/);
});

it("dropped words are in the documented shares, and one stays", () => {
  for (const [index, share] of [0.05, 0.1, 0.2, 0.3, 0.4].entries()) {
    const left = of("dropped_words", index + 1)
      .trim()
      .split(/\s+/).length;
    expect(Math.abs(1 - left / 400 - share)).toBeLessThan(0.06);
  }
  for (let index = 0; index < 50; index++) expect(of("dropped_words", 5, "one two", index).trim()).not.toBe("");
});

it("swapped words are the same words, blanks in their places", () => {
  const text = "a  b\tc d\ne f";
  const found = of("swapped_words", 5, text);
  expect(found).not.toBe(text);
  expect([...found].sort()).toEqual([...text].sort());
  expect(found.replace(/\S/g, "x")).toBe(text.replace(/\S/g, "x"));
  expect(of("swapped_words", 1, "one two")).toBe("two one");
});

it("names are of one kind only", () => {
  for (const name of textCorruptions.keys()) expect(corruptions.has(name)).toBe(false);
  expect(() => of("gaussian_noise", 3)).toThrow(
    "data.corruption: expected one of texts (typos, dropped_words, swapped_words) or none, found gaussian_noise",
  );
});
