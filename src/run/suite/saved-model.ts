/**
 * What a merged model of a suite is saved as: that which its base is. The base's config and its other files are copied byte for byte, and so are
 * the tensors that no merge changes; which these are, and what tensors are called, its family says.
 */
import { dirname, join } from "node:path";
import { openCheckpoint, saveCheckpoint } from "../../checkpoint/checkpoint.js";
import { type Companion, findCompanions } from "../../checkpoint/companions.js";
import { parseConfig } from "../../checkpoint/config-text.js";
import { modelFolder, readModelText, statingDtype } from "../../checkpoint/saved-config.js";
import { readStoredBytes } from "../../checkpoint/stored-tensor.js";
import { CheckpointError } from "../../errors.js";
import { familyOf } from "../../model/families.js";
import type { NamedShape } from "../../model/family.js";
import { type SavedRest, wholeBase } from "../../model/saved-rest.js";
import type { Replacing } from "../../runtime/atomic-file.js";

export interface SavedModel extends SavedRest {
  readonly companions: readonly Companion[];
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
  const family = familyOf(parseConfig(text, where), where);
  const { config, copied, names, notices } = family.saved?.(base, text, where) ?? wholeBase(base, text, family);
  for (const name of merged) copied.delete(names.get(name) ?? name);
  const isMixed = [...copied.values()].some(({ dtype }) => dtype === "F16" || dtype === "BF16");
  const companions =
    folder === undefined
      ? await besideFile(path, directory)
      : await findCompanions(folder, { own: [...base.tensors.values()].map(({ file }) => file.path) });
  return {
    config: statingDtype(config, ["F32"], { isAdded: isMixed }, where),
    copied,
    names,
    companions: companions.files,
    notices: [...notices, ...companions.notices],
  };
}

/** What a model is saved with besides its plan. */
export interface WriteSavedModel {
  /** The tensors that are not the base's, by the model's names. */
  readonly tensors: readonly NamedShape[];
  /** Values of one of them, asked for one at a time. */
  readonly values: (name: string) => Promise<Float32Array> | Float32Array;
  /** The model card. */
  readonly readme: string;
  /** Writes what else belongs to the model: its heads. */
  readonly beside: (folder: string) => Promise<void>;
  readonly replace?: Replacing | undefined;
}

/** Writes the folder: these tensors in float32, all else as the base has it. Throws as `saveCheckpoint`. */
export async function writeSavedModel(
  directory: string,
  saved: SavedModel,
  { tensors, values, readme, beside, replace }: WriteSavedModel,
): Promise<void> {
  const savedName = (name: string): string => saved.names.get(name) ?? name;
  const byName = new Map(tensors.map(({ name }) => [savedName(name), name]));
  await saveCheckpoint(directory, {
    ...{ config: saved.config, companions: saved.companions, readme, beside, replace },
    specs: [
      ...tensors.map(({ name, shape }) => ({ name: savedName(name), shape, dtype: "F32" })),
      ...[...saved.copied].map(([name, { shape, dtype }]) => ({ name, shape, dtype })),
    ],
    data: async (name) => {
      const copied = saved.copied.get(name);
      if (copied !== undefined) return readStoredBytes(copied);
      const own = byName.get(name);
      if (own === undefined) throw new CheckpointError(`${directory}: no tensor ${name}`);
      return values(own);
    },
  });
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
