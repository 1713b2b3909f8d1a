/** The files that `adamerge init` writes, as text: suite.yaml, config.yaml, and a manifest for each collection that it divides. */
import { isAbsolute, join, relative, sep } from "node:path";
import { stringify } from "yaml";
import type { KindName } from "../../data/kind.js";
import { kindOf } from "../../data/kinds.js";
import type { FeatureChoice } from "../../model/family.js";
import type { ManifestRow } from "./divide-examples.js";
import type { ExampleSource } from "./example-sources.js";
import type { HeadSource } from "./head-sources.js";

export const SUITE_FILE = "suite.yaml";
export const CONFIG_FILE = "config.yaml";
/** Found by itself beside `text`. */
const PAIR_COLUMN = "text_pair";

/** One expert with all that belongs to it. */
export interface InitTask {
  readonly name: string;
  /** Absolute path, or a reference to the hub. */
  readonly expert: string;
  readonly examples: ExampleSource;
  readonly head: HeadSource;
}

export interface InitSuite {
  readonly name: string;
  readonly base: string;
  readonly textModel: string | undefined;
  readonly logitScale: number | undefined;
  /** Undefined: those that the base's files say. */
  readonly features: FeatureChoice | undefined;
  readonly tasks: readonly InitTask[];
}

/** What a config may extend: what learns best of what was measured here, or the paper's settings. */
export type InitPreset = "adamerge" | "paper";

/**
 * Name below the directory -> text, config.yaml last. Paths inside `directory` are relative to it, so that the whole can be moved; those
 * outside are absolute. `absolute`: all are.
 */
export function initFiles(
  suite: InitSuite,
  preset: InitPreset,
  directory: string,
  { absolute }: { readonly absolute: boolean },
): ReadonlyMap<string, string> {
  const shown = (path: string, from = directory) => (absolute ? path : shownPath(path, directory, from));
  const files = new Map<string, string>();
  for (const task of suite.tasks) {
    const { manifest, kind } = task.examples;
    if (manifest === undefined) continue;
    const folder = manifestFolder(task.name, kind);
    files.set(
      `${folder}/${MANIFEST_FILE}`,
      manifestText(kind, manifest, (example) => shown(example, join(directory, folder))),
    );
  }
  files.set(SUITE_FILE, suiteText(suite, shown));
  files.set(CONFIG_FILE, configText(suite, preset));
  return files;
}

export const MANIFEST_FILE = "manifest.csv";

/** Where the manifest of a collection lies, below the suite's directory. */
export function manifestFolder(name: string, kind: KindName): string {
  return `${kindOf(kind).many}/${name}`;
}

/** The table of a divided collection; `shown` says what a path is written as. */
export function manifestText(
  kind: KindName,
  manifest: readonly ManifestRow<string>[],
  shown: (path: string) => string,
): string {
  const { inManifests, usualInManifests } = kindOf(kind).columns;
  const arePairs = manifest.some(({ second }) => second !== undefined);
  const heading = [...usualInManifests.slice(0, 1), ...(arePairs ? [PAIR_COLUMN] : []), "label", "split"];
  const rows = manifest.map(({ example, second, label, split }) => [
    inManifests === "paths" ? shown(example) : example,
    ...(arePairs ? [second ?? ""] : []),
    label,
    split,
  ]);
  return [heading, ...rows].map(csvLine).join("");
}

/** A path inside of a directory as it is seen from a place in it; others stay absolute. */
export function shownPath(path: string, directory: string, from: string): string {
  // A reference to the hub stays as it is.
  if (!isAbsolute(path)) return path;
  const inside = relative(directory, path);
  if (inside.startsWith("..") || isAbsolute(inside)) return path;
  return relative(from, path).split(sep).join("/") || ".";
}

/** RFC 4180. */
function csvLine(cells: readonly string[]): string {
  return `${cells.map((cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(",")}\n`;
}

function suiteText(
  { name, base, textModel, logitScale, features, tasks }: InitSuite,
  shown: (path: string) => string,
): string {
  const described = tasks.map((task) => {
    const { expert, examples, head } = task;
    const path = examples.manifest === undefined ? shown(examples.dataset) : manifestFolder(task.name, examples.kind);
    const splits = examples.splits === undefined ? undefined : Object.fromEntries(examples.splits);
    return {
      name: task.name,
      dataset: splits === undefined ? path : { path, splits },
      expert: shown(expert),
      head: typeof head.head === "string" ? shown(head.head) : head.head,
      classes: [...head.classes],
    };
  });
  const scale = logitScale === undefined ? {} : { logit_scale: logitScale };
  const text = textModel === undefined ? {} : { text_model: shown(textModel) };
  const read =
    features === undefined ? {} : { features: { pooling: features.pooling, normalize: features.normalized } };
  const suite = { name, base: shown(base), ...text, ...scale, ...read, tasks: described };
  return `# Written by adamerge init; paths are relative to this file.\n${stringify(suite, { lineWidth: 0 })}`;
}

const PRESET_WORDS: Readonly<Record<InitPreset, string>> = {
  adamerge: "the settings that learned best of those measured here (presets/paper has the paper's)",
  paper: "the paper's settings (presets/adamerge has those that learned best of those measured here)",
};

function configText({ name, tasks }: InitSuite, preset: InitPreset): string {
  const labelled = tasks.filter(({ examples }) => examples.isJudged).map((task) => task.name);
  const judged =
    labelled.length === 0
      ? { eval_split: null }
      : { eval_split: "test", ...(labelled.length === tasks.length ? {} : { eval_tasks: labelled }) };
  const config = {
    extends: `presets/${preset}`,
    suite: ".",
    experiment: name,
    data: { adapt_split: "adapt", ...judged, eval_every: preset === "paper" ? 100 : 20 },
  };
  return `# Written by adamerge init: ${PRESET_WORDS[preset]}.\n# \`adamerge config show\` lists all there are.\n${stringify(config)}`;
}
