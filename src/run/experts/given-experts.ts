/**
 * Experts that a person gave for a suite, as what they are: a run of `adamerge finetune` is its model, and a model that was saved with heads of ours
 * brings the one of its task. What such a run has learned from must not be what a merge is judged on.
 */
import { realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { readConfig } from "../../checkpoint/checkpoint.js";
import type { FinetuneConfig } from "../../config/finetune.js";
import { ConfigError } from "../../errors.js";
import { familyOf } from "../../model/families.js";
import { isRunFolder, readAnyRun } from "../../track/read-run.js";
import { listHeads } from "../heads/heads-folder.js";
import type { GivenExamples } from "../init/example-sources.js";
import type { Named } from "../init/init-suite.js";
import { datasetPlace } from "../init/split-of-file.js";

export interface GivenSuite {
  readonly experts: readonly Named[];
  readonly heads: readonly Named[];
  /** Experts whose heads are made of the classes' names. */
  readonly zeroShot: readonly string[];
  readonly examples: readonly GivenExamples[];
}

/** The folder of a run's model. */
const MODEL_FOLDER = "model";

/**
 * Models in the place of runs, and the heads that lie in them where none was given. Throws ConfigError for a run that has not finished, and for one that
 * has learned from the very collection that is to be divided and judged.
 */
export async function lookIntoExperts(given: GivenSuite): Promise<Pick<GivenSuite, "experts" | "heads">> {
  const experts: Named[] = [];
  const heads = [...given.heads];
  for (const { name, path } of given.experts) {
    const run = await finetuneRunOf(name, path);
    const model = run === undefined ? path : join(run.folder, MODEL_FOLDER);
    if (run !== undefined) await requireUnseen(name, run, given);
    const hasHead = given.zeroShot.includes(name) || heads.some((head) => head.name === name);
    const own = hasHead ? undefined : await ownHead(model, [run?.config.task ?? name, name]);
    if (own !== undefined) heads.push({ name, path: own });
    experts.push({ name, path: model });
  }
  return { experts, heads };
}

interface FinishedRun {
  readonly folder: string;
  readonly config: FinetuneConfig;
}

/** The run that a path is the folder of, or the model of. */
async function finetuneRunOf(name: string, path: string): Promise<FinishedRun | undefined> {
  const folders = basename(path) === MODEL_FOLDER ? [path, dirname(path)] : [path];
  for (const folder of folders) {
    if (!(await isRunFolder(folder))) continue;
    const run = await readAnyRun(folder);
    if (run.kind !== "finetune") return undefined;
    if (run.status.state !== "finished")
      throw new ConfigError(
        `--expert ${name}: ${folder}: expected a finished run, found one that is ${run.status.state} after step ${run.status.step}; \`adamerge finetune --resume ${folder}\` goes on with it`,
      );
    return { folder, config: run.config };
  }
  return undefined;
}

/** A head among those in a model's folder: of the task, or the only one there. A model on the hub is not here yet. */
async function ownHead(model: string, tasks: readonly string[]): Promise<string | undefined> {
  const heads = await listHeads(model);
  const named = tasks.find((task) => heads.has(task));
  return named === undefined && heads.size === 1 ? [...heads.values()][0] : heads.get(named ?? "");
}

/** A collection without splits would be divided anew, with most of its test examples among those that the expert was trained on. */
async function requireUnseen(name: string, { folder, config }: FinishedRun, given: GivenSuite): Promise<void> {
  const examples = given.examples.find((one) => one.name === name);
  if (examples === undefined || !(await isSamePlace(examples.path, config.data))) return;
  const model = join(folder, MODEL_FOLDER);
  const { kind } = familyOf(await readConfig(model), model);
  const { own } = await datasetPlace(examples.path, kind, `${examples.flag} ${name}`);
  if (own.length > 1) return;
  throw new ConfigError(
    `${examples.flag} ${name}: ${examples.path}: expected examples that the expert has not learned from, found the collection that ${folder} was fine-tuned on: the merge would be judged on what its expert was trained on. ` +
      `Give other examples, or one with splits train and test; or leave out --expert: \`adamerge init\` then divides each collection and fine-tunes the experts on one part`,
  );
}

async function isSamePlace(one: string, other: string): Promise<boolean> {
  const real = (path: string) => realpath(path).catch(() => path);
  return (await real(one)) === (await real(other));
}
