/**
 * Everything a run reads: suite, checkpoints, bundle, heads and images, checked against one another before any
 * computation starts.
 */
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { buildBundle } from "../checkpoint/build-bundle.js";
import type { Bundle } from "../checkpoint/bundle.js";
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { openBase, openExpert } from "../checkpoint/clip-models.js";
import { derivationWarnings } from "../checkpoint/derivation.js";
import type { Hub } from "../checkpoint/hub/request.js";
import { compareCheckpoints, failOnProblems } from "../checkpoint/preflight.js";
import { pytorchNotice } from "../checkpoint/torch/notice.js";
import { judgedSplit } from "../config/judged-split.js";
import { nearest } from "../config/nearest.js";
import type { RunConfig } from "../config/schema.js";
import type { ChosenCorruption } from "../data/corruptions/registry.js";
import { openDataset } from "../data/dataset.js";
import type { Encoder } from "../data/encoder.js";
import { type ExampleStore, type LabelledExamples, requireLabels, withoutLabels } from "../data/examples.js";
import { openSuite, type Suite, type SuiteTask } from "../data/suite.js";
import { CheckpointError, ConfigError } from "../errors.js";
import { type Grouping, groupMergeable } from "../merge/groups.js";
import { processingOf } from "../merge/task-vector-processings.js";
import { familyOf } from "../model/families.js";
import type { Model } from "../model/family.js";
import type { Head } from "../model/heads.js";
import type { ComparedModels } from "./fit-needs.js";
import { bringSuite, taskDataset } from "./suite-sources.js";
import { loadHeads } from "./task-heads.js";

export interface Inputs {
  readonly suite: Suite;
  /** The merged tasks, in the order of the config. */
  readonly tasks: readonly SuiteTask[];
  readonly base: Checkpoint;
  readonly model: Model;
  /** Of the examples that the model takes. */
  readonly encoder: Encoder;
  /** preprocessor_config.json as it stands, for the merged model. */
  readonly preprocessorJson: unknown;
  readonly bundle: Bundle;
  readonly grouping: Grouping;
  /** Of the merged tasks. */
  readonly heads: readonly Head[];
  /** The tasks that are judged, merged or not, in the order of the config. */
  readonly judged: readonly SuiteTask[];
  /** Of the judged tasks. */
  readonly judgedHeads: readonly Head[];
  /** Of all images that are read. */
  readonly corruption: ChosenCorruption | undefined;
  /** What the cache of decoded images may take on the disk. */
  readonly cacheBytes: number;
  /** Where the hub's data sets come from; undefined: the suite's data sets are directories. */
  readonly hub: Hub | undefined;
}

export interface InputOptions {
  readonly cacheDir: string;
  /** For suites that name repositories on the hub. */
  readonly hub?: Hub;
  readonly log: (line: string) => void;
  /** Stops the making of heads. */
  readonly signal?: AbortSignal;
  /** Called when the models have been compared, before anything long. */
  readonly onCompared?: (models: ComparedModels) => Promise<void>;
}

/** Opens the suite's checkpoints, compares them, builds or reuses the bundle, and reads the heads. */
export async function loadInputs(config: RunConfig, options: InputOptions): Promise<Inputs> {
  const { cacheDir, log, hub, onCompared } = options;
  const { suite, tasks, judged } = await openSources(config, hub);
  const base = await openBase(suite.base);
  // A base that is one file has its configs beside it.
  const folder = (await stat(suite.base)).isDirectory() ? suite.base : dirname(suite.base);
  const { model, encoder } = await familyOf(base.config).open({ config: base.config, folder });
  const experts = await Promise.all(
    tasks.map(async ({ name, expert }) => ({ task: name, checkpoint: await openExpert(expert, base) })),
  );
  const notice = pytorchNotice([base, ...experts.map(({ checkpoint }) => checkpoint)]);
  if (notice !== undefined) log(`notice: ${notice}`);
  const { tensors } = model;
  failOnProblems(await compareCheckpoints(base, experts, tensors));
  await onCompared?.({ model, tasks: tasks.length });
  const processing = processingOf(config.task_vectors)?.make(config.task_vectors);
  const built = await buildBundle({
    base,
    experts,
    tensors,
    cacheDir,
    ...(processing === undefined ? {} : { processing }),
    dtype: config.task_vectors.dtype === "float16" ? "F16" : "F32",
  });
  log(`bundle: ${tasks.length} task vectors of ${built.tensors.length} tensors (${built.path})`);
  for (const warning of await derivationWarnings(built)) log(`warning: ${warning}`);
  const bundle = config.merge_projection ? built : withBaseProjection(built, model);
  const cacheBytes = config.data.pixel_cache_gb * 1e9;
  const context = { suite, base, model, encoder, hub, cacheBytes };
  const all = await loadHeads(config, [...new Set([...tasks, ...judged])], context, options);
  const headsOf = (some: readonly SuiteTask[]) => some.flatMap(({ name }) => all.get(name) ?? []);
  const grouping = groupMergeable(bundle, model, {
    granularity: config.granularity,
    groups: config.groups,
    shareQkv: config.share_qkv,
  });
  return {
    suite,
    tasks,
    base,
    model,
    encoder,
    preprocessorJson: await readJson(join(folder, "preprocessor_config.json")),
    bundle,
    grouping,
    heads: headsOf(tasks),
    judged,
    judgedHeads: headsOf(judged),
    corruption: corruptionOf(config),
    cacheBytes,
    hub,
  };
}

