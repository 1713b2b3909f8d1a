/**
 * A saved model written as a classifier of transformers: the tensors that transformers itself saves, by name, shape and
 * bit; predictions of the written folder; and what no such class computes, refused with what to do instead.
 */
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../../src/checkpoint/checkpoint.js";
import { exportClassifier } from "../../../src/library/export-classifier.js";
import type { FeatureChoice } from "../../../src/model/family.js";
import { writeHeadFile } from "../../../src/model/head-file.js";
import type { Head, HiddenLayer } from "../../../src/model/heads.js";
import { openPredictor } from "../../../src/run/predict/predict.js";
import { ROOT, temporaryFolder } from "../../support/cli.js";
import { runInProcess } from "../../support/in-process-cli.js";
import { randomArray } from "../../support/random.js";
import { writeImageSuite } from "../../support/tiny-image-suite.js";
import { writeTextSuite } from "../../support/tiny-text-suite.js";

const CONFORMANCE = join(ROOT, "test", "conformance");
/** Folders of classifiers that transformers saved, with what `pipeline` calls what they do. */
const SAVED: readonly (readonly [folder: string, pipeline: string])[] = [
  ["image-encoders/vit-classifier", "image-classification"],
  ["image-encoders/deit-classifier", "image-classification"],
  ["image-encoders/dinov2-classifier", "image-classification"],
  ["image-encoders/registers-classifier", "image-classification"],
  ["text-encoders/bert-classifier", "text-classification"],
  ["text-encoders/roberta-classifier", "text-classification"],
  ["text-encoders/distilbert-4", "text-classification"],
];

let root = "";
/** A text suite, for its tokenizer and its models. */
let texts = "";
let images = "";
beforeAll(async () => {
  root = await temporaryFolder();
  [texts, images] = [join(root, "texts"), join(root, "images")];
  await writeTextSuite(texts);
  await writeImageSuite(images, 1);
});

/** A copy of a fixture's model with a tokenizer of single letters, where it is one of texts. */
async function modelFrom(fixture: string, name: string): Promise<string> {
  const folder = join(root, name);
  await mkdir(folder, { recursive: true });
  const from = join(CONFORMANCE, fixture);
  for (const file of await readdir(from))
    if (/^(?:config|preprocessor_config|model)\./.test(file)) await cp(join(from, file), join(folder, file));
  if (fixture.startsWith("text"))
    for (const file of ["tokenizer.json", "tokenizer_config.json"])
      await cp(join(texts, "models", "base", file), join(folder, file));
  return folder;
}

function head(task: string, classes: number, featureSize: number, seed: number, hidden?: HiddenLayer): Head {
  return {
    ...{ task, classes, featureSize, logitScale: 7 },
    weight: randomArray(classes * (hidden?.size ?? featureSize), seed),
    bias: randomArray(classes, seed + 1),
    ...(hidden === undefined ? {} : { hidden }),
  };
}

const headPath = (folder: string, task: string): string => join(folder, "heads", `${task}.safetensors`);
const jsonOf = async (folder: string, name: string) => JSON.parse(await readFile(join(folder, name), "utf8"));

/** Labels with probabilities by all heads (or one), of letters or of two images. */
async function predicted(folder: string, tasks?: readonly string[]) {
  const predictor = await openPredictor(folder, { tasks, device: "cpu", threads: 1 });
  const given =
    predictor.kind === "text"
      ? { texts: ["a b c", "z", "q r s t u v w x y z a b c d e f g h i j k l m n"] }
      : { files: ["dark", "light"].map((name) => join(images, "images", "colours", "test", name, "00.png")) };
  const rows: (readonly { readonly label: string; readonly probability: number }[])[] = [];
  for await (const row of predictor.predict(given, { top: 9 }))
    rows.push("predictions" in row ? (row.predictions[0]?.labels ?? []) : []);
  await predictor.close();
  return rows;
}

