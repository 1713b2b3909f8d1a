/**
 * Exported files, run by ONNX Runtime alone: features, logits and probabilities are the engine's, for any number of
 * examples, any length of texts and any padding. What cannot be exported is in export-onnx-refused.test.ts.
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import ort from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeFloat16, encodeFloat16 } from "../../../src/checkpoint/float16.js";
import { createOnnxEngine } from "../../../src/engine/onnx-engine.js";
import { exportOnnx } from "../../../src/index.js";
import type { Head } from "../../../src/model/heads.js";
import { exportOnnx as exportWith } from "../../../src/run/export-onnx/export-onnx.js";
import { openSavedClassifier } from "../../../src/run/predict/saved-classifier.js";
import { openSavedEncoder, type SavedEncoder } from "../../../src/run/predict/saved-encoder.js";
import { writeDanFolder } from "../../extending/dan-models.js";
import { runCli, temporaryFolder } from "../../support/cli.js";
import { type Examples, engineOutputs, writeSavedModels } from "../../support/exported-models.js";
import { randomArray } from "../../support/random.js";

/** Of the largest value. */
const MOST_DIFFERENCE = 1e-5;
/** Numbers of images; of texts with their lengths, of which the last is all that the model has positions for. */
const BATCHES = [1, 3, 17];
const TEXTS = [
  [1, 2],
  [3, 5],
  [17, 12],
  [3, 20],
] as const;
const engine = createOnnxEngine({ provider: "cpu", threads: 1 });
afterAll(() => engine.close());

let root = "";
beforeAll(async () => {
  root = await temporaryFolder();
  await writeSavedModels(root);
}, 60_000);

/** Pixel levels, as the engine has them. */
function imagesOf(saved: SavedEncoder, count: number): Examples {
  const [, height = 0, width = 0] = saved.model.inputs(1).get("images")?.shape ?? [];
  const levels = Uint8Array.from(randomArray(count * height * width * 3, count, 0, 256));
  return { count, values: new Map([["images", levels]]) };
}

/** As every program prepares images: scaled, normalised, channels first. */
function pixelValues({ encoder, model }: SavedEncoder, { count, values }: Examples): ort.Tensor {
  const { mean, std, rescaleFactor } = encoder.preprocessing ?? expect.fail("no preprocessing");
  const [, height = 0, width = 0] = model.inputs(1).get("images")?.shape ?? [];
  const levels = values.get("images") ?? [];
  const pixels = Float32Array.from({ length: levels.length }, (_, index) => {
    const [column, row] = [index % width, Math.floor(index / width) % height];
    const channel = Math.floor(index / (width * height)) % 3;
    const image = Math.floor(index / (width * height * 3));
    const level = levels[((image * height + row) * width + column) * 3 + channel] ?? Number.NaN;
    return (level * rescaleFactor - (mean[channel] ?? 0)) / (std[channel] ?? 1);
  });
  return new ort.Tensor("float32", pixels, [count, 3, height, width]);
}

/** Texts of different lengths, in the second half of another segment, padded by `padding` tokens. */
function textsOf(count: number, longest: number, padding = 0): Examples {
  const length = longest + padding;
  const [tokens, mask, segments] = [
    new Int32Array(count * length),
    new Uint8Array(count * length),
    new Uint8Array(count * length),
  ];
  for (let text = 0; text < count; text++) {
    const own = text === 0 ? longest : 1 + ((text * 5) % longest);
    for (const [at, drawn] of randomArray(own, 7 * text + 1, 4, 31).entries()) {
      tokens[text * length + at] = Math.floor(drawn);
      mask[text * length + at] = 1;
      segments[text * length + at] = at > own / 2 ? 1 : 0;
    }
  }
  return {
    count,
    length,
    values: new Map<string, Int32Array | Uint8Array>([
      ["input_ids", tokens],
      ["attention_mask", mask],
      ["token_type_ids", segments],
    ]),
  };
}

const int64 = ({ count, length = 0, values }: Examples): Record<string, ort.Tensor> =>
  Object.fromEntries(
    [...values].map(([name, list]) => [
      name,
      new ort.Tensor("int64", BigInt64Array.from(list as Int32Array, BigInt), [count, length]),
    ]),
  );

function expectClose(found: ort.OnnxValue | undefined, expected: Float32Array | undefined, what: string): void {
  const values = found?.type === "float32" && "data" in found ? (found.data as Float32Array) : new Float32Array();
  expect(values.length, what).toBe(expected?.length);
  const largest = (expected ?? values).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  expect(largest).toBeGreaterThan(0.01);
  const difference = values.reduce(
    (most, value, at) => Math.max(most, Math.abs(value - (expected?.[at] ?? Number.NaN))),
    0,
  );
  expect(difference / largest, what).toBeLessThan(MOST_DIFFERENCE);
}

