/**
 * Which files of a saved model's folder go to the hub: those that we wrote, by their manifest, or else what belongs to a
 * model by its name; never hidden files, keys, states and logs of a training. What is left out is told. The card is
 * looked through for credentials and for places of this machine before anybody can read it.
 */
import { lstat, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { openCheckpoint } from "../../checkpoint/checkpoint.js";
import { chooseCompanionNames, isAddedName } from "../../checkpoint/companion-names.js";
import type { LocalFile } from "../../checkpoint/hub/upload/push.js";
import { CheckpointError, ConfigError } from "../../errors.js";
import { withoutCredentials } from "../../runtime/credentials.js";
import { manifestNames } from "../../runtime/own-files.js";
import { printableList } from "../../runtime/printable.js";
import { readTextIfThere } from "../../runtime/regular-file.js";
import { savedModelFolder } from "../predict/saved-encoder.js";

export interface ModelToPush {
  readonly folder: string;
  /** In the order of their names. */
  readonly files: readonly LocalFile[];
  /** What a person should know. */
  readonly notices: readonly string[];
}

/** Folders below the model's that are looked into, as for what is copied with a merge. */
const MAX_DEPTH = 3;
/** A model has some dozens of files; a folder with more than this is something else. */
const MAX_FILES = 10_000;
/** Names that a notice lists. */
const LISTED = 8;
/** Cards and merge files are some kilobytes; some list the coefficients of many layers. */
const MAX_TEXT_BYTES = 16 * 1024 * 1024;
const CARD = "README.md";
/** Texts that people write and read; tokenizers hold any text, addresses among it. */
const WRITTEN_TEXT = /^(?:README\.md|config\.json|[\w.-]+\.ya?ml)$/;
/** Of a folder whose files nobody noted. */
const OF_A_MODEL =
  /^(?:config\.json|README\.md|merge\.yaml|model(?:-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json|heads\/[^/]+\.safetensors)$/;
const SECRET =
  /(?:^|\/)(?:\..*|id_[a-z0-9]+|[^/]*\.(?:pem|key|p12|pfx|kdbx)|(?:[^/]*[-_.])?(?:token|secrets?|credentials?|passwords?)(?:\.(?:txt|json|ya?ml|ini|env))?)$/i;
/** What we write and loaders read by its name: in the repository it would stand for the new model's. */
const READ_BY_NAME =
  /^(?:model(?:-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json|heads\/[^/]+\.safetensors)$/;

/** Whether a file that only the repository has would be read as a part of the model. */
export function isStaleName(name: string): boolean {
  return READ_BY_NAME.test(name);
}

/** Looks at the model in `place`, its folder or that of its run. Throws CheckpointError for what is none, ConfigError for a card that must not be read by others. */
export async function modelToPush(place: string, { homeDir }: { readonly homeDir: string }): Promise<ModelToPush> {
  const folder = await savedModelFolder(place);
  const { config, path } = await openCheckpoint(folder);
  if (config === undefined)
    throw new CheckpointError(`${join(path, "config.json")}: expected the config.json of a model, found none`);
  const found = await filesIn(folder);
  const names = [...found.keys()];
  const noted = await manifestNames(folder);
  const companions = new Set(chooseCompanionNames(names).copied);
  const belongs = (name: string): boolean => {
    if (SECRET.test(name)) return false;
    if (noted !== undefined) return noted.has(name) || isAddedName(name);
    return OF_A_MODEL.test(name) || companions.has(name);
  };
  const files = names.filter(belongs).map((name) => ({ name, ...(found.get(name) ?? { path: "", sizeBytes: 0 }) }));
  const leftOut = names.filter((name) => !belongs(name) && !name.startsWith("."));
  const notices =
    leftOut.length === 0 ? [] : [`not part of the model, and not sent: ${printableList(leftOut, LISTED)}`];
  if (!found.has(CARD)) notices.push(`${folder} has no ${CARD}: its page on the hub will say nothing`);
  for (const { name } of files)
    if (WRITTEN_TEXT.test(name)) notices.push(...(await lookThrough(folder, name, homeDir)));
  return { folder, files, notices };
}

/** Regular files by name, with slashes; links are left out, since what they lead to need not be the model's. */
async function filesIn(folder: string): Promise<Map<string, Omit<LocalFile, "name">>> {
  const found = new Map<string, Omit<LocalFile, "name">>();
  const visit = async (inner: string, depth: number): Promise<void> => {
    const entries = await readdir(join(folder, inner), { withFileTypes: true });
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const name = inner === "" ? entry.name : `${inner}/${entry.name}`;
      const path = join(folder, name);
      if (entry.isDirectory() && depth < MAX_DEPTH && !entry.name.startsWith(".")) await visit(name, depth + 1);
      else if (entry.isFile()) found.set(name, { path, sizeBytes: (await lstat(path)).size });
      if (found.size > MAX_FILES)
        throw new CheckpointError(
          `${folder}: expected the folder of a model, found more than ${MAX_FILES} files; check the path`,
        );
    }
  };
  await visit("", 0);
  return found;
}

/** Throws ConfigError for what others must not read; a notice for what they need not. */
async function lookThrough(folder: string, name: string, homeDir: string): Promise<readonly string[]> {
  const path = join(folder, name);
  const text = (await readTextIfThere(path, "a text of the model", MAX_TEXT_BYTES)) ?? "";
  if (withoutCredentials(text) !== text)
    throw new ConfigError(`${path}: expected no credentials, found what looks like one; take it out, then push again`);
  const place = [dirname(folder), homeDir].find((one) => one.length > 1 && text.includes(`${one}/`));
  if (place === undefined) return [];
  if (name === CARD)
    throw new ConfigError(
      `${path}: expected no places of this machine, found ${place}/; say it otherwise, then push again`,
    );
  return [`${name} names places of this machine (${place}/)`];
}
