/** What learning brought, in lines: signs, intervals, examples of strangers. */
import { expect, it } from "vitest";
import type { ChangedExamples, ShownExample } from "../../src/report/changed-examples.js";
import { changedLines, gainLines, verdictLine } from "../../src/report/learned-gain.js";

it("aligns gains and shows their signs", () => {
  expect(gainLines([])).toEqual([]);
  const gains = [
    { method: "learned", over: "weight_averaging", points: 11.54, interval: [9.1, 13.9] as const },
    { method: "a_longer_name", over: "weight_averaging", points: -0.42, interval: [-1.31, 0.4] as const },
    { method: "learned", over: "tsv_m", points: 0.5, interval: [-0.5, 1.5] as const },
  ];
  expect(gainLines(gains)).toEqual([
    "",
    "over weight_averaging, in points (95 % interval, paired by example):",
    "  learned        +11.5  (+9.1 to +13.9)",
    "  a_longer_name   -0.4  (-1.3 to +0.4)",
    "over tsv_m, the best here that learns nothing:",
    "  learned         +0.5  (-0.5 to +1.5)",
  ]);
});

it("credits learning with what it has over its start, not over averaging", () => {
  const gain = (over: string, low: number, high: number) => ({
    ...{ method: "learned", over, points: (low + high) / 2, interval: [low, high] as const },
  });
  expect(verdictLine(gain("weight_averaging", 9, 14))).toBe("the model is better than the plain mean of the experts");
  expect(verdictLine(gain("start", 0.1, 1))).toBe("learning paid: the model is better than its start");
  expect(verdictLine(gain("start", -0.5, 1))).toBe(
    "no clear difference between the model and its start on these examples",
  );
  expect(verdictLine(gain("start", -2, -1))).toMatch(/^learning did not pay: .* \(docs\/troubleshooting/);
});

const shown = (changes: Partial<ShownExample>): ShownExample => ({
  ...{ row: 7, label: "cat", before: "dog", after: "cat" },
  ...changes,
});
const task = (name: string, gained: readonly ShownExample[], lost: readonly ShownExample[] = []) => ({
  ...{ task: name, examples: 10, gained: 2 * gained.length, lost: 3 * lost.length },
  gainedExamples: [...gained],
  lostExamples: [...lost],
});
const changed = (tasks: ChangedExamples["tasks"]): ChangedExamples => ({
  ...{ split: "test", before: "weight_averaging", after: "learned" },
  tasks,
});

it("shows examples of tasks that have some, evenly chosen, and counts all", () => {
  const lost = shown({ text: "x".repeat(100), before: "cat", after: "dog" });
  const tasks = ["a", "b", "c", "d", "e"].map((name) =>
    task(name, name === "b" ? [] : [shown({ text: `text of ${name}` })]),
  );
  const lines = changedLines(changed([...tasks, task("z", [], [lost])]));
  expect(lines).toEqual([
    "",
    "learned against weight_averaging: 8 examples gained, 3 lost, among them",
    '  gained  a: "text of a"',
    "          cat, was taken for dog",
    '  gained  c: "text of c"',
    "          cat, was taken for dog",
    '  gained  d: "text of d"',
    "          cat, was taken for dog",
    `  lost    z: "${"x".repeat(57)}..."`,
    "          cat, is now taken for dog",
    "",
  ]);
});

it("shows images by their number, and lets no text move the cursor", () => {
  const image = shown({ png: "", before: "a\u001b[31mdog" });
  const [, , first, second] = changedLines(
    changed([task("a", [image]), task("b", [shown({ text: "a\nb\u001b[2J" })])]),
  );
  expect(first).toBe("  gained  a: image 7");
  expect(second).toBe("          cat, was taken for a\\u001b[31mdog");
  expect(changedLines(changed([task("b", [shown({ text: "a\nb\u001b[2J" })])]))[2]).toBe(
    '  gained  b: "a\\u000ab\\u001b[2J"',
  );
});
