/** The tower against transformers' CLIPVisionModelWithProjection on random weights, on both engines. */
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import type { Engine, Program, TensorSource, TensorSpec } from "../../src/engine/program.js";
import { createTfjsEngine } from "../../src/engine/tfjs-engine.js";
import { clipVisionFeatures, clipVisionTensors } from "../../src/model/clip-vision.js";
import { lookup } from "../../src/optimize/step-program.js";
import { relativeError } from "../support/random.js";
import { CONFORMANCE, readFixture } from "./fixture.js";
import { normalizationOf, towerConfig } from "./problem.js";

const onnx = createOnnxEngine({ provider: "cpu", threads: 1 });
afterAll(() => onnx.close());

const engines: readonly (readonly [string, () => Promise<Engine>])[] = [
  ["onnx", async () => onnx],
  ["tfjs-cpu", () => createTfjsEngine("cpu")],
  ["tfjs-wasm", () => createTfjsEngine("wasm")],
];

async function features(folder: string, engine: Engine): Promise<Float32Array> {
  const config = await towerConfig(folder);
  const normalization = await normalizationOf(folder);
  const fixture = await readFixture(`${folder}/fixture.safetensors`);
  const checkpoint = await openCheckpoint(join(CONFORMANCE, folder));
  const weights = new Map<string, TensorSource>();
  const specs = new Map<string, TensorSpec>();
  for (const { name, shape } of clipVisionTensors(config)) {
    specs.set(name, { shape, dtype: "float32" });
    weights.set(name, { kind: "memory", values: await checkpoint.readFloat32(name) });
  }
  const program: Program = {
    name: "features",
    frozen: specs,
    inputs: new Map([["images", { shape: fixture.shape("pixels"), dtype: "uint8" }]]),
    build: (tensors) => {
      const get = lookup(tensors);
      return new Map([["features", clipVisionFeatures(config, normalization, get, get("images"))]]);
    },
  };
  const executable = await engine.compile(program);
  await executable.bind(weights);
  const outputs = await executable.run(new Map([["images", fixture.bytes("pixels")]]));
  await executable.close();
  return outputs.get("features") ?? new Float32Array();
}

describe.each(["tower-quick-gelu", "tower-gelu"])("%s equals transformers", (folder) => {
  it.each(engines)("%s", async (_, open) => {
    const found = await features(folder, await open());
    const expected = (await readFixture(`${folder}/fixture.safetensors`)).floats("features_f64");
    expect(relativeError(found, expected)).toBeLessThan(1e-5);
  });
});
