/**
 * Which files of a form (parquet, or tables by lines) hold one split of a data set, in the layouts of the Hugging Face hub:
 * `data/<split>-00000-of-00002[-hash].parquet` or the same in the root, in a folder per config (`<config>/<split>-*.parquet`), or in one per
 * config and split (`<config>/<split>/0000.parquet`); where names do not tell, the configs in the head of README.md do. Only names; contents are
 * `parquet-dataset.ts` and `manifest.ts`. The same choice is made among a folder's files and among those of a repository not yet downloaded.
 */
import { readdir } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { DataError } from "../../errors.js";
import { readBeginning } from "../../runtime/regular-file.js";
import { isInLeftover, isLeftover } from "./passed-over.js";
import { MAX_README_LENGTH, readmeFiles } from "./readme-configs.js";

/** `<split>-00003-of-00010-0123abcd.parquet`: shard number and count. */
const SHARD_NAME = /-(\d+)-of-(\d+)(?:-[0-9a-f]+)?\.[a-z]+(?:\.gz)?$/;
/** `0003.parquet`, in a folder of the split's name. */
const NUMBER_NAME = /^\d+\.[a-z]+(?:\.gz)?$/;
export const PARQUET = ["parquet"];
/** The config whose files need no folder of their own. */
const DEFAULT_CONFIG = "default";
export const README_NAME = "README.md";

export interface SplitQuestion {
  /** Names in the data set, with slashes. */
  readonly names: readonly string[];
  /** Endings of the form's files, without the dot; the preferred ones first: a split in two forms is read in one. */
  readonly extensions: readonly string[];
  readonly split: string;
  /** One of several configs of the data set; undefined: the only or the default one. */
  readonly config: string | undefined;
  /** README.md, read when names do not tell; undefined if there is none. */
  readonly readme: () => Promise<string | undefined>;
}

export interface SplitChoice {
  /** In shard order; none when the split is not found. */
  readonly files: readonly string[];
  /** What there is instead: splits of the config that was meant. */
  readonly splits: readonly string[];
  /** Configs there are, when it is not clear which is meant; empty otherwise. */
  readonly configs: readonly string[];
  readonly usedReadme: boolean;
}

const NOTHING: SplitChoice = { files: [], splits: [], configs: [], usedReadme: false };

interface Placed {
  readonly name: string;
  /** `data` of the root's own folder stands before the root. */
  readonly folder: string;
  readonly config: string;
  readonly split: string;
}

/** Finds the files of a split. */
export async function chooseSplitFiles(question: SplitQuestion): Promise<SplitChoice> {
  const { names, extensions, split, config } = question;
  const placed = names
    .filter((name) => extensionOf(name, extensions) !== undefined && !isInLeftover(name))
    .flatMap((name) => placeOf(name, extensions));
  const configs = [...new Set(placed.map((one) => one.config))].toSorted();
  const meant = config ?? (configs.includes(DEFAULT_CONFIG) || configs.length !== 1 ? DEFAULT_CONFIG : configs[0]);
  const inConfig = placed.filter((one) => one.config === meant);
  const ofSplit = inConfig.filter((one) => one.split === split);
  // Shards of the same split in two places would be read twice.
  const folder = ofSplit.some((one) => one.folder === "data") ? "data" : ofSplit[0]?.folder;
  const files = inOneForm(
    ofSplit.filter((one) => one.folder === folder).map(({ name }) => name),
    extensions,
  );
  const splits = [...new Set(inConfig.map((one) => one.split))];
  if (files.length > 0) return { files: files.toSorted(), splits, configs: [], usedReadme: false };
  const readme = await question.readme();
  const described = readme === undefined ? undefined : readmeFiles(readme, question);
  if (described !== undefined) return { ...described, files: inOneForm(described.files, extensions), usedReadme: true };
  return { files: [], splits, configs: inConfig.length === 0 ? configs : [], usedReadme: false };
}

/** The card of the data set in a folder, or its beginning; undefined where it has none. */
export async function readCard(path: string): Promise<string | undefined> {
  const card = await readBeginning(join(path, README_NAME), "the card of a data set", MAX_README_LENGTH, DataError);
  // Cards in other encodings are read as far as their names are ASCII.
  return card === undefined ? undefined : Buffer.from(card).toString("utf8");
}

