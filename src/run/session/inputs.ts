/**
 * Everything a run reads: suite, checkpoints, bundle, heads and examples, checked against one another before any
 * computation starts.
 */

import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { type BundleProgress, buildBundle } from "../../checkpoint/build-bundle.js";
import type { Bundle } from "../../checkpoint/bundle.js";
import { derivationWarnings } from "../../checkpoint/derivation.js";
import type { Hub } from "../../checkpoint/hub/request.js";
import { compareCheckpoints, type Expert, failOnProblems } from "../../checkpoint/preflight.js";
import { pytorchNotice } from "../../checkpoint/torch/notice.js";
import { judgedSplit } from "../../config/judged-split.js";
import type { RunConfig } from "../../config/schema.js";
import { learnedHeads } from "../../config/stages.js";
import type { ChosenCorruption } from "../../data/corruption.js";
import { type ExampleStore, type LabelledExamples, requireLabels, withoutLabels } from "../../data/examples.js";
import { isClassifier } from "../../data/head-recipes.js";
import { openSuite, type Suite, type SuiteTask } from "../../data/suite.js";
import { ConfigError } from "../../errors.js";
import { frozenBundle, withFrozen } from "../../merge/frozen.js";
import { type Grouping, groupMergeable } from "../../merge/groups.js";
import { processingOf } from "../../merge/task-vector-processings.js";
import { familyOf } from "../../model/families.js";
import type { FeatureChoice, Model, ModelFamily } from "../../model/family.js";
import type { Head } from "../../model/heads.js";
import { aroundTower, openBase, openExpert } from "../../model/open-models.js";
import { withAdapters } from "../../model/surgery.js";
import { nearest } from "../../runtime/nearest.js";
import type { OnProgress } from "../../runtime/progress.js";
import { saidOnce } from "../../runtime/said-once.js";
import { together } from "../../runtime/together.js";
import { loadHeads } from "../heads/load-heads.js";
import { openExamples } from "../suite/open-examples.js";
import type { OpenedSuite } from "../suite/opened-suite.js";
import { planSavedModel, type SavedModel } from "../suite/saved-model.js";
import { bringSuite } from "../suite/suite-sources.js";
import type { ComparedModels } from "./compared-models.js";

export interface Inputs extends OpenedSuite {
  /** The suite as its file names things: what is on the hub is a reference. */
  readonly named: Suite;
  /** The merged tasks, in the order of the config. */
  readonly tasks: readonly SuiteTask[];
  /** What the merged model is saved as, where that was asked for. */
  readonly saved: SavedModel | undefined;
  readonly bundle: Bundle;
  readonly grouping: Grouping;
  /** Of the merged tasks. */
  readonly heads: readonly Head[];
  /** The tasks that are judged, merged or not, in the order of the config. */
  readonly judged: readonly SuiteTask[];
  /** Of the judged tasks. */
  readonly judgedHeads: readonly Head[];
}

export interface InputOptions {
  readonly cacheDir: string;
  /** For suites that name repositories on the hub. */
  readonly hub?: Hub;
  readonly log: (line: string) => void;
  /** Is told what goes on behind that; default: nobody. */
  readonly detail?: (line: string) => void;
  readonly onProgress?: OnProgress;
  /** Stops the making of heads. */
  readonly signal?: AbortSignal;
  /** Called when the models have been compared, before anything long. */
  readonly onCompared?: (models: ComparedModels) => Promise<void>;
  /** Whether a merged model will be saved: the base's other files are looked at before the work. */
  readonly isSaved?: boolean;
}

