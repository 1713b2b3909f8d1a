/**
 * What a merged model of a suite is saved as: that which its base is. The base's config and its other files are copied byte for byte, and so are
 * the tensors that no merge changes, the text tower of a whole CLIP model above all. Names are those of transformers, 4 and 5.
 */
import { dirname, join } from "node:path";
import { openCheckpoint, type StoredCheckpoint } from "../checkpoint/checkpoint.js";
import { type Companion, findCompanions } from "../checkpoint/companions.js";
import { parseConfig } from "../checkpoint/config-text.js";
import { towerTensors } from "../checkpoint/layout/tower-names.js";
import { openClipTextTensors } from "../checkpoint/open-clip-text.js";
import { sameShape } from "../checkpoint/preflight.js";
import { modelFolder, readModelText, statingDtype, visionTowerConfig } from "../checkpoint/saved-config.js";
import type { StoredTensor } from "../checkpoint/stored-tensor.js";
import { CheckpointError } from "../errors.js";
import { parseClipTextConfig } from "../model/clip/config.js";
import { clipTextLayout } from "../model/clip/layout.js";
import { clipTextTensors, tokenTable } from "../model/clip/text.js";

/** Integers that files of transformers before 4.31 have; every version loads them. */
const POSITION_IDS = /^(?:vision|text)_model\.(?:.*\.)?position_ids$/;
/** Its tensors and what goes with them, by their names in a whole model. */
const TEXT = /^(?:text_model\.|text_projection\.weight$|logit_scale$)/;
/** The temperature of a whole model. */
const LOGIT_SCALE = { name: "logit_scale", shape: [] };

export interface SavedModel {
  /** The text of config.json. */
  readonly config: string;
  /** By their names in the saved model. */
  readonly copied: ReadonlyMap<string, StoredTensor>;
  readonly companions: readonly Companion[];
  /** What a person should know. */
  readonly notices: readonly string[];
}

/**
 * Looks at the base's files before any work. `merged` are the names of the tensors that are merged, which are saved in float32. Throws
 * CheckpointError for a config.json that is not there, and for files that cannot be copied.
 */
export async function planSavedModel(path: string, merged: Iterable<string>): Promise<SavedModel> {
  const base = await openCheckpoint(path);
  const folder = await modelFolder(path);
  const directory = folder ?? dirname(path);
  const where = join(directory, "config.json");
  const text = await readModelText(directory, "config.json");
  if (text === undefined)
    throw new CheckpointError(`${where}: expected the config.json of the base, found none. Copy it from there.`);
  const { config, copied, notices } = withRest(base, text, where);
  for (const name of merged) copied.delete(name);
  const isMixed = [...copied.values()].some(({ dtype }) => dtype === "F16" || dtype === "BF16");
  const companions =
    folder === undefined
      ? await besideFile(path, directory)
      : await findCompanions(folder, { own: [...base.tensors.values()].map(({ file }) => file.path) });
  return {
    config: statingDtype(config, ["F32"], { isAdded: isMixed }, where),
    copied,
    companions: companions.files,
    notices: [...notices, ...companions.notices],
  };
}

/** Beside a file of any name may lie files of anything: only the preprocessing, which was read from there, is known to be the model's. */
async function besideFile(path: string, directory: string): Promise<Awaited<ReturnType<typeof findCompanions>>> {
  const found = await findCompanions(directory, {
    own: [],
    wanted: (name) => /^(?:pre)?processor_config\.json$/.test(name),
  });
  const notice = `of the files beside ${path} only config.json and the preprocessing are copied; for a tokenizer and the like name the folder of a model as the base`;
  return { files: found.files, notices: [notice] };
}

/** The tensors besides the vision tower, if the config is that of a whole model and they are complete; a config of the tower alone otherwise. */
function withRest(
  base: StoredCheckpoint,
  text: string,
  where: string,
): { readonly config: string; readonly copied: Map<string, StoredTensor>; readonly notices: readonly string[] } {
  const rest = restOf(base);
  const isIds = (name: string): boolean => POSITION_IDS.test(name);
  const config = parseConfig(text, where);
  const isWhole = typeof config === "object" && config !== null && "vision_config" in config;
  const alone = new Map([...rest].filter(([name]) => isIds(name) && name.startsWith("vision_model.")));
  if (!isWhole) {
    const notice = `${base.path}: its text tower is not saved: ${where} is that of a vision tower`;
    return { config: text, copied: alone, notices: rest.size > alone.size ? [notice] : [] };
  }
  const textConfig = parseClipTextConfig(config, where);
  const wanted = [LOGIT_SCALE, tokenTable(textConfig), ...clipTextTensors(textConfig)];
  const missing = wanted.filter(({ name, shape }) => !sameShape(rest.get(name)?.shape ?? [-1], shape));
  if (missing.length === 0) {
    const known = new Set(wanted.map(({ name }) => name));
    return { config: text, copied: new Map([...rest].filter(([name]) => known.has(name) || isIds(name))), notices: [] };
  }
  const notice = `${base.path}: expected a whole CLIP model, as ${where} says, found ${missing.length} of the ${wanted.length} tensors of the text tower missing (${missing[0]?.name}); the merged model is saved as a vision tower with projection`;
  return { config: visionTowerConfig(text, where), copied: alone, notices: [notice] };
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
