/** BERT and its like against transformers on random weights: last hidden states, features, classifiers' logits, on both engines. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { lookup } from "../../src/engine/lookup.js";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import { activate } from "../../src/engine/ops/activation.js";
import { linear } from "../../src/engine/ops/linear.js";
import type { Engine, Program, TensorSource, TensorSpec, TensorValues } from "../../src/engine/program.js";
import { type Tensor, tf } from "../../src/engine/tf.js";
import { createTfjsEngine } from "../../src/engine/tfjs-engine.js";
import { bert, distilbert, roberta, type TextFamily } from "../../src/model/bert/text-families.js";
import type { Model } from "../../src/model/family.js";
import { givenWeights, weightName } from "../../src/optimize/step-program.js";
import { modelWeights } from "../../src/run/suite/stored-weights.js";
import { relativeError } from "../support/random.js";
import { FASTER_TFJS_BACKENDS } from "../support/tfjs-backends.js";
import { CONFORMANCE, type FixtureArrays, readFixture } from "./fixture.js";
import { readTextModel } from "./text-models.js";

const onnx = createOnnxEngine({ provider: "cpu", threads: 1 });
afterAll(() => onnx.close());

const engines: readonly (readonly [string, () => Promise<Engine>])[] = [
  ["onnx", async () => onnx],
  ["tfjs-cpu", () => createTfjsEngine("cpu")],
  ...FASTER_TFJS_BACKENDS.map((backend) => [`tfjs-${backend}`, () => createTfjsEngine(backend)] as const),
];
const encoders: readonly (readonly [string, TextFamily])[] = [
  ["bert", bert],
  ["bert-classifier", bert],
  ["roberta-classifier", roberta],
  ["xlm-roberta", roberta],
  ["distilbert", distilbert],
  ["distilbert-4", distilbert],
];

/** RoBERTa's classifiers are saved without it. */
const WITHOUT_POOLER: ReadonlySet<string> = new Set(["roberta-classifier"]);

/** What `of` makes of the features and what leaves the last block, of the texts of a fixture. */
async function computed(
  engine: Engine,
  folder: string,
  model: Model,
  of: (features: Tensor, extra: (name: string) => Tensor) => Tensor = (features) => features,
  extra: readonly string[] = [],
): Promise<ReadonlyMap<string, Float32Array>> {
  const fixture = await readFixture(`${folder}/fixture.safetensors`);
  const checkpoint = await openCheckpoint(join(CONFORMANCE, folder));
  const [count = 0, tokens = 0] = fixture.shape("input_ids");
  const sources = new Map<string, TensorSource>();
  const specs = new Map<string, TensorSpec>();
  const add = (name: string, shape: readonly number[], values: Float32Array): void => {
    specs.set(name, { shape, dtype: "float32" });
    sources.set(name, { kind: "memory", values });
  };
  const weights = await modelWeights(checkpoint, checkpoint, model);
  for (const { name, shape } of model.tensors) add(weightName(name), shape, weights.get(name) ?? new Float32Array());
  for (const name of extra) add(name, checkpoint.tensors.get(name)?.shape ?? [], await checkpoint.readFloat32(name));
  const program: Program = {
    name: "features",
    frozen: specs,
    inputs: model.inputs(count, tokens),
    build: (tensors) => {
      const get = lookup(tensors);
      const seen = new Map<string, Tensor>();
      const features = model.features(givenWeights(get), get, {
        part: (prefix, values) => seen.set(prefix, values),
        wholeLastBlock: true,
      });
      const hidden = [...seen].findLast(([prefix]) => /layer\.1\./.test(prefix))?.[1] ?? features;
      return new Map([
        ["hidden", hidden],
        ["features", of(features, get)],
      ]);
    },
  };
  const executable = await engine.compile(program);
  await executable.bind(sources);
  const outputs = await executable.run(inputsOf(fixture, model, count));
  await executable.close();
  return outputs;
}

function inputsOf(fixture: FixtureArrays, model: Model, count: number): Map<string, TensorValues> {
  return new Map(
    [...model.inputs(count)].map(([name, { dtype }]) => [
      name,
      dtype === "int32" ? fixture.ints(name) : fixture.bytes(name),
    ]),
  );
}

/** Values of tokens that are not padding. */
function ofTokens(fixture: FixtureArrays, values: ArrayLike<number>): Float64Array {
  const mask = fixture.bytes("attention_mask");
  const width = values.length / mask.length;
  return Float64Array.from(values).filter((_, index) => mask[Math.floor(index / width)] === 1);
}

describe.each(encoders)("%s equals transformers", (name, family) => {
  const folder = `text-encoders/${name}`;
  describe.each(engines)("%s", (_, open) => {
    it.each(
      family.poolings
        .filter((pooling) => pooling !== "pooler" || !WITHOUT_POOLER.has(name))
        .flatMap((pooling) => [
          { pooling, normalized: false },
          { pooling, normalized: true },
        ]),
    )("$pooling, normalised: $normalized", async (features) => {
      const fixture = await readFixture(`${folder}/fixture.safetensors`);
      const model = await readTextModel(folder, family, features);
      const found = await computed(await open(), folder, model);
      const expected = fixture.floats(`${features.pooling}${features.normalized ? "_normalized" : ""}`);
      expect(relativeError(found.get("features") ?? [], expected)).toBeLessThan(1e-5);
      const hidden = ofTokens(fixture, found.get("hidden") ?? []);
      expect(relativeError(hidden, ofTokens(fixture, fixture.floats("hidden")))).toBeLessThan(1e-5);
    });
  });
});

describe.each(encoders.filter(([name]) => /classifier|-4/.test(name)))("%s: the classifier", (name, family) => {
  it("reads what its layout says", async () => {
    const folder = `text-encoders/${name}`;
    const config: { architectures: string[] } = JSON.parse(
      await readFile(join(CONFORMANCE, folder, "config.json"), "utf8"),
    );
    const layout = family.classifiers.find(({ architecture }) => architecture === config.architectures[0]);
    if (layout === undefined) throw new Error("no such classifier");
    const { hidden, weight, bias } = layout;
    const model = await readTextModel(folder, family, layout.features);
    const outputs = await computed(
      onnx,
      folder,
      model,
      (features, get) => {
        const dense = hidden === undefined ? features : linear(features, get(hidden.weight), get(hidden.bias));
        const active =
          hidden === undefined ? dense : hidden.activation === "tanh" ? tf.tanh(dense) : activate("relu", dense);
        return linear(active, get(weight), get(bias));
      },
      [weight, bias, ...(hidden === undefined ? [] : [hidden.weight, hidden.bias])],
    );
    const expected = (await readFixture(`${folder}/fixture.safetensors`)).floats("logits");
    expect(relativeError(outputs.get("features") ?? [], expected)).toBeLessThan(1e-5);
  });
});
