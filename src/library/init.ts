/** `init` for programs: a suite and a config for one's own models and data, after looking at them, as `adamerge init` does. */
import path from "node:path";
import type { GivenExamples } from "../run/init/example-sources.js";
import { type InitFindings, initSuite, type Named } from "../run/init/init-suite.js";
import { existingPath, modelPath, slug, taskName } from "./named-path.js";
import { presetsFolder } from "./package-files.js";
import { resolveWork, type Work, type WorkOptions } from "./work-options.js";

/** Paths by the names of experts. */
type Paths = Readonly<Record<string, string>>;

export interface InitOptions extends Omit<WorkOptions, "output" | "overwrite"> {
  /** The pretrained model: its folder, or org/name on the hub. */
  readonly base: string;
  /** Fine-tuned models or LoRA adapters, at least two. */
  readonly experts: Paths;
  /** A folder per class, a table, parquet, or examples without labels, of each expert. One of the three says what they are; `data` takes either. */
  readonly images?: Paths | undefined;
  readonly texts?: Paths | undefined;
  readonly data?: Paths | undefined;
  /** Files of classifiers; `{ zeroShot: true }`: made of the classes' names. Default: the expert's own classifier, or else class prototypes. */
  readonly heads?: Readonly<Record<string, string | { readonly zeroShot: true }>> | undefined;
  /** Files with a class a line, in the order of the head's rows. */
  readonly classes?: Paths | undefined;
  /** The model that embeds the names of classes for zero-shot heads; default: the base. */
  readonly textModel?: string | undefined;
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
  const { cacheDir, hub, signal, log, cwd } = work;
  const absolute = path.resolve(cwd, directory);
  const { heads = {}, textModel, name, force = false, dryRun = false } = options;
  const files = Object.entries(heads).flatMap(([task, head]) =>
    typeof head === "string" ? [[task, head] as const] : [],
  );
  const zeroShot = Object.entries(heads).flatMap(([task, head]) => (typeof head === "string" ? [] : [task]));
  const request = {
    directory: absolute,
    name: slug(name ?? path.basename(absolute)) || "suite",
    base: await modelPath("base", options.base, cwd),
    experts: await named("experts", options.experts, work, modelPath),
    examples: [
      ...withFlag("--images", await named("images", options.images, work)),
      ...withFlag("--texts", await named("texts", options.texts, work)),
      ...withFlag("--data", await named("data", options.data, work)),
    ],
    heads: await named("heads", Object.fromEntries(files), work),
    zeroShot: zeroShot.map((task) => taskName("heads", task)),
    classes: await named("classes", options.classes, work),
    ...(textModel === undefined ? {} : { textModel: await modelPath("textModel", textModel, cwd) }),
  };
  return initSuite(request, { cacheDir, presetsDir: presetsFolder, force, dryRun, hub, signal, log });
}

async function named(
  option: string,
  paths: Paths | undefined,
  { cwd }: Pick<Work, "cwd">,
  find: typeof existingPath = existingPath,
): Promise<Named[]> {
  const entries = Object.entries(paths ?? {});
  return Promise.all(
    entries.map(async ([name, place]) => ({ name: taskName(option, name), path: await find(option, place, cwd) })),
  );
}

function withFlag(flag: GivenExamples["flag"], examples: readonly Named[]): readonly GivenExamples[] {
  return examples.map((one) => ({ ...one, flag }));
}
