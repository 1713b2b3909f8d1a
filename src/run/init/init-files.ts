/** The files that `adamerge init` writes, as text: suite.yaml, config.yaml, and a manifest for each collection that it divides. */
import { isAbsolute, join, relative, sep } from "node:path";
import { stringify } from "yaml";
import type { HeadSource } from "./head-sources.js";
import type { ImageSource } from "./image-sources.js";

export const SUITE_FILE = "suite.yaml";
export const CONFIG_FILE = "config.yaml";

/** One expert with all that belongs to it. */
export interface InitTask {
  readonly name: string;
  /** Absolute path, or a reference to the hub. */
  readonly expert: string;
  readonly images: ImageSource;
  readonly head: HeadSource;
}

export interface InitSuite {
  readonly name: string;
  readonly base: string;
  readonly textModel: string | undefined;
  readonly logitScale: number | undefined;
  readonly tasks: readonly InitTask[];
}

/** A preset that a config extends: the paper's settings, or few steps at a higher rate. */
export type InitPreset = "paper" | "quickstart";

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
  for (const { name, images } of suite.tasks)
    if (images.manifest !== undefined) {
      const folder = manifestFolder(name);
      const rows = images.manifest.map(({ file, label, split }) => [
        shown(file, join(directory, folder)),
        label,
        split,
      ]);
      files.set(`${folder}/manifest.csv`, [["path", "label", "split"], ...rows].map(csvLine).join(""));
    }
  files.set(SUITE_FILE, suiteText(suite, shown));
  files.set(CONFIG_FILE, configText(suite, preset));
  return files;
}

function manifestFolder(task: string): string {
  return `images/${task}`;
}

function shownPath(path: string, directory: string, from: string): string {
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

function suiteText({ name, base, textModel, logitScale, tasks }: InitSuite, shown: (path: string) => string): string {
  const described = tasks.map(({ name: task, expert, images, head }) => {
    const path = images.manifest === undefined ? shown(images.dataset) : manifestFolder(task);
    const splits = images.splits === undefined ? undefined : Object.fromEntries(images.splits);
    return {
      name: task,
      dataset: splits === undefined ? path : { path, splits },
      expert: shown(expert),
      head: typeof head.head === "string" ? shown(head.head) : head.head,
      classes: [...head.classes],
    };
  });
  const scale = logitScale === undefined ? {} : { logit_scale: logitScale };
  const text = textModel === undefined ? {} : { text_model: shown(textModel) };
  const suite = { name, base: shown(base), ...text, ...scale, tasks: described };
  return `# Written by adamerge init; paths are relative to this file.\n${stringify(suite, { lineWidth: 0 })}`;
}

function configText({ name, tasks }: InitSuite, preset: InitPreset): string {
  const labelled = tasks.filter(({ images }) => images.isJudged).map((task) => task.name);
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
  const why =
    preset === "paper"
      ? "the paper's settings"
      : "few steps at a higher learning rate, since the paper's 500 would take long here";
  return `# Written by adamerge init: ${why}; \`adamerge config show\` lists all there are.\n${stringify(config)}`;
}
