/**
 * Layers that a merge file's slice asks of each model: all of them, since stacking and cutting layers are not done
 * here.
 */
import type { StoredCheckpoint } from "../../checkpoint/checkpoint.js";
import type { MergeFileModel } from "../../config/merge-file.js";
import { ConfigError } from "../../errors.js";
import { blockIndex } from "../../merge/depth.js";

/** Names of the number of layers in config.json, in the order of how common they are. */
const LAYER_COUNTS = ["num_hidden_layers", "n_layer", "num_layers", "n_layers"];

/** Throws ConfigError for another range than that of all layers. */
export function requireAllLayers({ name, layers }: MergeFileModel, checkpoint: StoredCheckpoint): void {
  if (layers === undefined) return;
  const { from, to, place } = layers;
  const count = layerCount(checkpoint);
  if (from === 0 && to === count) return;
  throw new ConfigError(
    `${place}: expected [0, ${count}], all layers of model ${name}, found [${from}, ${to}]; taking some of the layers (stacking, cutting) is not done here`,
  );
}

function layerCount({ config, tensors }: StoredCheckpoint): number {
  const parts: unknown[] =
    typeof config === "object" && config !== null ? [config, Reflect.get(config, "text_config")] : [];
  for (const part of parts)
    for (const key of LAYER_COUNTS) {
      const count: unknown = typeof part === "object" && part !== null ? Reflect.get(part, key) : undefined;
      if (typeof count === "number") return count;
    }
  return [...tensors.keys()].reduce((most, name) => Math.max(most, (blockIndex(name) ?? -1) + 1), 0);
}