/** Opens the suite's checkpoints, compares them, builds or reuses the bundle, and reads the heads. */
export async function loadInputs(config: RunConfig, options: InputOptions): Promise<Inputs> {
  const { cacheDir, log, hub, onCompared } = options;
  const { suite, named, tasks, judged } = await openSources(config, hub);
  if (config.task_vectors.origin === "average" && tasks.length === 1)
    throw new ConfigError(
      `task_vectors.origin: expected pretrained to merge one task, found average: that is its expert, and its task vector 0. Set tasks= to several`,
    );
  const base = await openBase(suite.base);
  // A base that is one file has its configs beside it.
  const folder = (await stat(suite.base)).isDirectory() ? suite.base : dirname(suite.base);
  const family = familyOf(base.config, suite.base);
  const files = { config: base.config, folder };
  const { model, encoder } = await family.open(files, featuresOf(suite, family));
  const { layout, projection } = model;
  const experts = await Promise.all(
    tasks.map(async ({ name, expert }) => ({ task: name, checkpoint: await openExpert(expert, base) })),
  );
  const pickled = pytorchNotice([base, ...experts.map(({ checkpoint }) => checkpoint)]);
  if (pickled !== undefined) log(`notice: ${pickled}`);
  // Experts are saved as towers alone too, which have no projection.
  const tensors = model.tensors.map((tensor) => ({ ...tensor, isOptional: tensor.name === projection }));
  failOnProblems(await compareCheckpoints(base, experts, tensors, layout));
  for (const around of surroundings({ base, experts, tasks }, family)) log(`notice: ${around}`);
  const unprojected = withoutProjection(experts, model);
  if (unprojected !== undefined) log(`notice: ${unprojected}`);
  await onCompared?.({
    ...{ model, kind: encoder.kind, tasks: tasks.length, cutTo: suite.maxLength },
    heads: headsMeasure(tasks, model),
  });
  const names = tensors.map(({ name }) => name);
  const saved = options.isSaved === true ? await planSavedModel(suite.base, names) : undefined;
  for (const said of saved?.notices ?? []) log(`notice: ${said}`);
  const processing = processingOf(config.task_vectors)?.make(config.task_vectors);
  const built = await buildBundle({
    base,
    experts,
    tensors,
    layout,
    cacheDir,
    ...(processing === undefined ? {} : { processing }),
    origin: config.task_vectors.origin,
    dtype: config.task_vectors.dtype === "float16" ? "F16" : "F32",
    ...(options.onProgress === undefined ? {} : { onProgress: bundleProgress(options.onProgress) }),
  });
  options.detail?.(`bundle: ${tasks.length} task vectors of ${built.tensors.length} tensors (${built.path})`);
  for (const warning of await derivationWarnings(built)) log(`warning: ${warning}`);
  const merged = config.merge_projection ? built : withBaseProjection(built, model);
  const bundle = withFrozen(merged, config.freeze);
  const cacheBytes = config.data.cache_gb * 1e9;
  const once = saidOnce(log);
  const notice = (text: string) => once(`notice: ${text}`);
  const context = { suite, base, model, encoder, hub, cacheBytes, notice };
  const all = await loadHeads(config, [...new Set([...tasks, ...judged])], context, options);
  const headsOf = (some: readonly SuiteTask[]) => {
    const own = some.flatMap(({ name }) => all.get(name) ?? []);
    // Of all programs alike, whatever the stage: before they are learned adapters change nothing.
    return learnedHeads(config).includes("surgery") ? withAdapters(own, config.heads_rank, config.seed) : own;
  };
  const grouping = groupMergeable(bundle, model, {
    granularity: config.granularity,
    groups: config.groups,
    shareQkv: config.share_qkv,
  });
  return {
    suite,
    named,
    tasks,
    base,
    model,
    encoder,
    saved,
    bundle,
    grouping,
    heads: headsOf(tasks),
    judged,
    judgedHeads: headsOf(judged),
    corruption: corruptionOf(config),
    cacheBytes,
    hub,
    notice,
  };
}

/** What each phase is called, and what it counts. */
const BUNDLE_PHASES = {
  hash: { what: "reading the models", unit: "models" },
  process: { what: "looking at the task vectors", unit: "tensors" },
  write: { what: "making the task vectors", unit: "tensors" },
} as const;

function bundleProgress(onProgress: OnProgress): (progress: BundleProgress) => void {
  return ({ phase, done, total }) => onProgress({ ...BUNDLE_PHASES[phase], done, total });
}

/** What is left out of models, in sentences. What is around a base is not, where the merged model is saved with all that is in it. */
function surroundings(
  { base, experts, tasks }: Pick<Inputs, "base" | "tasks"> & { readonly experts: readonly Expert[] },
  family: ModelFamily,
): readonly string[] {
  const ofBase = family.saved === undefined ? undefined : aroundTower(base, family);
  const ofExperts = experts.map(({ checkpoint }, index) => {
    const head = tasks[index]?.head;
    return aroundTower(checkpoint, family, { isHeadUsed: head !== undefined && isClassifier(head) });
  });
  return [ofBase, ...ofExperts].filter((sentence) => sentence !== undefined);
}

/** Those that suite.yaml names, if the family has them; undefined: those that the base's own files say. */
function featuresOf({ features, path }: Suite, { poolings, title }: ModelFamily): FeatureChoice | undefined {
  if (features === undefined) return undefined;
  const pooling = poolings.find((known) => known === features.pooling);
  if (pooling !== undefined) return { pooling, normalized: features.normalized };
  throw new ConfigError(
    `${path}: features.pooling: expected one of ${poolings.join(", ")}, which a ${title} has, found ${features.pooling}`,
  );
}

