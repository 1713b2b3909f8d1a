/**
 * Fifty steps of fine-tuning against an independent PyTorch loop in float64 (make-fine-tune.py): the encoder of a BERT
 * under a frozen head, on texts of several lengths in a batch, and a whole ViT with the heads of two tasks; both again
 * with LoRA by peft's layers, without and with dropout. Asked are 1e-4; float32 PyTorch itself stays within 1e-6.
 */
import { copyFile, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import type { Checkpoint } from "../../src/checkpoint/checkpoint.js";
import type { LabelledExamples } from "../../src/data/examples.js";
import { rowsInMemory } from "../../src/data/image/image-rows.js";
import { imageExamples } from "../../src/data/image/pixels.js";
import { lookup } from "../../src/engine/lookup.js";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import type { Model } from "../../src/model/family.js";
import type { Head } from "../../src/model/heads.js";
import { openBase, openExpert } from "../../src/model/open-models.js";
import type { LoraFactors } from "../../src/optimize/fine-tune/lora.js";
import { type LoraAdapterOptions, saveLoraAdapter } from "../../src/optimize/fine-tune/save-lora-adapter.js";
import { givenWeights, weightSources, weightSpecs } from "../../src/optimize/step-program.js";
import { modelWeights } from "../../src/run/suite/stored-weights.js";
import { relativeError } from "../support/random.js";
import { paddedTexts } from "../support/training-examples.js";
import { type Compared, compare, fixtureTexts, imageTraining, textTraining } from "./fine-tune-trainings.js";
import { CONFORMANCE, readFixture } from "./fixture.js";

/** Of weights, and of losses and norms, which grow with what they are made of. */
const MOST = { weights: 1e-5, losses: 1e-4, norms: 1e-4 };
const LORA_TEXT = { rank: 3, alpha: 8 };
const LORA_IMAGE = { rank: 2, alpha: 4 };

const engine = createOnnxEngine({ provider: "cpu", threads: 1 });
afterAll(() => engine.close());

function expectClose(compared: Compared): void {
  for (const what of ["weights", "losses", "norms"] as const) expect(compared[what], what).toBeLessThan(MOST[what]);
}

it("the encoder of a BERT, texts of several lengths, a frozen head, warm-up and cosine", async () => {
  const compared = await compare(await textTraining(engine), "text");
  const { steps } = compared;
  expect(compared.compared).toBe(32);
  expect(new Set(steps.map(({ length }) => length))).toEqual(new Set([16, 20]));
  expect(Math.min(...steps.map(({ gradientNorm }) => gradientNorm))).toBeGreaterThan(1);
  expectClose(compared);
});

it("a whole ViT with the heads of two tasks, label smoothing, a line, rates by layer, decay", async () => {
  const options = await imageTraining(engine);
  const compared = await compare(options, "image");
  expect(compared.compared).toBe(options.model.tensors.length + 4);
  const norms = compared.steps.map(({ gradientNorm }) => gradientNorm);
  expect([Math.min(...norms) < 8, Math.max(...norms) > 8]).toEqual([true, true]);
  expectClose(compared);
});

it("LoRA on all linear layers of the BERT, alpha other than the rank", async () => {
  const compared = await compare({ ...(await textTraining(engine)), lora: LORA_TEXT }, "lora-text");
  // Of twelve matrices: merged, A and B.
  expect(compared.compared).toBe(36);
  expectClose(compared);
});

it("LoRA on some layers of the ViT beside trained heads", async () => {
  const targets = ["*.query.weight", "*.value.weight", "*.output.dense.weight"];
  const options = { ...(await imageTraining(engine)), lora: { ...LORA_IMAGE, targets } };
  const compared = await compare(options, "lora-image");
  expect(compared.compared).toBe(8 * 3 + 4);
  expectClose(compared);
});

it("LoRA with dropout on all linear layers of the BERT, in one pass and in two", async () => {
  const lora = { ...LORA_TEXT, dropout: 0.25, targets: ["attention", "mlp"] };
  for (const passes of [1, 2]) {
    const compared = await compare({ ...(await textTraining(engine)), lora, passes }, "dropout-text");
    expect(compared.compared).toBe(36);
    expectClose(compared);
  }
});

it("LoRA with dropout on some layers of the ViT, two tasks, the last block asked for one token", async () => {
  const targets = ["*.query.weight", "*.value.weight", "*.output.dense.weight"];
  const options = { ...(await imageTraining(engine)), lora: { rank: 2, alpha: 4, targets, dropout: 0.1 } };
  expectClose(await compare(options, "dropout-image"));
});

/** As PyTorch learned them: the same on every machine. */
async function learnedFactors(
  model: Model,
  name: string,
  { rank, alpha }: Pick<LoraFactors, "rank" | "alpha">,
): Promise<Map<string, LoraFactors>> {
  const fixture = await readFixture(`fine-tune/${name}.safetensors`);
  const floats = (array: string): Float32Array => Float32Array.from(fixture.floats(array));
  return new Map(
    model.tensors
      .filter((tensor) => fixture.has(`after/${tensor.name}/a`))
      .map((tensor) => {
        const [a, b] = [floats(`after/${tensor.name}/a`), floats(`after/${tensor.name}/b`)];
        return [tensor.name, { rank, alpha, a, b }];
      }),
  );
}

/** That the adapter in `folder`, which peft read, is what is written now. UPDATE_ADAPTERS=1 writes it anew. */
async function expectWritten(folder: string, options: LoraAdapterOptions): Promise<string> {
  const place = await mkdtemp(join(tmpdir(), "lora-adapter-"));
  const committed = join(CONFORMANCE, "fine-tune", folder);
  try {
    await saveLoraAdapter(place, options);
    await mkdir(committed, { recursive: true });
    for (const name of ["adapter_config.json", "adapter_model.safetensors"]) {
      if (process.env.UPDATE_ADAPTERS === "1") await copyFile(join(place, name), join(committed, name));
      expect(await readFile(join(place, name)), name).toEqual(await readFile(join(committed, name)));
    }
  } finally {
    await rm(place, { recursive: true, force: true });
  }
  return committed;
}

/** Features of a whole store by the base with the adapter, in the fixture's order. */
async function adaptedFeatures(
  model: Model,
  base: Checkpoint,
  adapter: string,
  { store, size, length }: { readonly store: LabelledExamples; readonly size: number; readonly length?: number },
): Promise<Float32Array> {
  const executable = await engine.compile({
    name: "features",
    frozen: new Map(weightSpecs(model)),
    inputs: model.inputs(size, length),
    build: (tensors) => new Map([["features", model.features(givenWeights(lookup(tensors)), lookup(tensors))]]),
  });
  try {
    const weights = await modelWeights(await openExpert(adapter, base), base, model);
    await executable.bind(new Map(weightSources(model, weights)));
    const indices = Uint32Array.from({ length: size }, (_, row) => row);
    return Float32Array.from((await executable.run(store.gather(indices, length))).get("features") ?? []);
  } finally {
    await executable.close();
  }
}

/** The class of each row of features under a head. */
function labelsOf(features: Float32Array, head: Pick<Head, "weight" | "bias" | "classes" | "logitScale">): number[] {
  const size = head.weight.length / head.classes;
  return Array.from({ length: features.length / size }, (_, row) => {
    const logits = Array.from({ length: head.classes }, (_, label) => {
      let sum = 0;
      for (let i = 0; i < size; i++) sum += (features[row * size + i] ?? 0) * (head.weight[label * size + i] ?? 0);
      return head.logitScale * sum + (head.bias[label] ?? 0);
    });
    return logits.indexOf(Math.max(...logits));
  });
}

it("the adapter of texts that peft read is what is written now; its features and labels are ours", async () => {
  const { model } = await textTraining(engine);
  const base = await openBase(join(CONFORMANCE, "text-step/base"));
  const adapter = await expectWritten("lora-adapter", {
    ...{ base, model, factors: await learnedFactors(model, "lora-text", LORA_TEXT), dtype: "F32" },
    ...{ baseName: "../../text-step/base", taskType: "FEATURE_EXTRACTION" },
  });
  if (process.env.UPDATE_ADAPTERS === "1") return;
  const texts = await readFixture("fine-tune/text.safetensors");
  const store = paddedTexts(model, fixtureTexts(texts), texts.ints("labels"));
  const found = await adaptedFeatures(model, base, adapter, { store, size: store.size, length: 20 });
  const wanted = await readFixture("fine-tune/lora-features.safetensors");
  expect(found.length).toBe(wanted.floats("features").length);
  expect(relativeError(found, wanted.floats("features"))).toBeLessThan(1e-6);
  const [classes = 0] = texts.shape("head");
  const head = {
    classes,
    logitScale: 10,
    weight: Float32Array.from(texts.floats("head")),
    bias: new Float32Array(classes),
  };
  expect(labelsOf(found, head)).toEqual([...wanted.ints("labels")]);
});

it("the adapter of images that peft read is what is written now; its features and labels are ours", async () => {
  const { model, tasks } = await imageTraining(engine);
  const base = await openBase(join(CONFORMANCE, "image-encoders", "vit"));
  const adapter = await expectWritten("lora-image-adapter", {
    ...{ base, model, factors: await learnedFactors(model, "lora-image", LORA_IMAGE), dtype: "F32" },
    baseName: "../../image-encoders/vit",
  });
  if (process.env.UPDATE_ADAPTERS === "1") return;
  const images = await readFixture("fine-tune/image.safetensors");
  const learned = await readFixture("fine-tune/lora-image.safetensors");
  const wanted = await readFixture("fine-tune/lora-image-features.safetensors");
  for (const { name, head } of tasks) {
    const labels = images.ints(`${name}.labels`);
    const bytes = 16 * 16 * 3;
    const rows = rowsInMemory(images.bytes(`${name}.pixels`), bytes);
    const store = { ...imageExamples(name, labels.length, rows, bytes), labels };
    const found = await adaptedFeatures(model, base, adapter, { store, size: labels.length });
    expect(found.length).toBe(wanted.floats(`${name}.features`).length);
    // peft's own float32 is 5e-7 from its float64, which this is.
    expect(relativeError(found, wanted.floats(`${name}.features`))).toBeLessThan(2e-6);
    const part = (of: string) => Float32Array.from(learned.floats(`after/head/${name}/${of}`));
    expect(labelsOf(found, { ...head, weight: part("weight"), bias: part("bias") })).toEqual([
      ...wanted.ints(`${name}.labels`),
    ]);
  }
});
