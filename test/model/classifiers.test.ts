import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { writeSafetensors } from "../../src/checkpoint/safetensors-writer.js";
import { bertFamily, distilbertFamily, robertaFamily } from "../../src/model/bert/family.js";
import { findClassifier, openWithClassifier, readClassifier } from "../../src/model/classifiers.js";
import { aroundTower, openBase, openExpert } from "../../src/model/open-models.js";
import { deitFamily } from "../../src/model/vit/family.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "classifiers-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const values = (...shape: number[]) => ({
  dtype: "F32" as const,
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, index) => index / 8),
});

async function model(
  name: string,
  config: object,
  tensors: Readonly<Record<string, ReturnType<typeof values>>>,
  file = "model.safetensors",
): Promise<string> {
  const path = join(folder, name);
  await mkdir(path, { recursive: true });
  await writeFile(
    join(path, file === "model.safetensors" ? "config.json" : "adapter_config.json"),
    JSON.stringify(config),
  );
  await writeSafetensors(
    join(path, file),
    Object.entries(tensors).map(([tensor, value]) => ({ name: tensor, ...value })),
  );
  return path;
}

const bertConfig = {
  architectures: ["BertForSequenceClassification"],
  model_type: "bert",
  id2label: { "1": "no", "0": "yes", "2": "perhaps" },
};
const shape = { task: "t", classes: 3, featureSize: 4 };

it("is found by the class in config.json, with the names of its rows in their order", async () => {
  const path = await model("bert", bertConfig, { "classifier.weight": values(3, 4), "classifier.bias": values(3) });
  const found = findClassifier(await openCheckpoint(path), bertFamily);
  expect(found).toMatchObject({ classes: 3, names: ["yes", "no", "perhaps"] });
  expect(found?.layout.features).toEqual({ pooling: "pooler", normalized: false });
  const head = await readClassifier(path, bertFamily, shape);
  expect([...head.weight]).toEqual(Array.from({ length: 12 }, (_, index) => index / 8));
  expect([head.logitScale, head.hidden, [...head.bias]]).toEqual([1, undefined, [0, 0.125, 0.25]]);
});

it("has no names where transformers made them up, and is found behind wrappers of training", async () => {
  const id2label = { "0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2" };
  const tensors = { "module.classifier.weight": values(3, 4), "module.classifier.bias": values(3) };
  const path = await model("unnamed", { ...bertConfig, id2label }, tensors);
  expect(findClassifier(await openCheckpoint(path), bertFamily)).toMatchObject({ classes: 3, names: undefined });
  expect((await readClassifier(path, bertFamily, shape)).weight).toHaveLength(12);
});

it("takes along the dense layer that is part of the head", async () => {
  const roberta = await model(
    "roberta",
    { architectures: ["RobertaForSequenceClassification"], model_type: "roberta" },
    {
      "classifier.dense.weight": values(4, 4),
      "classifier.dense.bias": values(4),
      "classifier.out_proj.weight": values(3, 4),
      "classifier.out_proj.bias": values(3),
    },
  );
  expect((await readClassifier(roberta, robertaFamily, shape)).hidden).toMatchObject({ size: 4, activation: "tanh" });
  const distilbert = await model(
    "distilbert",
    { architectures: ["DistilBertForSequenceClassification"], model_type: "distilbert" },
    {
      "pre_classifier.weight": values(4, 4),
      "pre_classifier.bias": values(4),
      "classifier.weight": values(3, 4),
      "classifier.bias": values(3),
    },
  );
  const head = await readClassifier(distilbert, distilbertFamily, shape);
  expect(head.hidden).toMatchObject({ size: 4, activation: "relu" });
});

it("is found beside the factors of a LoRA adapter", async () => {
  const query = "base_model.model.bert.encoder.layer.0.attention.self.query";
  const path = await model(
    "lora",
    {
      peft_type: "LORA",
      r: 2,
      lora_alpha: 2,
      target_modules: ["query"],
      modules_to_save: ["classifier"],
      bias: "none",
    },
    {
      [`${query}.lora_A.weight`]: values(2, 4),
      [`${query}.lora_B.weight`]: values(4, 2),
      "base_model.model.classifier.weight": values(3, 4),
      "base_model.model.classifier.bias": values(3),
    },
    "adapter_model.safetensors",
  );
  expect(findClassifier(await openWithClassifier(path), bertFamily)).toMatchObject({ classes: 3, names: undefined });
  expect((await readClassifier(path, bertFamily, shape)).bias).toHaveLength(3);
});

it("is said to be left out only where it is no task's head, with what else is around the model", async () => {
  const sign = "embeddings.word_embeddings.weight";
  const path = await model(
    "around",
    { architectures: ["RobertaForSequenceClassification"], model_type: "roberta" },
    {
      [`roberta.${sign}`]: values(2, 4),
      "classifier.dense.weight": values(4, 4),
      "classifier.dense.bias": values(4),
      "classifier.out_proj.weight": values(3, 4),
      "classifier.out_proj.bias": values(3),
      "loss.weight": values(1),
    },
  );
  const checkpoint = await openCheckpoint(path);
  const base = await model(
    "without",
    { architectures: ["RobertaModel"], model_type: "roberta" },
    { [sign]: values(2, 4) },
  );
  const expert = await openExpert(path, await openBase(base));
  expect(checkpoint.tensors.size).toBe(expert.tensors.size);
  expect(aroundTower(expert, robertaFamily, { isHeadUsed: true })).toMatch(/left out .*RoBERTa.*: "loss\.weight"$/);
  expect(aroundTower(expert, robertaFamily)).toMatch(/: "classifier\.dense\.bias", .* and 2 more$/);
});

it("refuses what does not fit, by name", async () => {
  const encoder = await model("encoder", { architectures: ["BertModel"], model_type: "bert" }, { x: values(1) });
  expect(findClassifier(await openCheckpoint(encoder), bertFamily)).toBeUndefined();
  await expect(readClassifier(encoder, bertFamily, shape)).rejects.toThrow(
    'expected a model that was saved with its classifier (BertForSequenceClassification), found a "BertModel"',
  );
  const lacking = await model("lacking", bertConfig, { x: values(1) });
  await expect(readClassifier(lacking, bertFamily, shape)).rejects.toThrow(
    "a tensor classifier.weight [classes, features], found none",
  );
  const path = join(folder, "bert");
  await expect(readClassifier(path, bertFamily, { ...shape, classes: 2 })).rejects.toThrow(
    "classifier.weight: expected 2 rows, the classes of task t, found 3",
  );
  await expect(readClassifier(path, bertFamily, { ...shape, featureSize: 5 })).rejects.toThrow(
    "classifier.weight: expected shape [3, 5] (classes of task t, features of the model), found [3, 4]",
  );
  const distilled = { architectures: ["DeiTForImageClassificationWithTeacher"], model_type: "deit" };
  const teacher = await model("teacher", distilled, { x: values(1) });
  await expect(readClassifier(teacher, deitFamily, shape)).rejects.toThrow(
    "the classifier of a DeiTForImageClassificationWithTeacher is not read",
  );
});