const optionsOf = { logSeverityLevel: 4, intraOpNumThreads: 1 } as const;

/** The file beside the engine, on images of several numbers or texts of several lengths. */
async function compare(file: string, saved: SavedEncoder, weights: ReadonlyMap<string, Float32Array>, head?: Head) {
  const session = await ort.InferenceSession.create(file, optionsOf);
  const isText = saved.encoder.kind === "text";
  const examples = isText
    ? TEXTS.map(([count, length]) => textsOf(count, length))
    : BATCHES.map((count) => imagesOf(saved, count));
  for (const given of examples) {
    const expected = await engineOutputs(engine, saved, weights, given, head);
    const found = await session.run(isText ? int64(given) : { pixel_values: pixelValues(saved, given) });
    expect(Object.keys(found)).toEqual([...expected.keys()]);
    for (const [name, values] of expected) expectClose(found[name], values, `${name} ${given.count} ${given.length}`);
  }
  await session.release();
}

describe("an exported model", () => {
  it("has the engine's features, also of a folder without heads", async () => {
    const [folder, output] = [join(root, "texts", "models", "base"), join(root, "base.onnx")];
    const exported = await exportOnnx(folder, { output });
    const saved = await openSavedEncoder(folder);
    expect([...exported.outputs]).toEqual([["features", ["batch_size", saved.model.featureSize]]]);
    await compare(output, saved, await saved.weights());
  });

  it.each([
    ["clip", "pair"],
    ["bert", "thirds"],
    ["sentences", "two"],
    ["vit", "three"],
  ])("has the engine's features, logits and probabilities of a head, at any size: %s", async (name, task) => {
    const [folder, output] = [join(root, name), join(root, `${name}-${task}.onnx`)];
    const { metadata, inputs } = await exportOnnx(name, { output: `${name}-${task}.onnx`, task, cwd: root });
    const saved = await openSavedClassifier(folder, { tasks: [task], notice: () => {} });
    await compare(output, saved, await saved.weights(), saved.heads[0]);
    const isText = saved.encoder.kind === "text";
    const text = ["input_ids", "attention_mask", "token_type_ids"];
    expect([...inputs.keys()]).toEqual(isText ? text : ["pixel_values"]);
    expect(metadata.get("task")).toBe(task);
    expect(metadata.get("logit_scale")).toBe(String(saved.heads[0]?.logitScale));
    expect(JSON.parse(metadata.get("features") ?? "")).toEqual(saved.model.featureChoice);
    const bytes = await readFile(output);
    for (const [key, value] of metadata) expect(bytes.includes(key) && bytes.includes(value), key).toBe(true);
  });

  it("says how examples are prepared, and what classes are called", async () => {
    // A card of models in folders names none; that of models on the hub does.
    await writeFile(join(root, "clip", "README.md"), "---\nbase_model: [org/base, org/colours]\n---\n\n# A merge\n");
    const clip = await exportOnnx(join(root, "clip"), { output: join(root, "a.onnx"), task: "colours" });
    expect(JSON.parse(clip.metadata.get("classes") ?? "")).toEqual(["dark", "light", "red"]);
    expect(JSON.parse(clip.metadata.get("preprocessing") ?? "")).toMatchObject({
      ...{
        size: { shortest_edge: 32 },
        crop_size: { height: 32, width: 32 },
        resample: "bicubic",
        height: 32,
        width: 32,
      },
      ...{ image_mean: [0.48145466, 0.4578275, 0.40821073], rescale_factor: 1 / 255 },
    });
    expect(JSON.parse(clip.metadata.get("base_model") ?? "")).toEqual(["org/base", "org/colours"]);
    const texts = await exportOnnx(join(root, "sentences"), { output: join(root, "b.onnx"), task: "two" });
    expect(JSON.parse(texts.metadata.get("classes") ?? "")).toEqual(["é", "no"]);
    // The head's, which is less than the 20 of the model.
    expect(texts.metadata.get("max_length")).toBe("12");
    const unnamed = await exportOnnx(join(root, "vit"), { output: join(root, "c.onnx"), task: "three" });
    expect(unnamed.metadata.has("classes")).toBe(false);
  });

  it("gives a text the same features whatever it is padded to", async () => {
    await exportOnnx(join(root, "sentences"), { output: join(root, "padded.onnx") });
    const session = await ort.InferenceSession.create(join(root, "padded.onnx"), optionsOf);
    const plain = await session.run(int64(textsOf(3, 5)));
    const padded = await session.run(int64(textsOf(3, 5, 14)));
    expectClose(padded.features, plain.features?.data as Float32Array, "padded");
    // One token more than there are positions.
    await expect(session.run(int64(textsOf(2, 21)))).rejects.toThrow(/Add/);
    await session.release();
  });

  it("is the same file every time, of operators that all runtimes have", async () => {
    const files = await Promise.all(
      ["once.onnx", "again.onnx"].map(async (name) => {
        await exportOnnx(join(root, "bert"), { output: join(root, name), task: "vowels" });
        return readFile(join(root, name));
      }),
    );
    expect(Buffer.compare(files[0] ?? Buffer.of(1), files[1] ?? Buffer.of(2))).toBe(0);
    expect(files[0]?.includes("com.microsoft")).toBe(false);
  });

  it("stores float16 where asked, and computes with these very values", async () => {
    const [folder, output] = [join(root, "sentences"), join(root, "half.onnx")];
    const full = await exportOnnx(folder, { output });
    const half = await exportOnnx(folder, { output, dtype: "float16", overwrite: true });
    expect(half.bytes).toBeLessThan(0.75 * full.bytes);
    expect(half.metadata.get("weights")).toBe("float16");
    const saved = await openSavedEncoder(folder);
    const rounded = [...(await saved.weights())].map(([tensor, values]): [string, Float32Array] => [
      tensor,
      decodeFloat16(encodeFloat16(values)),
    ]);
    await compare(output, saved, new Map(rounded));
  });

  it("has its weights in a second file where it is too large for one", async () => {
    const folder = join(root, "clip");
    const output = join(root, "large", "model.onnx");
    const { files, bytes } = await exportWith(folder, { output, task: "pair", maxModelBytes: 50_000 });
    expect(files).toEqual([output, `${output}.data`]);
    expect(bytes).toBeGreaterThan(100_000);
    expect((await readFile(output)).length).toBeLessThan(50_000);
    const saved = await openSavedClassifier(folder, { tasks: ["pair"], notice: () => {} });
    await compare(output, saved, await saved.weights(), saved.heads[0]);
    const again = { output, maxModelBytes: 50_000 };
    await expect(exportWith(folder, again)).rejects.toThrow(/expected a new name, found a file/);
    await exportWith(folder, { ...again, overwrite: true });
    await compare(output, saved, await saved.weights());
    expect(await readdir(join(root, "large"))).toEqual(["model.onnx", "model.onnx.data"]);
  });

  it("leaves no weights of its own behind where one file replaces two, and all that is not its own", async () => {
    const folder = join(root, "clip");
    const output = join(root, "replaced", "model.onnx");
    const data = `${output}.data`;
    await exportWith(folder, { output, maxModelBytes: 50_000 });
    await exportWith(folder, { output, overwrite: true });
    expect(await readdir(join(root, "replaced"))).toEqual(["model.onnx"]);
    // Beside a model that names no such file.
    await writeFile(data, "mine");
    await exportWith(folder, { output, overwrite: true });
    expect(await readFile(data, "utf8")).toBe("mine");
    // In the place of the weights.
    await exportWith(folder, { output, overwrite: true, maxModelBytes: 50_000 });
    await writeFile(data, "mine");
    await exportWith(folder, { output, overwrite: true });
    expect(await readFile(data, "utf8")).toBe("mine");
    // Beside files that are no models of ours, whole or cut.
    const cut = (await readFile(output)).subarray(0, 5000);
    for (const other of [Buffer.from("onnx"), cut, Buffer.alloc(0), Buffer.alloc(20, 255)]) {
      await writeFile(output, other);
      await exportWith(folder, { output, overwrite: true });
      expect(await readFile(data, "utf8")).toBe("mine");
    }
  });

  it("may be of a family of the user's own", async () => {
    const folder = join(root, "own");
    await writeDanFolder(folder);
    const flags = ["--family", "family.mjs"];
    const exported = await runCli(folder, ["export", "mood", "-o", "mood.onnx", "--task", "classifier", ...flags]);
    expect(exported).toMatchObject({ code: 0, stdout: `${join(folder, "mood.onnx")}\n` });
    expect(exported.stderr).toContain("output  probabilities [batch_size, 2]");
    const text = ["--text", "good tea", "--format", "jsonl", "--top", "2"];
    const { stdout } = await runCli(folder, ["predict", "mood", ...text, ...flags]);
    const labels: { label: string; probability: number }[] = JSON.parse(stdout).predictions[0].labels;
    const session = await ort.InferenceSession.create(join(folder, "mood.onnx"), optionsOf);
    const tensor = (...values: bigint[]) => new ort.Tensor("int64", BigInt64Array.from(values), [1, 3]);
    const { probabilities } = await session.run({ input_ids: tensor(2n, 8n, 0n), attention_mask: tensor(1n, 1n, 0n) });
    const ofNo = labels.find(({ label }) => label === "no")?.probability ?? 0;
    expectClose(probabilities, Float32Array.of(ofNo, 1 - ofNo), "probabilities");
  });
});
