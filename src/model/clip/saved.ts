/**
 * What a saved merge of CLIP vision towers has besides the tower: the text tower of a whole CLIP model, byte for byte, also from open_clip's
 * layout. Names are those of transformers, 4 and 5. Nothing is read or written here but headers.
 */
import type { StoredCheckpoint } from "../../checkpoint/checkpoint.js";
import { parseConfig } from "../../checkpoint/config-text.js";
import { towerTensors } from "../../checkpoint/layout/tower-names.js";
import { sameShape } from "../../checkpoint/preflight.js";
import type { StoredTensor } from "../../checkpoint/stored-tensor.js";
import type { SavedRest } from "../saved-rest.js";
import { parseClipTextConfig } from "./config.js";
import { clipTextLayout } from "./layout.js";
import { openClipTextTensors } from "./open-clip-text.js";
import { clipTextTensors, tokenTable } from "./text.js";
import { visionTowerConfig } from "./tower-config.js";

/** Integers that files of transformers before 4.31 have; every version loads them. */
const POSITION_IDS = /^(?:vision|text)_model\.(?:.*\.)?position_ids$/;
/** Its tensors and what goes with them, by their names in a whole model. */
const TEXT = /^(?:text_model\.|text_projection\.weight$|logit_scale$)/;
/** The temperature of a whole model. */
const LOGIT_SCALE = { name: "logit_scale", shape: [] };
const OWN_NAMES: ReadonlyMap<string, string> = new Map();

/**
 * The tensors besides the vision tower, if the config is that of a whole model and they are complete; a config of the tower alone otherwise. Throws
 * CheckpointError for a config that is none of CLIP's.
 */
export function savedClip(base: StoredCheckpoint, text: string, where: string): SavedRest {
  const rest = restOf(base);
  const isIds = (name: string): boolean => POSITION_IDS.test(name);
  const config = parseConfig(text, where);
  const isWhole = typeof config === "object" && config !== null && "vision_config" in config;
  const alone = new Map([...rest].filter(([name]) => isIds(name) && name.startsWith("vision_model.")));
  if (!isWhole) {
    const notice = `${base.path}: its text tower is not saved: ${where} is that of a vision tower`;
    return { config: text, copied: alone, names: OWN_NAMES, notices: rest.size > alone.size ? [notice] : [] };
  }
  const textConfig = parseClipTextConfig(config, where);
  const wanted = [LOGIT_SCALE, tokenTable(textConfig), ...clipTextTensors(textConfig)];
  const missing = wanted.filter(({ name, shape }) => !sameShape(rest.get(name)?.shape ?? [-1], shape));
  if (missing.length === 0) {
    const known = new Set(wanted.map(({ name }) => name));
    const copied = new Map([...rest].filter(([name]) => known.has(name) || isIds(name)));
    return { config: text, copied, names: OWN_NAMES, notices: [] };
  }
  const notice = `${base.path}: expected a whole CLIP model, as ${where} says, found ${missing.length} of the ${wanted.length} tensors of the text tower missing (${missing[0]?.name}); the merged model is saved as a vision tower with projection`;
  return { config: visionTowerConfig(text, where), copied: alone, names: OWN_NAMES, notices: [notice] };
}

/** Everything of a CLIP model that is not its vision tower, by the names of transformers. */
function restOf({ tensors, path }: StoredCheckpoint): Map<string, StoredTensor> {
  const rest = new Map(openClipTextTensors(tensors));
  const { names } = towerTensors(clipTextLayout, tensors.keys(), path);
  for (const [name, own] of names) {
    const stored = tensors.get(own);
    if (stored !== undefined && TEXT.test(name)) rest.set(name, stored);
  }
  for (const [name, stored] of tensors) if (POSITION_IDS.test(name)) rest.set(name, stored);
  return rest;
}
