/** BERT and its like in several lengths: logits, Gram matrices, Fisher information and gradients are those of the longest, but for rounding. */
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import type { ExampleStore } from "../../src/data/examples.js";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import { bert, roberta } from "../../src/model/bert/text-families.js";
import type { Model } from "../../src/model/family.js";
import { createClassifier } from "../../src/optimize/evaluate.js";
import { createModelProbe } from "../../src/optimize/model-probe.js";
import { modelWeights } from "../../src/run/suite/stored-weights.js";
import { randomArray } from "../support/random.js";
import { CONFORMANCE } from "./fixture.js";
import { readTextModel } from "./text-models.js";

const onnx = createOnnxEngine({ provider: "cpu", threads: 1 });
afterAll(() => onnx.close());

const TOKENS = [3, 8, 12, 5, 16, 14, 2];
const WORDS = 24;

/** Texts of these numbers of tokens, and the inputs that the model has. */
function texts(model: Model): ExampleStore {
  const named = model.inputs(1);
  return {
    ...{ kind: "text", name: "texts", size: TOKENS.length, lengths: Int32Array.from(TOKENS) },
    gather: (indices, length = 0) => {
      const size = indices.length * length;
      const [ids, mask] = [new Int32Array(size).fill(1), new Uint8Array(size)];
      for (const [row, index] of indices.entries()) {
        for (let token = 0; token < (TOKENS[index] ?? 0); token++) {
          ids[row * length + token] = 2 + ((index * 31 + token * 7) % WORDS);
          mask[row * length + token] = 1;
        }
      }
      const all: [string, Int32Array | Uint8Array][] = [
        ["input_ids", ids],
        ["attention_mask", mask],
        ["token_type_ids", new Uint8Array(size)],
      ];
      return new Map(all.filter(([name]) => named.has(name)));
    },
  };
}

async function lookedAt(whole: Model, weights: ReadonlyMap<string, Float32Array>, lengths: readonly number[]) {
  const model = { ...whole, lengths };
  const size = 3 * model.featureSize;
  const shape = { task: "t", classes: 3, featureSize: model.featureSize, logitScale: 1 };
  const heads = [{ ...shape, weight: randomArray(size, 9), bias: new Float32Array(3) }];
  const classifier = await createClassifier(onnx, { model, heads, batchSize: 3 });
  await classifier.setWeights(weights);
  const store = texts(model);
  const signal = new AbortController().signal;
  const stores = async () => new Map([["t", store]]);
  const probe = createModelProbe(onnx, { model, heads, classifier, stores, seed: 0, signal });
  const names = model.tensors.map(({ name }) => name);
  return new Map<string, ReadonlyMap<string, ArrayLike<number>>>([
    ["logits", new Map([["logits", await classifier.taskLogits("t", store)]])],
    ["Gram matrices", await probe.grams(0, weights, TOKENS.length, names)],
    ["squares", await probe.squares(0, weights, TOKENS.length, names)],
    ["Fisher information", await probe.fisher(0, weights, 2, 1)],
    ["gradient of the entropy", await probe.entropyGradient(0, weights, TOKENS.length)],
  ]);
}

it.each([
  ["bert", bert],
  ["roberta-classifier", roberta],
] as const)("%s", async (name, family) => {
  const folder = join("text-encoders", name);
  const model = await readTextModel(folder, family, { pooling: "mean", normalized: true });
  const checkpoint = await openCheckpoint(join(CONFORMANCE, folder));
  const weights = await modelWeights(checkpoint, checkpoint, model);
  const [found, expected] = [await lookedAt(model, weights, [4, 8, 16]), await lookedAt(model, weights, [16])];
  for (const [what, byTensor] of expected) {
    const own = found.get(what) ?? expect.fail(what);
    expect([...own.keys()]).toEqual([...byTensor.keys()]);
    const largest = Math.max(...[...byTensor.values()].map((values) => Math.hypot(...Array.from(values))));
    for (const [tensor, values] of byTensor) {
      // The gradient in a key's bias is nothing but rounding: it moves all scores of a query alike.
      const allowed = 1e-4 * Math.hypot(...Array.from(values)) + 1e-6 * largest;
      const difference = Math.hypot(
        ...Array.from(values, (value, at) => value - (own.get(tensor)?.[at] ?? Number.NaN)),
      );
      expect(difference, `${what}: ${tensor}`).toBeLessThanOrEqual(allowed);
    }
  }
});
