/**
 * The files that belong to a model besides its config and weights (tokenizer, processors, code, chat templates, modules, licence), found before the work
 * and copied byte for byte at its end. Which they are, by name, is in companion-names.ts; here are links, sizes and kinds of files.
 */
import { open, readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { makeFolder } from "../runtime/make-folder.js";
import { printableList } from "../runtime/printable.js";
import { openRegular } from "../runtime/regular-file.js";
import {
  chooseCompanionNames,
  isCodeName,
  isModuleWeights,
  type LeftOutReason,
  MAX_IN_FOLDER,
} from "./companion-names.js";
import { requireInside } from "./inside-folder.js";
import { INDEX_NAME, PYTORCH_INDEX_NAME } from "./shard-index.js";

/** The largest tokenizers have 40 MB, dense layers of sentence-transformers 70 MB; what is larger is data. */
export const MAX_COMPANION_BYTES = 200_000_000;
/** Folders below the model's that are looked into; the layouts that are known need one. */
const MAX_DEPTH = 3;
/** Names that a notice lists. */
const LISTED = 8;

type Reason = LeftOutReason | "large" | "link" | "special" | "name";

const REASONS: ReadonlyMap<Reason, string> = new Map<Reason, string>([
  ["weights", "other weights"],
  ["training", "of the training"],
  ["format", "other formats"],
  ["record", "records of the original"],
  ["pickled", "pickled objects"],
  ["many", "folders with many files"],
  ["large", `over ${MAX_COMPANION_BYTES / 1e6} MB`],
  ["link", "links to folders"],
  ["special", "devices, pipes and sockets"],
  ["name", "names that are not UTF-8"],
]);

export interface Companion {
  /** Below the model's folder, with slashes. */
  readonly name: string;
  /** Where its content lies, links followed. */
  readonly path: string;
}

export interface Companions {
  readonly files: readonly Companion[];
  /** What a person should know: what is left out and why, code that comes along, weights that are not merged. */
  readonly notices: readonly string[];
}

export interface FindCompanions {
  /** Paths of the model's own weights, which need no mention. */
  readonly own: Iterable<string>;
  /** Whether a name is wanted at all; default: every one. */
  readonly wanted?: (name: string) => boolean;
}

/**
 * Looks at the folder of a model. Throws CheckpointError for a file that would be copied and is a link out of the folder, leads nowhere or
 * cannot be read: what is found is there when it is copied.
 */
export async function findCompanions(
  directory: string,
  { own, wanted = () => true }: FindCompanions,
): Promise<Companions> {
  const leftOut = new Map<string, Reason>();
  const names = await namesIn(directory, leftOut);
  const chosen = chooseCompanionNames(names.filter(wanted));
  const known = new Set([...own, join(directory, INDEX_NAME), join(directory, PYTORCH_INDEX_NAME)]);
  for (const [name, reason] of chosen.leftOut)
    if (reason !== "silent" && !known.has(join(directory, name))) leftOut.set(name, reason);
  const files: Companion[] = [];
  for (const name of chosen.copied) {
    const path = await requireInside(directory, name, "a file of the model");
    const file = await openRegular(path, "a file of the model");
    const { size } = await file.stat().finally(() => file.close());
    if (size > MAX_COMPANION_BYTES) leftOut.set(name, "large");
    else files.push({ name, path });
  }
  return { files, notices: noticesOf(directory, files, leftOut) };
}

/** Copies the files into `folder`, with the folders they are in. Throws CheckpointError where one is gone meanwhile. */
export async function copyCompanions(files: readonly Companion[], folder: string): Promise<void> {
  for (const { name, path } of files) {
    const target = join(folder, ...name.split("/"));
    await makeFolder(dirname(target));
    const from = await openRegular(path, "a file of the model");
    const to = await open(target, "wx").catch(async (error: unknown) => {
      await from.close();
      throw error;
    });
    // Both are closed with their streams. What grows meanwhile is cut.
    await pipeline(from.createReadStream({ start: 0, end: MAX_COMPANION_BYTES - 1 }), to.createWriteStream());
  }
}

/** Names of all files, with slashes, in order; of a folder with very many no more than is needed to say so. */
async function namesIn(directory: string, leftOut: Map<string, Reason>): Promise<readonly string[]> {
  const names: string[] = [];
  const visit = async (folder: string, depth: number, room: { left: number }): Promise<void> => {
    const entries = await readdir(join(directory, folder), { withFileTypes: true });
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const name = folder === "" ? entry.name : `${folder}/${entry.name}`;
      const isTop = folder === "";
      if (!isTop && room.left-- <= 0) return;
      if (entry.name.startsWith(".")) continue;
      if (entry.name.includes("\ufffd")) leftOut.set(name, "name");
      else if (entry.isDirectory()) {
        if (depth < MAX_DEPTH) await visit(name, depth + 1, isTop ? { left: MAX_IN_FOLDER + 1 } : room);
      } else if (entry.isSymbolicLink() && (await isFolder(join(directory, name)))) leftOut.set(`${name}/`, "link");
      else if (entry.isFile() || entry.isSymbolicLink()) names.push(name);
      else leftOut.set(name, "special");
    }
  };
  await visit("", 0, { left: 0 });
  return names;
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

function noticesOf(directory: string, files: readonly Companion[], leftOut: ReadonlyMap<string, Reason>): string[] {
  const notices: string[] = [];
  const parts = [...REASONS].flatMap(([reason, words]) => {
    const names = [...leftOut.keys()].filter((name) => leftOut.get(name) === reason);
    return names.length === 0 ? [] : [`${printableList(names, LISTED)} (${words})`];
  });
  if (parts.length > 0) notices.push(`not copied from ${directory}: ${parts.join("; ")}`);
  const named = (test: (name: string) => boolean) => files.map(({ name }) => name).filter(test);
  const code = named(isCodeName);
  if (code.length > 0)
    notices.push(
      `${printableList(code, LISTED)} of ${directory}: code that comes with the model is copied, and runs for whoever loads it with trust_remote_code; read it before you do`,
    );
  const modules = named(isModuleWeights);
  if (modules.length > 0)
    notices.push(
      `${printableList(modules, LISTED)} of ${directory}: weights behind the transformer are copied, not merged`,
    );
  return notices;
}