/** The suite and its chosen tasks, with models as directories: what is on the hub has been downloaded, data sets too. */
async function openSources(
  config: RunConfig,
  hub: Hub | undefined,
): Promise<Pick<Inputs, "suite" | "tasks" | "judged">> {
  const named = await openSuite(config.suite);
  const choose = (suite: Suite) => {
    const tasks = chosenTasks(suite, "tasks", config.tasks) ?? suite.tasks;
    return { tasks, judged: chosenTasks(suite, "data.eval_tasks", config.data.eval_tasks) ?? tasks };
  };
  const { tasks, judged } = choose(named);
  const splits = [config.data.adapt_split, judgedSplit(config)];
  const part = { tasks: [...new Set([...tasks, ...judged])], splits };
  const suite = await bringSuite(named, part, hub);
  return { suite, ...choose(suite) };
}

/** The same noise in every run, whatever seed the fit has: corrupted images are another data set. */
const CORRUPTION_SEED = 0;

function corruptionOf({ data }: RunConfig): ChosenCorruption | undefined {
  if (data.corruption === "none") return undefined;
  return { name: data.corruption, severity: data.corruption_severity, seed: CORRUPTION_SEED };
}

/** The projection is left as the base has it, as FusionBench does. */
export function withBaseProjection(bundle: Bundle, { projection }: Pick<Model, "projection">): Bundle {
  return {
    ...bundle,
    tensors: bundle.tensors.map((tensor) => {
      if (tensor.name !== projection) return tensor;
      const { taskVectors: _, scales: __, ...baseOnly } = tensor;
      return baseOnly;
    }),
  };
}

/** The suite's tasks of these names; undefined when none are named. */
export function chosenTasks(
  suite: Suite,
  key: string,
  names: readonly string[] | null,
): readonly SuiteTask[] | undefined {
  if (names === null) return undefined;
  return names.map((name) => {
    const task = suite.tasks.find((candidate) => candidate.name === name);
    if (task !== undefined) return task;
    const known = suite.tasks.map((candidate) => candidate.name);
    const close = nearest(name, known);
    throw new ConfigError(
      `${key}: the suite ${suite.name} has no task ${name}${close === undefined ? "" : `; did you mean ${close}?`} It has ${known.join(", ")}`,
    );
  });
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError(`${file}: expected a JSON file (${reason}); copy it from the base model`, { cause });
  }
}

/** The labelled examples of `tasks` in a split. Throws DataError for a split without labels. */
export function loadLabelled(
  inputs: Inputs,
  tasks: readonly SuiteTask[],
  split: string,
  cacheDir: string,
): Promise<Map<string, LabelledExamples>> {
  const { encoder, corruption, cacheBytes } = inputs;
  return loadAll(tasks, async (task, signal) => {
    const dataset = await openDataset({ ...(await taskDataset(task, split, inputs.hub)), classes: task.classes });
    return requireLabels(
      await encoder.open(dataset, { cacheDir, cacheBytes, corruption, signal }),
      `task ${task.name}`,
    );
  });
}

/** The examples of every merged task in a split, their labels left behind. */
export function loadUnlabelled(inputs: Inputs, split: string, cacheDir: string): Promise<Map<string, ExampleStore>> {
  const { encoder, corruption, cacheBytes } = inputs;
  return loadAll(inputs.tasks, async (task, signal) => {
    const dataset = await openDataset(await taskDataset(task, split, inputs.hub));
    return withoutLabels(await encoder.open(dataset, { cacheDir, cacheBytes, corruption, signal }));
  });
}

/** By task, all at once. When one fails the others stop, and leave nothing half-written behind, before its error is thrown. */
async function loadAll<Store>(
  tasks: readonly SuiteTask[],
  load: (task: SuiteTask, signal: AbortSignal) => Promise<Store>,
): Promise<Map<string, Store>> {
  const controller = new AbortController();
  const loads = tasks.map(async (task): Promise<[string, Store]> => {
    try {
      return [task.name, await load(task, controller.signal)];
    } catch (error) {
      controller.abort(error);
      throw error;
    }
  });
  await Promise.allSettled(loads);
  controller.signal.throwIfAborted();
  return new Map(await Promise.all(loads));
}