describe("what is written", () => {
  it.each(SAVED)("has the tensors of %s as transformers saved them", async (fixture, pipeline) => {
    const folder = await modelFrom(fixture, `own ${fixture.replaceAll("/", " ")}`);
    const written = await exportClassifier(folder, { output: `${folder} exported` });
    const [ours, theirs] = [await openCheckpoint(written.folder), await openCheckpoint(folder)];
    // Files of the first transformers have these names, and numbers of positions among the tensors.
    const today = (name: string) =>
      name.replace(/LayerNorm\.gamma$/, "LayerNorm.weight").replace(/Norm\.beta$/, "Norm.bias");
    const names = [...theirs.tensors.keys()].filter((name) => !name.endsWith("position_ids"));
    expect([...ours.tensors.keys()].toSorted()).toEqual(names.map(today).toSorted());
    for (const name of names) {
      expect(ours.tensors.get(today(name))?.shape, name).toEqual(theirs.tensors.get(name)?.shape);
      expect(await ours.readFloat32(today(name)), name).toEqual(await theirs.readFloat32(name));
    }
    const [config, before] = [await jsonOf(written.folder, "config.json"), await jsonOf(folder, "config.json")];
    expect(written).toMatchObject({ architecture: before.architectures[0], pipeline, tasks: ["classifier"] });
    expect(config).toEqual({
      ...before,
      ...{ id2label: config.id2label, label2id: config.label2id },
      problem_type: "single_label_classification",
    });
    if (fixture.includes("registers") || fixture.includes("bert-"))
      expect(await predicted(written.folder)).toEqual(await predicted(folder));
  });

  it("has the scale in its weight, the classes in its config, and no heads of several tasks", async () => {
    const folder = await modelFrom("text-encoders/roberta-classifier", "scaled");
    const hidden: HiddenLayer = { size: 16, activation: "tanh", weight: randomArray(256, 5), bias: randomArray(16, 6) };
    const features: FeatureChoice = { pooling: "cls", normalized: false };
    const notes = { features, maxLength: 12, classes: ["good", "bad", "__proto__"] };
    await writeHeadFile(headPath(folder, "mood"), head("mood", 3, 16, 1, hidden), notes);
    await writeHeadFile(headPath(folder, "other"), head("other", 2, 16, 3, hidden), { ...notes, classes: ["x", "y"] });
    await writeFile(join(folder, "README.md"), "---\nlicense: mit\nbase_model: org/base\n---\n# Mine\n");
    const { folder: written } = await exportClassifier(folder, { output: join(root, "scaled out"), task: "mood" });
    const config = await jsonOf(written, "config.json");
    expect(Object.entries(config.id2label)).toEqual([
      ["0", "good"],
      ["1", "bad"],
      ["2", "__proto__"],
    ]);
    expect(Object.entries(config.label2id)).toEqual([
      ["good", 0],
      ["bad", 1],
      ["__proto__", 2],
    ]);
    expect((await jsonOf(written, "tokenizer_config.json")).model_max_length).toBe(12);
    expect((await readdir(written)).filter((name) => !name.startsWith("."))).toEqual([
      ...["README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"],
    ]);
    const card = await readFile(join(written, "README.md"), "utf8");
    expect(card).toMatch(
      /^---\nlicense: mit\nlibrary_name: transformers\npipeline_tag: text-classification\nbase_model:\n {2}- org\/base\n/,
    );
    expect(card).toContain('pipeline("text-classification", ".", truncation=True)(texts, top_k=3)');
    const [ours, theirs] = [await predicted(written), await predicted(folder, ["mood"])];
    expect(ours.map((labels) => labels.map(({ label }) => label))).toEqual(
      theirs.map((labels) => labels.map(({ label }) => label)),
    );
    for (const [row, labels] of ours.entries())
      for (const [at, { probability }] of labels.entries())
        expect(probability).toBeCloseTo(theirs[row]?.[at]?.probability ?? -1, 5);
  });

  it("leaves behind what others put into a folder that we wrote", async () => {
    const folder = await modelFrom("text-encoders/bert-classifier", "visited");
    const { folder: first } = await exportClassifier(folder, { output: join(root, "first") });
    await writeFile(join(first, "notes.txt"), "of somebody");
    await writeFile(join(first, "LICENSE"), "MIT");
    const { folder: second } = await exportClassifier(first, { output: join(root, "second") });
    const names = await readdir(second);
    expect(names).not.toContain("notes.txt");
    expect(names).toEqual(expect.arrayContaining(["LICENSE", "tokenizer.json", "model.safetensors"]));
  });

  it("is the mean of heads that share their labels, in whatever order, and one of heads that are the same", async () => {
    const folder = await modelFrom("image-encoders/vit-classifier", "shared");
    const size = (await openCheckpoint(folder)).tensors.get("classifier.weight")?.shape[1] ?? 0;
    const features: FeatureChoice = { pooling: "cls", normalized: false };
    const [one, two] = [head("one", 2, size, 1), head("two", 2, size, 3)];
    await writeHeadFile(headPath(folder, "one"), one, { features, classes: ["yes", "no"] });
    const turned = { ...two, weight: new Float32Array(2 * size), bias: two.bias.toReversed() };
    turned.weight.set(two.weight.subarray(size), 0);
    turned.weight.set(two.weight.subarray(0, size), size);
    await writeHeadFile(headPath(folder, "two"), turned, { features, classes: ["no", "yes"] });
    const said: string[] = [];
    const options = { output: join(root, "shared out"), log: (line: string) => said.push(line) };
    const { tasks, classes, folder: written } = await exportClassifier(folder, options);
    expect([tasks, classes]).toEqual([
      ["one", "two"],
      ["yes", "no"],
    ]);
    expect(said).toEqual(["notice: the classifier's logits are the mean of the heads one, two"]);
    const weight = await (await openCheckpoint(written)).readFloat32("classifier.weight");
    for (const [at, value] of weight.entries())
      expect(value).toBeCloseTo((7 * ((one.weight[at] ?? 0) + (two.weight[at] ?? 0))) / 2, 5);
    await writeHeadFile(headPath(folder, "two"), one, { features, classes: ["yes", "no"] });
    const same = await exportClassifier(folder, { ...options, overwrite: true });
    expect(same.tasks).toEqual(["one"]);
    expect(said).toHaveLength(1);
  });

  it("is what the command line writes", async () => {
    await cp(join(texts, "models", "thirds"), join(texts, "saved"), { recursive: true });
    const { code, stdout } = await runInProcess(texts, "export saved --classifier -o out", {});
    expect([code, stdout]).toEqual([0, `${join(texts, "out")}\n`]);
    expect((await jsonOf(join(texts, "out"), "config.json")).id2label).toEqual({
      0: "class 0",
      1: "class 1",
      2: "class 2",
    });
    const again = await runInProcess(texts, "export saved --classifier -o out", {});
    expect([again.code, again.stderr]).toEqual([
      2,
      expect.stringMatching(/expected a new or empty folder .* --overwrite/),
    ]);
    const inside = await runInProcess(texts, "export saved --classifier -o saved/out", {});
    expect([inside.code, inside.stderr]).toEqual([2, expect.stringMatching(/found one that lies in the model/)]);
    const halved = await runInProcess(texts, "export saved --classifier --dtype float16 -o other", {});
    expect([halved.code, halved.stderr]).toEqual([
      2,
      expect.stringMatching(/--dtype: expected it for ONNX files alone/),
    ]);
  });
});

