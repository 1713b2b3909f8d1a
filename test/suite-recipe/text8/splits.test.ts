/**
 * How text8 is drawn: near duplicates as connected components, equal and contradictory texts, quotas of classes, and
 * splits that share neither a text nor a group.
 */
import { expect, test } from "vitest";
import type { SourceText } from "../../../scripts/suite/text8/labelled-text.js";
import { TEXT_TASKS, UNSEEN_TASKS } from "../../../scripts/suite/text8/plan.js";
import { SPLITS } from "../../../scripts/suite/text8/split-sizes.js";
import { cappedShares, distinctTexts, drawSplits } from "../../../scripts/suite/text8/split-texts.js";
import { nearComponents, nearlyIn } from "../../../src/data/text/near-texts.js";
import { createRng } from "../../../src/runtime/rng.js";

const text = (words: string, label = 0, group = words): SourceText => ({ text: words, label, group });

/** Random sentences over a small vocabulary, so that many are near each other. */
function sentences(count: number): string[] {
  const rng = createRng("sentences");
  return Array.from({ length: count }, () =>
    Array.from({ length: 4 + rng.nextInt(5) }, () => `w${rng.nextInt(9)}`).join(" "),
  );
}

function jaccard(a: string, b: string): number {
  const [left, right] = [new Set(a.split(" ")), new Set(b.split(" "))];
  const shared = [...left].filter((word) => right.has(word)).length;
  return shared / (left.size + right.size - shared);
}

test.each([0.5, 0.8])("components of pairs at %s are those of a search over all pairs", (threshold) => {
  const texts = sentences(150);
  const components = texts.map((_, index) => index);
  for (const [i, a] of texts.entries()) {
    for (const [j, b] of texts.entries()) {
      const [from, to] = [components[i] ?? 0, components[j] ?? 0];
      if (j >= i || from === to || jaccard(a, b) < threshold) continue;
      for (const [k, component] of components.entries())
        if (component === Math.max(from, to)) components[k] = Math.min(from, to);
    }
  }
  expect([...nearComponents(texts, threshold)]).toEqual(components);
  expect(new Set(components).size).toBeLessThan(texts.length);
});

test("components go through a common neighbour and through groups; case and punctuation do not count", () => {
  const texts = ["a b c d e", "A, b; c d f!", "b c d f g", "x y z", "q r s"];
  expect([...nearComponents(texts, 0.6)]).toEqual([0, 0, 0, 3, 4]);
  expect([...nearComponents(texts, 0.6, [[3, 4]])]).toEqual([0, 0, 0, 3, 3]);
  expect(nearlyIn(["a b c d e f g h i", "a b"], ["i h g f e d c b"], 0.8)).toEqual([true, false]);
});

test("one of equal or near texts stays, none of those with two labels, none that was drawn before", () => {
  const source = [
    text("one two three four five"),
    text("One, two, three: four five."),
    text("alpha beta gamma delta epsilon", 0),
    text("alpha beta gamma delta epsilon", 1),
    text("a b c d e f g h i", 0),
    text("a b c d e f g h i j", 1),
    text("m n o p q r s t u", 1),
    text("m n o p q r s t u v", 1),
    text("already drawn somewhere else"),
  ];
  const { texts, dropped } = distinctTexts("t", source, ["Already drawn somewhere else!"]);
  expect(dropped).toEqual({ equal: 1, contradictory: 4, near: 1, inOtherTasks: 1 });
  expect(texts.map((kept) => kept.text.slice(0, 1).toLowerCase()).sort()).toEqual(["m", "o"]);
});

test("of loosely alike texts a few stay and share a group, across labels and the source's groups", () => {
  const source = ["a b", "a b c", "a b d", "a b e", "a b f", "z"].map((words, index) => text(words, index % 2));
  const { texts } = distinctTexts("t", source, [], { jaccard: 0.5, keep: 4 });
  expect(texts).toHaveLength(5);
  expect(new Set(texts.filter((kept) => kept.text !== "z").map(({ group }) => group)).size).toBe(1);
});

test("rare classes keep all, frequent ones are capped alike", () => {
  expect(cappedShares([5, 100, 200, 30], 100)).toEqual([5, 32, 32, 30]);
  expect(cappedShares([5, 10], 100)).toEqual([5, 10]);
});

test("splits have their sizes, share no group and hold every class; the same again when drawn again", () => {
  const counts = [40, 400, 900];
  const texts = counts.flatMap((count, label) =>
    Array.from({ length: count }, (_, index) => text(`${label} ${index}`, label, `${label} ${Math.floor(index / 3)}`)),
  );
  const sizes = { test: 60, val: 20, adapt: 40, train: 300 };
  const splits = drawSplits("t", texts, counts.length, sizes);
  const groups = new Map(texts.map((one) => [one.text, one.group]));
  const owners = new Map<string, string>();
  for (const split of SPLITS) {
    expect(new Set(splits[split].map(({ label }) => label)).size).toBe(counts.length);
    for (const drawn of splits[split]) {
      const group = groups.get(drawn.text) ?? "";
      expect(owners.get(group) ?? split).toBe(split);
      owners.set(group, split);
    }
  }
  expect([splits.test.length, splits.val.length, splits.adapt.length]).toEqual([60, 20, 40]);
  expect(splits.train.length).toBeGreaterThan(280);
  // 40 + 2 x 190 of 420: the rare class has 40 / 420 of the test split.
  expect(splits.test.filter(({ label }) => label === 0)).toHaveLength(6);
  // Shuffled again: a split does not come class by class.
  const labels = splits.test.map(({ label }) => label);
  expect(labels).not.toEqual([...labels].sort());
  expect(drawSplits("t", texts, counts.length, sizes)).toEqual(splits);
  expect(drawSplits("u", texts, counts.length, sizes)).not.toEqual(splits);
});

test("names, templates and classes of the plan", () => {
  const tasks = [...TEXT_TASKS, ...UNSEEN_TASKS];
  expect(new Set(tasks.map(({ name }) => name)).size).toBe(10);
  for (const { template, classes } of tasks) {
    expect(template.split("{}")).toHaveLength(2);
    expect(new Set(classes).size).toBe(classes.length);
  }
});
