/** A whole CLIP model against transformers' CLIPModel on random weights: tokens, features of texts and images, logits, zero-shot heads. */
import { mkdtemp, readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import type { Engine } from "../../src/engine/program.js";
import { createTfjsEngine } from "../../src/engine/tfjs-engine.js";
import { parseClipConfig, parseClipTextConfig } from "../../src/model/clip/config.js";
import { clipTextTensors, tokenTable } from "../../src/model/clip/text.js";
import { openClipTexts, openTextTower, textFeatures } from "../../src/model/clip/text-tower.js";
import { openClipTokenizer } from "../../src/model/clip/tokenizer.js";
import { clipVisionModel } from "../../src/model/clip/vision-model.js";
import type { Head } from "../../src/model/heads.js";
import { createClassifier } from "../../src/optimize/evaluate.js";
import { type ZeroShotContext, zeroShotHeads } from "../../src/run/heads/zero-shot-heads.js";
import { modelWeights } from "../../src/run/suite/stored-weights.js";
import { relativeError } from "../support/random.js";
import { TFJS_BACKENDS } from "../support/tfjs-backends.js";
import { CONFORMANCE, readFixture } from "./fixture.js";
import { normalizationOf } from "./problem.js";

const CLIP = join(CONFORMANCE, "clip");
const onnx = createOnnxEngine({ provider: "cpu", threads: 1 });
afterAll(() => onnx.close());
const engines: readonly (readonly [string, () => Promise<Engine>])[] = [
  ["onnx", async () => onnx],
  ...TFJS_BACKENDS.map((backend) => [`tfjs-${backend}`, () => createTfjsEngine(backend)] as const),
];

const goldenSchema = z.array(z.tuple([z.string(), z.array(z.number())]));
const fixtureSchema = z.object({
  tasks: z.record(
    z.string(),
    z.object({
      templates: z.array(z.string()),
      classes: z.array(z.string()),
      names: z.array(z.string()).exactOptional(),
    }),
  ),
  prompts: z.array(z.string()),
  tokens: z.array(z.array(z.number())),
});
const readJson = async (path: string): Promise<unknown> => JSON.parse(await readFile(path, "utf8"));
const readTexts = async () => fixtureSchema.parse(await readJson(join(CLIP, "fixture.json")));

describe("tokens equal those of transformers", () => {
  it("from vocab.json and merges.txt: text cleaning, words, cutting at the context", async () => {
    const folder = join(CONFORMANCE, "clip-tokenizer");
    const golden = goldenSchema.parse(await readJson(join(folder, "golden.json")));
    const tokenizer = await openClipTokenizer(folder, 77);
    const tokens = await tokenizer.encode(golden.map(([prompt]) => prompt));
    expect(golden.map(([prompt], index) => [prompt, tokens[index]])).toEqual(golden);
    expect(golden.filter(([, ids]) => ids.length === 77).length).toBeGreaterThan(1);
  });

  it("from tokenizer.json", async () => {
    const { prompts, tokens } = await readTexts();
    const tokenizer = await openClipTokenizer(CLIP, 16);
    expect(await tokenizer.encode(prompts)).toEqual(tokens);
  });
});

describe.each(engines)("on %s", (_, open) => {
  it("texts have transformers' features, at whatever length they are computed", async () => {
    const { prompts } = await readTexts();
    const tower = await openTextTower(CLIP);
    const found = await textFeatures(await open(), tower, await tower.tokenizer.encode(prompts), {});
    const expected = (await readFixture("clip/fixture.safetensors")).floats("text_features");
    expect(relativeError(found, expected)).toBeLessThan(1e-5);
    // Alone, a short prompt goes through a shorter program.
    const one = prompts.indexOf("forest");
    const alone = await textFeatures(await open(), tower, await tower.tokenizer.encode(["forest"]), {});
    expect(relativeError(alone, expected.subarray(16 * one, 16 * (one + 1)))).toBeLessThan(1e-5);
  });

  it.each([
    ["the first end token", {}, "features"],
    ["the largest token, as old configs mean it", { eos_token_id: 2 }, "features_legacy"],
  ])("a text tower by itself reads a prompt at %s", async (_what, changes, array) => {
    const folder = join(CONFORMANCE, "clip-text");
    const checkpoint = await openCheckpoint(folder);
    const config = parseClipTextConfig({ ...z.looseObject({}).parse(checkpoint.config), ...changes }, folder);
    const weights = new Map<string, Float32Array>();
    for (const { name } of [tokenTable(config), ...clipTextTensors(config)])
      weights.set(name, await checkpoint.readFloat32(name));
    const fixture = await readFixture("clip-text/fixture.safetensors");
    const [rows = 0, tokens = 0] = fixture.shape("ids");
    const ids = Array.from({ length: rows }, (_row, row) => [
      ...fixture.ints("ids").subarray(row * tokens, (row + 1) * tokens),
    ]);
    const found = await textFeatures(await open(), { config, weights: async () => weights }, ids, {});
    expect(relativeError(found, fixture.floats(array))).toBeLessThan(1e-5);
  });

  it("images have transformers' features, and logits its logits", async () => {
    const fixture = await readFixture("clip/fixture.safetensors");
    const tower = await openTextTower(CLIP);
    const base = await openCheckpoint(CLIP);
    const config = parseClipConfig(base.config, CLIP);
    const size = config.projectionSize;
    const identity = Float32Array.from({ length: size * size }, (_value, index) => (index % (size + 1) === 0 ? 1 : 0));
    const texts = Float32Array.from(fixture.floats("text_features"));
    const headOf = (task: string, weight: Float32Array, logitScale: number): Head => {
      const classes = weight.length / size;
      return { task, classes, featureSize: size, logitScale, weight, bias: new Float32Array(classes) };
    };
    const heads = [headOf("features", identity, 1), headOf("texts", texts, tower.logitScale ?? Number.NaN)];
    const [batchSize = 0] = fixture.shape("pixels");
    const model = clipVisionModel(config, await normalizationOf("clip"));
    const classifier = await createClassifier(await open(), { model, heads, batchSize });
    await classifier.setWeights(await modelWeights(base, base, model));
    const found = await classifier.logits(new Map([["images", fixture.bytes("pixels")]]));
    const columns = found.length / batchSize;
    const part = (from: number, to: number) => found.filter((_v, i) => i % columns >= from && i % columns < to);
    expect(relativeError(part(0, size), fixture.floats("image_features"))).toBeLessThan(1e-5);
    expect(relativeError(part(size, columns), fixture.floats("logits"))).toBeLessThan(1e-5);
    await classifier.close();
  });

  it("heads of several templates are transformers' means, and come from the cache the second time", async () => {
    const { tasks } = await readTexts();
    const fixture = await readFixture("clip/fixture.safetensors");
    const made = Object.entries(tasks).map(([name, { templates, classes, names }]) => ({
      task: { name, classes },
      recipe: { templates, ...(names === undefined ? {} : { names }) },
    }));
    const lines: string[] = [];
    const cacheDir = await mkdtemp(join(tmpdir(), "adamerge-clip-"));
    const context: ZeroShotContext = {
      textModel: CLIP,
      openTexts: openClipTexts,
      featureSize: 16,
      logitScale: undefined,
      cacheDir,
      detail: (line) => void lines.push(line),
    };
    const heads = await zeroShotHeads(made, context, open);
    for (const [name, head] of heads) {
      expect(relativeError(head.weight, fixture.floats(`head.${name}`))).toBeLessThan(1e-5);
      expect(head.logitScale).toBeCloseTo(Math.exp(3), 5);
    }
    expect(lines).toContain(`head of land: zero-shot, 3 classes x 3 templates (texts embedded by ${CLIP})`);
    expect(await readdir(join(cacheDir, "heads"))).toHaveLength(3);
    const again = await zeroShotHeads(made, context, () => Promise.reject(new Error("an engine was asked for")));
    expect(again).toEqual(heads);
    expect(lines).toHaveLength(3);
  });
});
