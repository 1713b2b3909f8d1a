/** The models of image-encoders/ by the product's own families, and their tensors as sources of a program. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Checkpoint, openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { lookup } from "../../src/engine/lookup.js";
import type { Engine, TensorSource, TensorSpec } from "../../src/engine/program.js";
import { familyOf } from "../../src/model/families.js";
import type { FeatureChoice, Model, ModelFamily, ModelWatch } from "../../src/model/family.js";
import { givenWeights, weightSources, weightSpecs } from "../../src/optimize/step-program.js";
import { modelWeights } from "../../src/run/suite/stored-weights.js";
import { CONFORMANCE, readFixture } from "./fixture.js";

export const folderOf = (name: string): string => join(CONFORMANCE, "image-encoders", name);
export const fixtureOf = (name: string) => readFixture(`image-encoders/${name}/fixture.safetensors`);

export interface OpenedModel {
  readonly family: ModelFamily;
  readonly model: Model;
  readonly checkpoint: Checkpoint;
}

export async function openModel(name: string, features?: FeatureChoice): Promise<OpenedModel> {
  const folder = folderOf(name);
  const config: unknown = JSON.parse(await readFile(join(folder, "config.json"), "utf8"));
  const family = familyOf(config, folder);
  const { model } = await family.open({ config, folder }, features);
  return { family, model, checkpoint: await openCheckpoint(folder) };
}

/** Features of the fixture's images by an engine. */
export async function featuresOf(
  { model, checkpoint }: Pick<OpenedModel, "model" | "checkpoint">,
  imagesBHWC: Uint8Array,
  engine: Engine,
  watch?: ModelWatch,
): Promise<Float32Array> {
  const weights = await modelWeights(checkpoint, checkpoint, model);
  const bytes =
    model
      .inputs(1)
      .get("images")
      ?.shape.reduce((product, size) => product * size, 1) ?? 1;
  const executable = await engine.compile({
    name: "features",
    frozen: new Map<string, TensorSpec>(weightSpecs(model)),
    inputs: model.inputs(imagesBHWC.length / bytes),
    build: (tensors) => {
      const get = lookup(tensors);
      const weight = givenWeights(get);
      return new Map([["features", model.features(weight, get, watch)]]);
    },
  });
  await executable.bind(new Map<string, TensorSource>(weightSources(model, weights)));
  const outputs = await executable.run(new Map([["images", imagesBHWC]]));
  await executable.close();
  return outputs.get("features") ?? new Float32Array();
}
