/** `init` for programs: a suite and a config for one's own models and data, after looking at them, as `adamerge init` does. */
import path from "node:path";
import { finetuneConfig } from "../config/finetune.js";
import { ConfigError } from "../errors.js";
import { lookIntoExperts } from "../run/experts/given-experts.js";
import { trainExperts } from "../run/experts/train-experts.js";
import type { GivenExamples } from "../run/init/example-sources.js";
import { type InitFindings, initSuite, type Named } from "../run/init/init-suite.js";
import { type Overrides, overrideTexts } from "./load-config.js";
import { headPaths, modelPath, modelPaths, type NamedPaths, namedPaths, slug, TABLES } from "./named-path.js";
import { presetsFolder } from "./package-files.js";
import { resolveWork, type WorkOptions } from "./work-options.js";

/** The models and data that a suite is made of. */
export interface InitOptions extends Omit<WorkOptions, "output" | "overwrite"> {
  /** The pretrained model: its folder, or org/name on the hub. */
  readonly base: string;
  /** Fine-tuned models or LoRA adapters, at least two; without any, one is fine-tuned on each labelled data set. */
  readonly experts?: NamedPaths | undefined;
  /** Of these fine-tunings, as `finetune` takes them. */
  readonly finetune?: Overrides | undefined;
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
  const given = await modelPaths(place("experts"), options.experts ?? []);
  const labelled = [
    ...withFlag("--images", await namedPaths(place("images"), options.images, /\.csv$/)),
    ...withFlag("--texts", await namedPaths(place("texts"), options.texts, TABLES)),
    ...withFlag("--data", await namedPaths(place("data"), options.data, TABLES)),
  ];
  const made = await headPaths(place("heads"), options.heads);
  const classes = await namedPaths(place("classes"), options.classes, /\.txt$/);
  const isTrained = given.length === 0;
  if (!isTrained && options.finetune !== undefined && overrideTexts(options.finetune).length > 0)
    throw new ConfigError(`${optionName("finetune")}: expected without experts, which are made then, found both`);
  if (isTrained) {
    requireAlone({ ...made, classes, dryRun }, optionName);
    log(`no ${optionName("experts")} given: an expert is fine-tuned on each of ${labelled.length} data sets first`);
  }
  const trained = isTrained
    ? await trainExperts(
        {
          ...{ directory: absolute, base, examples: labelled },
          settings: (model, data) => finetuneConfig(model, data, overrideTexts(options.finetune ?? []), cwd),
        },
        { ...work, force, clock: () => performance.now() },
      )
    : { ...(await lookIntoExperts({ ...made, experts: given, examples: labelled })), examples: labelled };
  const { experts, heads, examples } = trained;
  const { zeroShot } = made;
  const request = {
    ...{ directory: absolute, name: slug(name ?? path.basename(absolute)) || "suite" },
    ...{ base, experts, examples, heads, zeroShot, preset },
    ...(textModel === undefined ? {} : { textModel: await modelPath(place("textModel"), textModel) }),
    classes,
  };
  return initSuite(request, { cacheDir, presetsDir: presetsFolder, force, dryRun, hub, signal, log, onProgress });
}

/** Throws ConfigError for what belongs to experts that are there. */
function requireAlone(
  given: {
    readonly heads: readonly Named[];
    readonly zeroShot: readonly string[];
    readonly classes: readonly Named[];
    readonly dryRun: boolean;
  },
  optionName: (option: string) => string,
): void {
  const [experts, dryRun] = [optionName("experts"), optionName("dryRun")];
  if (given.dryRun)
    throw new ConfigError(
      `${dryRun}: expected ${experts} too, found none: experts are fine-tuned first then, which takes its time and is more than a look. Give ${experts} NAME=PATH of each, or look at one fine-tuning: \`adamerge finetune BASE DATA --dry-run\``,
    );
  const [option, found] =
    given.heads.length + given.zeroShot.length > 0
      ? [optionName("heads"), "a head"]
      : [optionName("classes"), given.classes.length > 0 ? "classes" : undefined];
  if (found !== undefined)
    throw new ConfigError(
      `${option}: expected ${experts} too, found ${found} alone: without experts they are fine-tuned first, with heads of their own. Give ${experts} NAME=PATH of each, or leave out ${option}`,
    );
}

function withFlag(flag: GivenExamples["flag"], examples: readonly Named[]): readonly GivenExamples[] {
  return examples.map((one) => ({ ...one, flag }));
}
