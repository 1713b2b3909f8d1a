/** One model's weights as its files have them: every tensor of the model, those that it lacks from the base. */
import type { Checkpoint } from "../../checkpoint/checkpoint.js";
import { towerTensors } from "../../checkpoint/layout/tower-names.js";
import { assert } from "../../errors.js";
import type { Model } from "../../model/family.js";

/** What a model calls its tensors. */
export type NamedModel = Pick<Model, "tensors" | "layout">;

/** Every tensor of the model from a checkpoint, those that it lacks from the base. */
export async function modelWeights(
  own: Checkpoint,
  base: Checkpoint,
  model: NamedModel,
): Promise<Map<string, Float32Array>> {
  const weights = new Map<string, Float32Array>();
  for (const { name, checkpoint, stored } of modelTensors(own, base, model))
    weights.set(name, await checkpoint.readFloat32(stored));
  return weights;
}

/** The tensors one by one, by the model's names for them. */
export function weightReader(
  own: Checkpoint,
  base: Checkpoint,
  model: NamedModel,
): (name: string) => Promise<Float32Array> {
  const places = new Map(modelTensors(own, base, model).map((place) => [place.name, place]));
  return async (name) => {
    const place = places.get(name);
    assert(place !== undefined, `no tensor ${name} in ${own.path}`);
    return place.checkpoint.readFloat32(place.stored);
  };
}

/** Name and content hash of every tensor. */
export async function weightHashes(
  own: Checkpoint,
  base: Checkpoint,
  model: NamedModel,
): Promise<readonly (readonly [string, string | undefined])[]> {
  const keys: (readonly [string, string | undefined])[] = [];
  for (const { name, checkpoint, stored } of modelTensors(own, base, model))
    keys.push([name, (await checkpoint.tensorSha256s([stored]))[0]]);
  return keys;
}

/** Where each tensor of the model is: in `own`, or else in the base. */
function modelTensors(own: Checkpoint, base: Checkpoint, { tensors: wanted, layout }: NamedModel) {
  const [ownNames, baseNames] = [own, base].map(
    ({ tensors, path }) => towerTensors(layout, tensors.keys(), path).names,
  );
  return wanted.map(({ name }) => {
    const stored = ownNames?.get(name);
    if (stored !== undefined) return { name, checkpoint: own, stored };
    return { name, checkpoint: base, stored: baseNames?.get(name) ?? name };
  });
}
