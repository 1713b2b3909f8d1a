/**
 * An expert for each data set, one after the other: each is a run of `adamerge finetune` below the suite's directory,
 * kept where it is finished with the same settings, and resumed where it was stopped.
 */
import { join } from "node:path";
import { COLUMN_SETTINGS, type FinetuneConfig, formatFinetune, namedColumns } from "../../config/finetune.js";
import { ConfigError } from "../../errors.js";
import { openBase } from "../../model/open-models.js";
import { isThere } from "../../runtime/is-there.js";
import { isRunFolder, readFinetuneRun } from "../../track/read-run.js";
import { finetune, resumeFinetune } from "../finetune/finetune.js";
import type { FinetuneOptions } from "../finetune/training.js";
import { exampleKind, requireKind } from "../init/example-kind.js";
import type { GivenExamples } from "../init/example-sources.js";
import { CONFIG_FILE, SUITE_FILE } from "../init/init-files.js";
import type { Named } from "../init/init-suite.js";
import { divideData } from "./divide-data.js";

export interface ExpertsRequest {
  /** Of the suite, absolute. */
  readonly directory: string;
  /** A folder. */
  readonly base: string;
  readonly examples: readonly GivenExamples[];
  /** Of one expert, as its fine-tuning takes them; `base`, `data`, `name` and `output` are set here. */
  readonly settings: (base: string, data: string) => FinetuneConfig;
}

/** What a suite is made of then. */
export interface TrainedExperts {
  readonly experts: readonly Named[];
  readonly heads: readonly Named[];
  /** In the folders that were divided. */
  readonly examples: readonly GivenExamples[];
}

/**
 * Throws ConfigError for fewer than two data sets, or for an expert that was trained with other settings before, and
 * what dividing and fine-tuning throw. An abort rejects with its reason; the same call goes on where it stopped.
 */
export async function trainExperts(
  { directory, base, examples, settings }: ExpertsRequest,
  options: FinetuneOptions & { readonly force: boolean },
): Promise<TrainedExperts> {
  const { force, signal, log } = options;
  const names = examples.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (names.length < 2 || twice !== undefined)
    throw new ConfigError(
      `expected labelled data of at least two tasks to make experts of, each once, found ${twice === undefined ? names.length : `${twice} twice`}; give NAME=PATH of each, or experts with --expert`,
    );
  for (const file of [SUITE_FILE, CONFIG_FILE])
    if (!force && (await isThere(join(directory, file))))
      throw new ConfigError(
        `${join(directory, file)}: expected no such file yet, found one; give another directory, or --force to replace it`,
      );
  const kind = await exampleKind({ base, experts: [], examples }, await openBase(base));
  requireKind({ base, experts: [], examples }, kind);
  // All of them before the first training, which may take long.
  const divided: GivenExamples[] = [];
  for (const given of examples) {
    const columns = namedColumns(settings(base, given.path));
    divided.push({ ...given, path: await divideData(given, { directory, kind, columns, force, signal, log }) });
  }
  const experts: Named[] = [];
  const heads: Named[] = [];
  for (const { name, path } of divided) {
    const usual = Object.fromEntries(COLUMN_SETTINGS.map((key) => [key, null]));
    // What was divided is a table of ours, whose columns are called as usual.
    const config = { ...settings(base, path), ...usual, task: name, name, output: join(directory, "runs") };
    const run = join(directory, "runs", "finetune", name);
    log(`expert ${name}:`);
    await makeExpert(run, config, options);
    signal.throwIfAborted();
    experts.push({ name, path: join(run, "model") });
    heads.push({ name, path: join(run, "model", "heads", `${name}.safetensors`) });
  }
  return { experts, heads, examples: divided };
}

async function makeExpert(
  run: string,
  config: FinetuneConfig,
  options: FinetuneOptions & { readonly force: boolean },
): Promise<void> {
  const begun = (await isRunFolder(run)) ? await readFinetuneRun(run) : undefined;
  // Read and written anew: a run of an earlier version has the defaults of keys that came later.
  const isSame = begun !== undefined && formatFinetune(begun.config) === formatFinetune(config);
  if (begun !== undefined && !isSame && !options.force)
    throw new ConfigError(
      `${run}: expected an expert that was trained with these settings, found one with others; give the settings that it had, another directory, or --force to train it anew`,
    );
  if (!isSame) await finetune(config, { ...options, overwrite: options.force });
  else if (begun.status.state === "finished") options.log(`${run}: kept`);
  else await resumeFinetune(run, options);
}