/** The suite and its chosen tasks, with models as directories: what is on the hub has been downloaded, data sets too. */
async function openSources(
  config: RunConfig,
  hub: Hub | undefined,
): Promise<Pick<Inputs, "suite" | "named" | "tasks" | "judged">> {
  const named = await openSuite(config.suite);
  const choose = (suite: Suite) => {
    const tasks = chosenTasks(suite, "tasks", config.tasks) ?? suite.tasks;
    return { tasks, judged: chosenTasks(suite, "data.eval_tasks", config.data.eval_tasks) ?? tasks };
  };
  const { tasks, judged } = choose(named);
  const splits = [config.data.adapt_split, judgedSplit(config)];
  const part = { tasks: [...new Set([...tasks, ...judged])], splits };
  const suite = await bringSuite(named, part, hub);
  return { suite, named, ...choose(suite) };
}

/** The same noise in every run, whatever seed the fit has: corrupted images are another data set. */
const CORRUPTION_SEED = 0;

function corruptionOf({ data }: RunConfig): ChosenCorruption | undefined {
  if (data.corruption === "none") return undefined;
  return { name: data.corruption, severity: data.corruption_severity, seed: CORRUPTION_SEED };
}

/** Which experts have no projection where others do, in a sentence; undefined where all are alike. */
function withoutProjection(experts: readonly Expert[], { projection }: Pick<Model, "projection">): string | undefined {
  if (projection === undefined) return undefined;
  const has = ({ checkpoint }: Expert) =>
    checkpoint.isPartial || [...checkpoint.tensors.keys()].some((name) => name.endsWith(projection));
  const lacking = experts.filter((expert) => !has(expert)).map(({ task }) => task);
  if (lacking.length === 0 || lacking.length === experts.length) return undefined;
  return `the experts of ${lacking.join(", ")} have no ${projection}: they count as having the base's, and the others' changes of it are merged`;
}

/** The projection is left as the base has it, as FusionBench does. */
export function withBaseProjection(bundle: Bundle, { projection }: Pick<Model, "projection">): Bundle {
  return frozenBundle(bundle, (name) => name === projection);
}

/** What the heads of these tasks are made of, for what learning them needs. */
export function headsMeasure(
  tasks: readonly Pick<SuiteTask, "classes">[],
  { featureSize }: Pick<Model, "featureSize">,
): NonNullable<ComparedModels["heads"]> {
  return { classes: tasks.reduce((sum, { classes }) => sum + classes.length, 0), featureSize };
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
      `${key}: the suite ${suite.name} has no task ${name}${close === undefined ? "." : `; did you mean ${close}?`} It has ${known.join(", ")}`,
    );
  });
}

/** The labelled examples of `tasks` in a split. Throws DataError for a split without labels. */
export function loadLabelled(
  inputs: Inputs,
  tasks: readonly SuiteTask[],
  split: string,
  cacheDir: string,
  stop?: AbortSignal,
): Promise<Map<string, LabelledExamples>> {
  const load = async (task: SuiteTask, signal: AbortSignal): Promise<LabelledExamples> => {
    const { name, classes } = task;
    return requireLabels(await openExamples(inputs, task, split, { cacheDir, signal, classes }), `task ${name}`);
  };
  return loadAll(tasks, load, stop);
}

/** The examples of every merged task in a split, their labels left behind. */
export function loadUnlabelled(
  inputs: Inputs,
  split: string,
  cacheDir: string,
  stop?: AbortSignal,
): Promise<Map<string, ExampleStore>> {
  const load = async (task: SuiteTask, signal: AbortSignal): Promise<ExampleStore> =>
    withoutLabels(await openExamples(inputs, task, split, { cacheDir, signal }));
  return loadAll(inputs.tasks, load, stop);
}

/** By task, all at once. */
async function loadAll<Store>(
  tasks: readonly SuiteTask[],
  load: (task: SuiteTask, signal: AbortSignal) => Promise<Store>,
  stop: AbortSignal | undefined,
): Promise<Map<string, Store>> {
  const named =
    (task: SuiteTask) =>
    async (signal: AbortSignal): Promise<[string, Store]> => [task.name, await load(task, signal)];
  return new Map(await together<[string, Store][]>(tasks.map(named), stop));
}
