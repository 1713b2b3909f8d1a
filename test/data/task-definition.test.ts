/** Tasks whose description stands in a file of its own, shared by suites. */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openSuite, ownSplit } from "../../src/data/suite.js";
import { ConfigError, DataError } from "../../src/errors.js";
import { temporaryFolder, writeAt } from "./temporary-folder.js";

const root = temporaryFolder();
const file = join(root, "suite.yaml");
const definitionFile = join(root, "tasks", "digits.yaml");

const DEFINITION = `title: Digits
dataset:
  path: org/digits
  config: cropped
  splits: { adapt: { of: train, except_every: 10 }, val: { of: train, every: 10 }, test: validation }
  labels: number
images: { train: 100, validation: 20 }
classes: [zero, one]
head:
  zero_shot:
    templates: ["a photo of the number {}."]
licence: MIT
source: https://example.org
`;
const suiteOf = (task: string, more = "") =>
  `name: small\nbase: base\ntasks:\n  - { name: digits, definition: tasks/digits.yaml, expert: expert${task} }\n${more}`;
const open = (task = "", more = "") => openSuite(writeAt(root, "suite.yaml", suiteOf(task, more)));

beforeAll(() => {
  for (const name of ["base/config.json", "expert/config.json", "elsewhere/x", "tasks/local/x"])
    writeAt(root, name, "");
  writeAt(root, "tasks/digits.yaml", DEFINITION);
});

describe("a task's definition", () => {
  it("says all but the expert", async () => {
    const suite = await open();
    expect(suite.definitions).toEqual([definitionFile]);
    const [task] = suite.tasks;
    expect(task).toEqual({
      name: "digits",
      title: "Digits",
      dataset: "hf://datasets/org/digits@main",
      expert: join(root, "expert"),
      head: { zero_shot: { templates: ["a photo of the number {}."] } },
      classes: ["zero", "one"],
      licence: "MIT",
      source: "https://example.org",
      examples: new Map([
        ["train", 100],
        ["validation", 20],
      ]),
      reading: {
        splits: new Map<string, object>([
          ["adapt", { name: "train", part: { every: 10, except: true } }],
          ["val", { name: "train", part: { every: 10, except: false } }],
          ["test", { name: "validation" }],
        ]),
        parameters: { config: "cropped" },
        labels: "number",
      },
    });
    expect(task && ownSplit(task, "contrast")).toEqual({ name: "contrast" });
  });

  it("is shared by tasks and suites, and read once into a fingerprint", async () => {
    const other = "  - { name: again, definition: tasks/digits.yaml, expert: expert, title: Again }\n";
    const suite = await open("", other);
    expect(suite.tasks.map(({ title }) => title)).toEqual(["Digits", "Again"]);
    expect(suite.definitions).toEqual([definitionFile]);
  });

  it("keeps how its data set is read, and its numbers, when only the place is another", async () => {
    const [here] = (await open(", dataset: elsewhere")).tasks;
    const [defined] = (await open()).tasks;
    expect(here).toEqual({ ...defined, dataset: join(root, "elsewhere") });
    const [own] = (await open(", dataset: { path: elsewhere, splits: { test: all } }")).tasks;
    expect(own?.examples).toBeUndefined();
    expect(own?.reading).toMatchObject({
      splits: new Map([["test", { name: "all" }]]),
      parameters: {},
      labels: "name",
    });
    const [counted] = (await open(", images: {}")).tasks;
    expect(counted?.examples?.size).toBe(0);
  });

  it("has paths relative to itself", async () => {
    writeAt(root, "tasks/near.yaml", DEFINITION.replace("org/digits", "local"));
    const text = suiteOf("").replace("digits.yaml", "near.yaml");
    const suite = await openSuite(writeAt(root, "suite.yaml", text));
    expect(suite.tasks[0]?.dataset).toBe(join(root, "tasks", "local"));
    // The suite's own are relative to the suite.
    await expect(open(", dataset: ./local")).rejects.toThrow(
      `${file}:4: tasks.0.dataset: expected the directory of a data set, found nothing at ${join(root, "local")}`,
    );
  });

  it.each([
    ["an unknown key", "licence: MIT", "license: MIT", 12, "unknown key `license`; did you mean `licence`?"],
    ["an expert", "licence: MIT", "expert: x", 12, "unknown key `expert`"],
    ["no classes", "classes: [zero, one]\n", "", 1, "classes: expected a list, found nothing"],
    ["a class twice", "[zero, one]", "[zero, zero]", 8, "classes.1: expected every class once, found zero again"],
    [
      "a class that is a number",
      "[zero, one]",
      "[zero, 1]",
      8,
      "classes.1: expected a text, found 1; write it in quotes",
    ],
    ["a part of two kinds", "except_every: 10 }", "every: 2, except_every: 10 }", 5, "expected one of `every` and"],
    ["a mistake in a part", "except_every: 10 }", "except_evry: 10 }", 5, "did you mean `except_every`?"],
    ["labels of a third kind", "labels: number", "labels: numbers", 6, "dataset.labels: expected one of name, number"],
    ["a count of none", "train: 100", "train: 0", 7, "images.train: expected a number >= 1, found 0"],
  ])("is refused with %s, with its line", async (_, from, to, line, message) => {
    expect(DEFINITION).toContain(from);
    writeAt(root, "tasks/digits.yaml", DEFINITION.replace(from, to));
    const error = await open().catch((caught: unknown) => caught);
    writeAt(root, "tasks/digits.yaml", DEFINITION);
    expect(error).toBeInstanceOf(ConfigError);
    expect(String(error)).toContain(`${definitionFile}:${line}: `);
    expect(String(error)).toContain(message);
  });

  it("is said to be missing where the suite names it, and so is a task without one", async () => {
    const gone = suiteOf("").replace("digits.yaml", "gone.yaml");
    const missing = await openSuite(writeAt(root, "suite.yaml", gone)).catch((caught: unknown) => caught);
    expect(missing).toBeInstanceOf(DataError);
    expect(String(missing)).toContain(
      `${file}:4: tasks.0.definition: expected the file of a task's definition, found none at ${join(root, "tasks", "gone.yaml")}`,
    );
    const bare = "name: small\nbase: base\ntasks:\n  - { name: digits, expert: expert, dataset: elsewhere }\n";
    const error = await openSuite(writeAt(root, "suite.yaml", bare)).catch((caught: unknown) => caught);
    expect(String(error)).toContain(`${file}:4: tasks.0.head: expected a \`head\`, or the \`definition\` of a task`);
    expect(String(error)).toContain("tasks.0.classes: expected a `classes`");
  });

  it("has its mistakes told from those of what replaces it", async () => {
    await expect(open(", classes: [a, a]")).rejects.toThrow(`${file}:4: tasks.0.classes.1: expected every class once`);
    const names = ', head: { zero_shot: { templates: ["{}"], names: [a, b, c] } }';
    await expect(open(names)).rejects.toThrow(
      `${file}:4: tasks.0.head.zero_shot.names: expected a name for each of the 2 classes, in their order, found 3`,
    );
  });
});
