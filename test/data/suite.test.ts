import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openSuite } from "../../src/data/suite.js";
import { ConfigError, DataError } from "../../src/errors.js";
import { temporaryFolder, writeAt } from "./temporary-folder.js";

const root = temporaryFolder();
for (const name of ["base/config.json", "tasks/mnist/x", "tasks/svhn/x", "experts/mnist/x", "experts/svhn/x"])
  writeAt(root, name, "");
for (const name of ["heads/mnist.safetensors", "heads/svhn.safetensors"]) writeAt(root, name, "");

const task = (name: string) => `  - name: ${name}
    title: The ${name}
    dataset: tasks/${name}
    expert: experts/${name}
    head: heads/${name}.safetensors
    classes: ["0", "1"]
    licence: CC-BY-SA-3.0
`;
const whole = `name: mini8
title: Four small tasks
base: base
logit_scale: 30
tasks:
${task("mnist")}${task("svhn")}`;
const open = (text: string) => openSuite(writeAt(root, "suite.yaml", text));
const file = join(root, "suite.yaml");

describe("openSuite", () => {
  it("reads a suite by its directory or its file, with absolute paths", async () => {
    writeAt(root, "suite.yaml", whole);
    const suite = await openSuite(root);
    expect(suite).toMatchObject({
      name: "mini8",
      title: "Four small tasks",
      path: file,
      base: join(root, "base"),
      logitScale: 30,
      splits: { adapt: "adapt", val: "val", test: "test" },
    });
    expect(suite.tasks[0]).toEqual({
      name: "mnist",
      title: "The mnist",
      dataset: join(root, "tasks/mnist"),
      expert: join(root, "experts/mnist"),
      head: join(root, "heads/mnist.safetensors"),
      classes: ["0", "1"],
      licence: "CC-BY-SA-3.0",
      source: undefined,
    });
    expect(await openSuite(file)).toEqual(suite);
  });

  it("says columns of texts, the features that heads read and where texts are cut", async () => {
    const texts = whole
      .replace(
        "dataset: tasks/mnist",
        "dataset: { path: tasks/mnist, text_column: a, pair_column: b }\n    examples: { test: 7 }",
      )
      .replace("logit_scale: 30", "max_length: 128\nfeatures: { pooling: cls_mean, normalize: true }");
    const suite = await open(texts);
    expect(suite).toMatchObject({ maxLength: 128, features: { pooling: "cls_mean", normalized: true } });
    expect(suite.tasks[0]?.reading?.parameters).toEqual({ text_column: "a", pair_column: "b" });
    expect(suite.tasks[0]?.examples).toEqual(new Map([["test", 7]]));
    expect((await open(texts.replace(", normalize: true", ""))).features?.normalized).toBe(false);
    expect((await open(texts.replace("examples:", "images:"))).tasks[0]?.examples).toEqual(new Map([["test", 7]]));
    for (const [from, to, message] of [
      ["cls_mean", "max", ":5: features.pooling: expected one of cls, mean, cls_mean, pooler, projection, found"],
      ["normalize", "normalise", ":5: features: unknown key `normalise`; did you mean `normalize`?"],
      ["128", "0", ":4: max_length: expected a number >= 1, found 0"],
      [
        "examples:",
        "images: {}\n    examples:",
        "tasks.0.images: expected the numbers of a split once, found `examples` and",
      ],
    ] as const)
      await expect(open(texts.replace(from, to))).rejects.toThrow(message);
  });

  it("takes a multi-task model, which must be there", async () => {
    writeAt(root, "joint/config.json", "");
    expect((await open(whole.replace("logit_scale", "multitask: joint\nlogit_scale"))).multitask).toBe(
      join(root, "joint"),
    );
    await expect(open(whole.replace("logit_scale", "multitask: gone\nlogit_scale"))).rejects.toThrow(
      `${file}:4: multitask: expected a checkpoint, found nothing at ${join(root, "gone")}`,
    );
  });

  it("takes zero-shot heads and the model that makes them", async () => {
    const head = 'head: { zero_shot: { templates: ["a photo of a {}.", "{}"], names: [zero, one] } }';
    const text = whole.replace("head: heads/mnist.safetensors", head);
    const suite = await open(text);
    expect(suite.tasks[0]?.head).toEqual({
      zero_shot: { templates: ["a photo of a {}.", "{}"], names: ["zero", "one"] },
    });
    expect(suite.textModel).toBeUndefined();
    expect((await open(text.replace("logit_scale", "text_model: base\nlogit_scale"))).textModel).toBe(
      join(root, "base"),
    );
    const onHub = await open(text.replace("logit_scale", "text_model: openai/clip-vit-base-patch32\nlogit_scale"));
    expect(onHub.textModel).toBe("hf://openai/clip-vit-base-patch32@main");
    await expect(open(text.replace("logit_scale", "text_model: gone\nlogit_scale"))).rejects.toThrow(
      `${file}:4: text_model: expected a checkpoint, found nothing at ${join(root, "gone")}`,
    );
  });

  it.each([
    [
      "a template without a place for the name",
      "templates: [a photo]",
      'templates.0: expected a text with exactly one {} where the class\'s name goes, found "a photo"',
    ],
    ["a template with two", 'templates: ["{}", "{} {}"]', "templates.1: expected a text with exactly one {}"],
    ["no templates", "templates: []", "templates: expected at least 1 entries"],
    [
      "names of another length",
      'templates: ["{}"], names: [zero, one, two]',
      "names: expected a name for each of the 2 classes, in their order, found 3",
    ],
    ["a name that is a number", 'templates: ["{}"], names: [zero, 1]', "names.1: expected a text, found 1"],
    ["an unknown key", 'templates: ["{}"], name: [zero, one]', "unknown key `name`; did you mean `names`?"],
  ])("refuses a zero-shot head with %s, with its line", async (_, section, message) => {
    const error = await open(
      whole.replace("head: heads/mnist.safetensors", `head: { zero_shot: { ${section} } }`),
    ).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ConfigError);
    expect(String(error)).toContain(`${file}:10: tasks.0.head.zero_shot`);
    expect(String(error)).toContain(message);
  });

  it("takes other names of splits", async () => {
    expect((await open(`${whole}splits: { adapt: train }\n`)).splits).toEqual({
      adapt: "train",
      val: "val",
      test: "test",
    });
  });

  it.each([
    [
      "an unknown key",
      `${whole}logit_scal: 3\n`,
      `${file}:20: unknown key \`logit_scal\`; did you mean \`logit_scale\`?`,
      20,
    ],
    ["an unknown key of a task", whole.replace("licence", "license"), "did you mean `licence`?", 12],
    [
      "a class that is a number",
      whole.replace('["0", "1"]', '["0", 1]'),
      'tasks.0.classes.1: expected a text, found 1; write it in quotes, as in "0"',
      11,
    ],
    ["one class", whole.replace('["0", "1"]', '["0"]'), "tasks.0.classes: expected at least 2 entries", 11],
    [
      "a class twice",
      whole.replace('["0", "1"]', '["0", "0"]'),
      "tasks.0.classes.1: expected every class once, found 0 again",
      11,
    ],
    [
      "a bad name",
      whole.replace("name: mnist", "name: ../mnist"),
      'tasks.0.name: expected a name of small letters, digits, dashes and _, found "../mnist"',
      6,
    ],
    [
      "a name twice",
      whole.replace("name: svhn", "name: mnist"),
      "tasks.1.name: expected a name of its own, found mnist, the name of tasks.0 too",
      13,
    ],
    ["no tasks", `${whole.split("tasks:")[0]}tasks: []\n`, "tasks: expected at least 1 entries", 5],
    [
      "a missing key",
      whole.replace("    expert: experts/mnist\n", ""),
      "tasks.0.expert: expected a text, found nothing",
      6,
    ],
    ["a negative scale", whole.replace("30", "-30"), "logit_scale: expected a number > 0, found -30", 4],
    ["a split that is a path", `${whole}splits: { adapt: ../train }\n`, "splits.adapt: expected a split name", 20],
  ])("refuses %s, with its line", async (_, text, message, line) => {
    const error = await open(text).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ConfigError);
    expect(String(error)).toContain(message);
    expect(String(error)).toContain(`${file}:${line}`);
  });

  it("refuses what is not plain YAML", async () => {
    await expect(open(`${whole}name: again\n`)).rejects.toThrow(
      `${file}:20: this key is set a second time; keep one of the two`,
    );
    await expect(open("name: [")).rejects.toThrow("not valid YAML");
    await expect(open("name: &a mini\ntitle: *a\n")).rejects.toThrow("alias *a: write the value out instead");
    await expect(open("")).rejects.toThrow("expected a section");
  });

  it("lists every path that does not exist", async () => {
    const error = await open(whole.replace("base: base", "base: bass").replaceAll("svhn", "mnist2")).catch(
      (caught: unknown) => caught,
    );
    expect(error).toBeInstanceOf(DataError);
    expect(String(error)).toContain(`${file}:3: base: expected a checkpoint, found nothing at ${join(root, "bass")}`);
    expect(String(error)).toContain("tasks.1.dataset: expected the directory of a data set, found nothing");
    expect(String(error)).toContain("tasks.1.head: expected the file of a head, found nothing");
    const swapped = whole.replace("heads/svhn.safetensors", "tasks/svhn");
    await expect(open(swapped)).rejects.toThrow("tasks.1.head: expected the file of a head, found a folder");
  });

  it("says what is missing when there is no suite", async () => {
    await expect(openSuite(join(root, "base"))).rejects.toThrow("found a directory without suite.yaml");
    await expect(openSuite(join(root, "nowhere"))).rejects.toThrow("found nothing there");
  });
});
