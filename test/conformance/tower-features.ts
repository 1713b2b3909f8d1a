/** The product's vision tower on the images of a fixture, with weights from wherever. */

import { lookup } from "../../src/engine/lookup.js";
import type { Engine, Program, TensorSource, TensorSpec } from "../../src/engine/program.js";
import { clipVisionFeatures, clipVisionTensors } from "../../src/model/clip/vision.js";
import { plainWeights } from "../../src/model/model-weights.js";
import { readFixture } from "./fixture.js";
import { normalizationOf, towerConfig } from "./problem.js";

/** Features of the images in `<folder>/fixture.safetensors`; the folder has the tower's config and preprocessing. */
export async function towerFeatures(
  folder: string,
  read: (name: string) => Promise<Float32Array>,
  engine: Engine,
): Promise<Float32Array> {
  const config = await towerConfig(folder);
  const normalization = await normalizationOf(folder);
  const fixture = await readFixture(`${folder}/fixture.safetensors`);
  const weights = new Map<string, TensorSource>();
  const specs = new Map<string, TensorSpec>();
  for (const { name, shape } of clipVisionTensors(config)) {
    specs.set(name, { shape, dtype: "float32" });
    weights.set(name, { kind: "memory", values: await read(name) });
  }
  const program: Program = {
    name: "features",
    frozen: specs,
    inputs: new Map([["images", { shape: fixture.shape("pixels"), dtype: "uint8" }]]),
    build: (tensors) => {
      const get = lookup(tensors);
      return new Map([["features", clipVisionFeatures(config, normalization, plainWeights(get), get("images"))]]);
    },
  };
  const executable = await engine.compile(program);
  await executable.bind(weights);
  const outputs = await executable.run(new Map([["images", fixture.bytes("pixels")]]));
  await executable.close();
  return outputs.get("features") ?? new Float32Array();
}
