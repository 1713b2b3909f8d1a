/** `init` for programs: a suite and a config for one's own models and data, after looking at them, as `adamerge init` does. */
import path from "node:path";
import type { GivenExamples } from "../run/init/example-sources.js";
import { type InitFindings, initSuite, type Named } from "../run/init/init-suite.js";
import { headPaths, modelPath, modelPaths, type NamedPaths, namedPaths, slug, TABLES } from "./named-path.js";
import { presetsFolder } from "./package-files.js";
import { resolveWork, type WorkOptions } from "./work-options.js";

/** The models and data that a suite is made of. */
export interface InitOptions extends Omit<WorkOptions, "output" | "overwrite"> {
  /** The pretrained model: its folder, or org/name on the hub. */
  readonly base: string;
  /** Fine-tuned models or LoRA adapters, at least two. */
  readonly experts: NamedPaths;
  /** A folder per class, a table, parquet, or examples without labels, of each expert. One of the three says what they are; `data` takes either. */
  readonly images?: NamedPaths | undefined;
  readonly texts?: NamedPaths | undefined;
  readonly data?: NamedPaths | undefined;
  /**
   * Files of classifiers; `{ zeroShot: true }`, or `NAME=zero-shot` in a list: made of the classes' names. Default: the expert's own classifier, or
   * else class prototypes.
   */
  readonly heads?: Readonly<Record<string, string | { readonly zeroShot: true }>> | readonly string[] | undefined;
  /** Files with a class a line, in the order of the head's rows. */
  readonly classes?: NamedPaths | undefined;
  /** The model that embeds the names of classes for zero-shot heads; default: the base. */
  readonly textModel?: string | undefined;
  /** That the config extends: what learned best of what was measured (default), or the paper's settings. */
  readonly preset?: "adamerge" | "paper" | undefined;
  /** Of the suite; default: the folder's. */
  readonly name?: string | undefined;
  /** Replace files that are there; default: false. */
  readonly force?: boolean | undefined;
  /** Look and check, and write nothing but the cache; default: false. */
  readonly dryRun?: boolean | undefined;
}

/** Writes suite.yaml and config.yaml into `directory`, and nothing when something is wrong. Throws what a fit of them would throw before its first step. */
export async function init(directory: string, options: InitOptions): Promise<InitFindings> {
  const work = resolveWork(options);
  const { cacheDir, hub, signal, log, onProgress, cwd, optionName } = work;
  const absolute = path.resolve(cwd, directory);
  const { textModel, name, preset = "adamerge", force = false, dryRun = false } = options;
  const place = (option: string) => ({ option: optionName(option), cwd });
  const base = await modelPath(place("base"), options.base);
  const experts = await modelPaths(place("experts"), options.experts);
  const examples = [
    ...withFlag("--images", await namedPaths(place("images"), options.images, /\.csv$/)),
    ...withFlag("--texts", await namedPaths(place("texts"), options.texts, TABLES)),
    ...withFlag("--data", await namedPaths(place("data"), options.data, TABLES)),
  ];
  const { heads, zeroShot } = await headPaths(place("heads"), options.heads);
  const request = {
    ...{ directory: absolute, name: slug(name ?? path.basename(absolute)) || "suite" },
    ...{ base, experts, examples, heads, zeroShot, preset },
    ...(textModel === undefined ? {} : { textModel: await modelPath(place("textModel"), textModel) }),
    classes: await namedPaths(place("classes"), options.classes, /\.txt$/),
  };
  return initSuite(request, { cacheDir, presetsDir: presetsFolder, force, dryRun, hub, signal, log, onProgress });
}

function withFlag(flag: GivenExamples["flag"], examples: readonly Named[]): readonly GivenExamples[] {
  return examples.map((one) => ({ ...one, flag }));
}
