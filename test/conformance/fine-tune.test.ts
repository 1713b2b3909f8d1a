/**
 * Fifty steps of fine-tuning against an independent PyTorch loop in float64 (make-fine-tune.py): the encoder of a BERT
 * under a frozen head, on texts of several lengths in a batch, and a whole ViT with the heads of two tasks; both again
 * with LoRA by peft's layers, without and with dropout. Asked are 1e-4; float32 PyTorch itself stays within 1e-6.
 */
import { copyFile, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { lookup } from "../../src/engine/lookup.js";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import { openBase, openExpert } from "../../src/model/open-models.js";
import type { LoraFactors } from "../../src/optimize/fine-tune/lora.js";
import { saveLoraAdapter } from "../../src/optimize/fine-tune/save-lora-adapter.js";
import { givenWeights, weightSources, weightSpecs } from "../../src/optimize/step-program.js";
import { modelWeights } from "../../src/run/suite/stored-weights.js";
import { paddedTexts } from "../support/training-examples.js";
import { type Compared, compare, fixtureTexts, imageTraining, textTraining } from "./fine-tune-trainings.js";
import { CONFORMANCE, readFixture } from "./fixture.js";

/** Of weights, and of losses and norms, which grow with what they are made of. */
const MOST = { weights: 1e-5, losses: 1e-4, norms: 1e-4 };
const LORA_TEXT = { rank: 3, alpha: 8 };

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
  const options = { ...(await imageTraining(engine)), lora: { rank: 2, alpha: 4, targets } };
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
async function learnedFactors(): Promise<Map<string, LoraFactors>> {
  const fixture = await readFixture("fine-tune/lora-text.safetensors");
  const { model } = await textTraining(engine);
  const floats = (name: string): Float32Array => Float32Array.from(fixture.floats(`after/${name}`));
  return new Map(
    model.tensors
      .filter(({ sharesInput }) => sharesInput !== undefined)
      .map(({ name }) => [name, { ...LORA_TEXT, a: floats(`${name}/a`), b: floats(`${name}/b`) }]),
  );
}

it("the adapter that peft read is what is written now; its features are ours", async () => {
  const { model } = await textTraining(engine);
  const base = await openBase(join(CONFORMANCE, "text-step/base"));
  const folder = await mkdtemp(join(tmpdir(), "lora-adapter-"));
  const committed = join(CONFORMANCE, "fine-tune", "lora-adapter");
  try {
    await saveLoraAdapter(folder, {
      ...{ base, model, factors: await learnedFactors(), dtype: "F32" },
      ...{ baseName: "../../text-step/base", taskType: "FEATURE_EXTRACTION" },
    });
    await mkdir(committed, { recursive: true });
    for (const name of ["adapter_config.json", "adapter_model.safetensors"]) {
      if (process.env.UPDATE_ADAPTERS === "1") await copyFile(join(folder, name), join(committed, name));
      expect(await readFile(join(folder, name)), name).toEqual(await readFile(join(committed, name)));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  if (process.env.UPDATE_ADAPTERS === "1") return;
  const texts = await readFixture("fine-tune/text.safetensors");
  const store = paddedTexts(model, fixtureTexts(texts), texts.ints("labels"));
  const executable = await engine.compile({
    name: "features",
    frozen: new Map(weightSpecs(model)),
    inputs: model.inputs(store.size, 20),
    build: (tensors) => new Map([["features", model.features(givenWeights(lookup(tensors)), lookup(tensors))]]),
  });
  const weights = await modelWeights(await openExpert(committed, base), base, model);
  await executable.bind(new Map(weightSources(model, weights)));
  const found = (
    await executable.run(
      store.gather(
        Uint32Array.from({ length: store.size }, (_, row) => row),
        20,
      ),
    )
  ).get("features");
  await executable.close();
  const wanted = (await readFixture("fine-tune/lora-features.safetensors")).floats("features");
  expect(found?.length).toBe(wanted.length);
  expect(Math.max(...wanted.map((value, index) => Math.abs(value - (found?.[index] ?? Number.NaN))))).toBeLessThan(
    1e-6,
  );
});
