/** One model's weights as its files have them: every tensor of the tower, those that it lacks from the base. */
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { towerTensors as namedTensors } from "../checkpoint/layout/tower-names.js";
import type { ClipVisionConfig } from "../model/clip-config.js";
import { clipVisionLayout } from "../model/clip-layout.js";
import { clipVisionTensors } from "../model/clip-vision.js";

/** Every tensor of the tower from a checkpoint, those that it lacks from the base. */
export async function towerWeights(
  own: Checkpoint,
  base: Checkpoint,
  tower: ClipVisionConfig,
): Promise<Map<string, Float32Array>> {
  const weights = new Map<string, Float32Array>();
  for (const { name, checkpoint, stored } of towerTensors(own, base, tower))
    weights.set(name, await checkpoint.readFloat32(stored));
  return weights;
}

/** Name and content hash of every tensor. */
export async function weightHashes(
  own: Checkpoint,
  base: Checkpoint,
  tower: ClipVisionConfig,
): Promise<readonly (readonly [string, string | undefined])[]> {
  const keys: (readonly [string, string | undefined])[] = [];
  for (const { name, checkpoint, stored } of towerTensors(own, base, tower))
    keys.push([name, (await checkpoint.tensorSha256s([stored]))[0]]);
  return keys;
}

/** Where each tensor of the tower is: in `own`, or else in the base. */
function towerTensors(own: Checkpoint, base: Checkpoint, tower: ClipVisionConfig) {
  const [ownNames, baseNames] = [own, base].map(
    ({ tensors, path }) => namedTensors(clipVisionLayout, tensors.keys(), path).names,
  );
  return clipVisionTensors(tower).map(({ name }) => {
    const stored = ownNames?.get(name);
    if (stored !== undefined) return { name, checkpoint: own, stored };
    return { name, checkpoint: base, stored: baseNames?.get(name) ?? name };
  });
}