/** The files of a split of the data set in a folder (absolute), and what there is instead. */
export async function findSplitFiles(
  path: string,
  split: string,
  { extensions, config }: { readonly extensions: readonly string[]; readonly config?: string | undefined },
): Promise<SplitChoice> {
  const readme = () => readCard(path);
  const isOfForm = (name: string) => extensionOf(name, extensions) !== undefined;
  const choose = (names: readonly string[]) => chooseSplitFiles({ names, extensions, split, config, readme });
  let choice = await choose((await namesInPlaces(path, split, config, isOfForm)).filter(isOfForm));
  if (choice.usedReadme) {
    // What a README names can lie anywhere.
    const names = (await allNames(path)).filter(isOfForm);
    choice = names.length === 0 ? NOTHING : await choose(names);
  }
  return { ...choice, files: choice.files.map((name) => join(path, ...name.split("/"))) };
}

/** Throws DataError unless every shard that the names announce (`-of-00004`) is there once. */
export function checkShards(files: readonly string[], where: string): void {
  const shards = files.map((file) => SHARD_NAME.exec(file));
  const count = Number(shards[0]?.[2] ?? 0);
  if (count === 0) return;
  const numbers = shards.map((shard) => (Number(shard?.[2]) === count ? Number(shard?.[1]) : Number.NaN));
  const missing = Array.from({ length: count }, (_, number) => number).filter((number) => !numbers.includes(number));
  if (missing.length === 0 && files.length === count) return;
  throw new DataError(
    `${where}: expected the shards 0 to ${count - 1} once each, found ${files.length} files` +
      `${missing.length > 0 ? ` without shard ${missing.slice(0, 5).join(", ")}` : ""} (${files.slice(0, 3).join(", ")}); ` +
      "download the split again into an empty folder",
  );
}

/** Whether the names themselves say that nothing of the split is missing. */
export function announceAll(files: readonly string[]): boolean {
  const counts = files.map((file) => Number(SHARD_NAME.exec(file)?.[2] ?? 0));
  return files.length > 0 && counts.every((count) => count === files.length);
}

/** Config and split by a file's place; none for files in other places. */
function placeOf(name: string, extensions: readonly string[]): readonly Placed[] {
  const folders = dirname(name) === "." ? [] : dirname(name).split("/");
  const file = basename(name);
  const [outer = "", inner] = folders;
  const config = outer === "data" || outer === "" ? DEFAULT_CONFIG : outer;
  if (folders.length === 2 && inner !== undefined) return [{ name, folder: dirname(name), config, split: inner }];
  if (folders.length > 2) return [];
  // `<split>/0000.parquet` without a config.
  if (NUMBER_NAME.test(file) && config !== DEFAULT_CONFIG)
    return [{ name, folder: outer, config: DEFAULT_CONFIG, split: outer }];
  return [{ name, folder: outer, config, split: splitName(file, extensions) }];
}

/** The split that a file is of, by its name in its folder. */
export function splitName(name: string, extensions: readonly string[]): string {
  const extension = extensionOf(name, extensions) ?? "";
  return name
    .replace(SHARD_NAME, "")
    .replace(new RegExp(`\\.${extension.replaceAll(".", "\\.")}$`), "")
    .replace(/-\d{5}$/, "");
}

function extensionOf(name: string, extensions: readonly string[]): string | undefined {
  return extensions.find((extension) => name.endsWith(`.${extension}`));
}

/** Files that have the first of the endings that any has. */
function inOneForm(files: readonly string[], extensions: readonly string[]): readonly string[] {
  const form = extensions.find((extension) => files.some((name) => extensionOf(name, extensions) === extension));
  return files.filter((name) => extensionOf(name, extensions) === form);
}

/**
 * Names in the places where the layouts have files of a form. A folder that has other folders is not searched any deeper than the
 * split and config that are asked for: folders of images and texts, which are looked at here too, can have very many.
 */
async function namesInPlaces(
  path: string,
  split: string,
  config: string | undefined,
  isOfForm: (name: string) => boolean,
): Promise<readonly string[]> {
  const root = await readdir(path, { withFileTypes: true }).catch(() => []);
  const names = root.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  const folders = root.filter((entry) => entry.isDirectory() && !isLeftover(entry.name)).map(({ name }) => name);
  const wanted = config === undefined ? folders : folders.filter((name) => [config, "data", split].includes(name));
  for (const folder of wanted) {
    for (const entry of await readdir(join(path, folder)).catch(() => [])) {
      if (isOfForm(entry)) names.push(`${folder}/${entry}`);
      if (entry !== split) continue;
      const inner = await readdir(join(path, folder, entry)).catch(() => []);
      names.push(...inner.map((name) => `${folder}/${entry}/${name}`));
    }
  }
  return names;
}

async function allNames(path: string): Promise<readonly string[]> {
  const names = await readdir(path, { recursive: true }).catch(() => []);
  return names.map((name) => name.replaceAll(sep, "/"));
}