describe("refused, with what to do instead", () => {
  const cases: readonly (readonly [
    what: string,
    fixture: string,
    features: FeatureChoice,
    make: (size: number) => Head,
    message: RegExp,
  ])[] = [
    [
      "features of length 1",
      "text-encoders/bert-classifier",
      { pooling: "mean", normalized: true },
      (size) => head("t", 2, size, 1),
      /no folder for transformers' pipeline: its class for this architecture \(BertForSequenceClassification\) reads other features \(pooler, of any length\) than this model has \(mean, length 1\)\. Nothing is lost: .*adamerge predict.*FILE\.onnx`\)\. .*finetune BASE DATA features\.pooling=pooler features\.normalize=false` trains a model that has one\.$/,
    ],
    [
      "another pooling",
      "image-encoders/vit-classifier",
      { pooling: "mean", normalized: false },
      (size) => head("t", 2, size, 1),
      /\(ViTForImageClassification\) reads other features \(cls, of any length\) than this model has \(mean, of any length\).*features\.pooling=cls features\.normalize=false` trains a model that has one\.$/,
    ],
    [
      "a head without the class's hidden layer",
      "text-encoders/roberta-classifier",
      { pooling: "cls", normalized: false },
      (size) => head("t", 2, size, 1),
      /expected the head of t to have a hidden layer with tanh, as RobertaForSequenceClassification has, found no hidden layer/,
    ],
    [
      "a hidden layer of another width",
      "text-encoders/roberta-classifier",
      { pooling: "cls", normalized: false },
      (size) =>
        head("t", 2, size, 1, {
          size: 4,
          activation: "tanh",
          weight: randomArray(4 * size, 5),
          bias: randomArray(4, 6),
        }),
      /expected the hidden layer of t to be as wide as the features \(16\).*found 4/,
    ],
    [
      "a single class",
      "image-encoders/vit-classifier",
      { pooling: "cls", normalized: false },
      (size) => head("t", 1, size, 1),
      /expected at least two classes, found 1 \(t\)/,
    ],
  ];

  it.each(cases)("%s", async (what, fixture, features, make, message) => {
    const folder = await modelFrom(fixture, what);
    const size = (await jsonOf(folder, "config.json")).hidden_size;
    await writeHeadFile(headPath(folder, "t"), make(size), { features });
    const output = join(root, `${what} out`);
    await expect(exportClassifier(folder, { output })).rejects.toThrow(message);
    await expect(readdir(output)).rejects.toThrow("ENOENT");
  });

  it("CLIP's projection, and heads with different labels", async () => {
    const clip = join(images, "model");
    await cp(join(images, "base"), clip, { recursive: true });
    const features: FeatureChoice = { pooling: "projection", normalized: true };
    await writeHeadFile(headPath(clip, "t"), head("t", 2, 16, 1), { features });
    await expect(exportClassifier(clip, { output: join(root, "clip out") })).rejects.toThrow(
      /CLIPForImageClassification reads the mean of the patches, without the projection; the model's features are projection, length 1/,
    );
    const folder = await modelFrom("image-encoders/vit-classifier", "different");
    const size = (await jsonOf(folder, "config.json")).hidden_size;
    const notes = { features: { pooling: "cls", normalized: false } as const };
    await writeHeadFile(headPath(folder, "one"), head("one", 2, size, 1), { ...notes, classes: ["a", "b"] });
    await writeHeadFile(headPath(folder, "two"), head("two", 2, size, 3), { ...notes, classes: ["a", "c"] });
    await expect(exportClassifier(folder, { output: join(root, "x") })).rejects.toThrow(
      /found 2 heads with different ones \(one, two\); choose one with --task NAME/,
    );
  });
});
