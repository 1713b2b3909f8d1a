/** The tower against transformers' CLIPVisionModelWithProjection on random weights, on both engines. */
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import type { Engine } from "../../src/engine/program.js";
import { createTfjsEngine } from "../../src/engine/tfjs-engine.js";
import { relativeError } from "../support/random.js";
import { TFJS_BACKENDS } from "../support/tfjs-backends.js";
import { CONFORMANCE, readFixture } from "./fixture.js";
import { towerFeatures } from "./tower-features.js";

const onnx = createOnnxEngine({ provider: "cpu", threads: 1 });
afterAll(() => onnx.close());

const engines: readonly (readonly [string, () => Promise<Engine>])[] = [
  ["onnx", async () => onnx],
  ...TFJS_BACKENDS.map((backend) => [`tfjs-${backend}`, () => createTfjsEngine(backend)] as const),
];

describe.each(["tower-quick-gelu", "tower-gelu"])("%s equals transformers", (folder) => {
  it.each(engines)("%s", async (_, open) => {
    const checkpoint = await openCheckpoint(join(CONFORMANCE, folder));
    const found = await towerFeatures(folder, (name) => checkpoint.readFloat32(name), await open());
    const expected = (await readFixture(`${folder}/fixture.safetensors`)).floats("features_f64");
    expect(relativeError(found, expected)).toBeLessThan(1e-5);
  });
});
