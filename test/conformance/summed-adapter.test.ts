/**
 * Three adapters of a BERT, written by peft, merged into one that peft reads: its weights and its features are those of
 * our merged model (make-bert-adapters.py). UPDATE_ADAPTERS=1 writes the adapter anew; then run `make-bert-adapters.py
 * ours`.
 */
import { copyFile, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Checkpoint, openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { lookup } from "../../src/engine/lookup.js";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import { saveSummedAdapter } from "../../src/merge/summed-adapter.js";
import { bert } from "../../src/model/bert/text-families.js";
import { openAdapter, openBase } from "../../src/model/open-models.js";
import { givenWeights, weightSources, weightSpecs } from "../../src/optimize/step-program.js";
import { relativeError } from "../support/random.js";
import { paddedTexts } from "../support/training-examples.js";
import { weightAt, weightedSums } from "../support/weighted-experts.js";
import { CONFORMANCE, readFixture } from "./fixture.js";
import { readTextModel } from "./text-models.js";

const COMMITTED = join(CONFORMANCE, "bert-adapters", "summed");
const EXPERTS = ["everything", "biases", "tables"].map((name) => join(CONFORMANCE, "bert-adapters", name));
const isUpdate = process.env.UPDATE_ADAPTERS === "1";
let base: Checkpoint;
const engine = createOnnxEngine({ provider: "cpu", threads: 1 });
beforeAll(async () => {
  base = await openBase(join(CONFORMANCE, "text-encoders", "bert"));
});
afterAll(() => engine.close());

it("what peft read as the merge is what is written now, to the byte", async () => {
  const folder = await mkdtemp(join(tmpdir(), "summed-adapter-"));
  try {
    const summands = await Promise.all(
      EXPERTS.map(async (path, expert) => {
        const adapter = await openAdapter(path, base);
        if (adapter === undefined) throw new Error(`no adapter at ${path}`);
        return { adapter, weightOf: (name: string) => weightAt(name, expert) };
      }),
    );
    const { error, whole } = await saveSummedAdapter(folder, {
      ...{ base, summands, rank: undefined, dtype: "F32", taskType: "FEATURE_EXTRACTION" },
      baseName: "../../text-encoders/bert",
    });
    expect(error).toBeLessThan(1e-7);
    expect(whole.length).toBeGreaterThan(5);
    await mkdir(COMMITTED, { recursive: true });
    for (const name of ["adapter_config.json", "adapter_model.safetensors"]) {
      if (isUpdate) await copyFile(join(folder, name), join(COMMITTED, name));
      expect(await readFile(join(folder, name)), name).toEqual(await readFile(join(COMMITTED, name)));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

it.skipIf(isUpdate)("peft's merge of it into the base has the weights of the merged model", async () => {
  const merged = await openCheckpoint(join(COMMITTED, "merged.safetensors"));
  const wanted = await weightedSums(base, EXPERTS);
  for (const name of merged.tensors.keys()) expect(wanted.has(name), name).toBe(true);
  for (const [name, values] of wanted) {
    const theirs = await (merged.tensors.has(name) ? merged : base).readFloat32(name);
    expect(relativeError(theirs, values), name).toBeLessThan(2e-7);
    expect(relativeError(await base.readFloat32(name), values), name).toBeGreaterThan(1e-5);
  }
});

it.skipIf(isUpdate)("peft's features with it are those of the merged model", async () => {
  const model = await readTextModel("text-encoders/bert", bert, { pooling: "mean", normalized: true });
  const fixture = await readFixture("text-encoders/bert/fixture.safetensors");
  const [count = 0, tokens = 0] = fixture.shape("input_ids");
  const mask = fixture.bytes("attention_mask");
  const texts = Array.from({ length: count }, (_, row) => {
    const own = fixture.ints("input_ids").subarray(row * tokens, (row + 1) * tokens);
    return [...own.filter((_, at) => mask[row * tokens + at] === 1)];
  });
  const store = paddedTexts(model, texts, new Int32Array(count));
  const sums = await weightedSums(base, EXPERTS);
  const weights = new Map<string, Float32Array>();
  for (const { name } of model.tensors)
    weights.set(name, Float32Array.from(sums.get(name) ?? (await base.readFloat32(name))));
  const executable = await engine.compile({
    name: "features",
    frozen: new Map(weightSpecs(model)),
    inputs: model.inputs(count, tokens),
    build: (given) => new Map([["features", model.features(givenWeights(lookup(given)), lookup(given))]]),
  });
  await executable.bind(new Map(weightSources(model, weights)));
  const inputs = store.gather(
    Uint32Array.from({ length: count }, (_, row) => row),
    tokens,
  );
  const found = (await executable.run(inputs)).get("features");
  await executable.close();
  const wanted = (await readFixture("bert-adapters/summed/features.safetensors")).floats("features");
  expect(found?.length).toBe(wanted.length);
  expect(Math.max(...wanted.map((value, index) => Math.abs(value - (found?.[index] ?? Number.NaN))))).toBeLessThan(
    1e-6,
  );
});
