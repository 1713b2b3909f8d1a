/**
 * The examples that a fit learns from and, for objectives with targets, what is known of each: its label, or what the task's own
 * expert predicts. Labels are read for the one objective that names them and for nothing else.
 */
import type { RunConfig } from "../../config/schema.js";
import { stageConfigs } from "../../config/stages.js";
import {
  type ExampleStore,
  isLabelled,
  type LabelledExamples,
  selectExamples,
  withoutLabels,
} from "../../data/examples.js";
import { drawnIndices, drawnPerClass } from "../../data/sampler.js";
import type { Executable } from "../../engine/program.js";
import { assert, DataError } from "../../errors.js";
import { objectiveOf } from "../../objective/objectives.js";
import { labelTargets, longestLength, type Targets } from "../../optimize/step-inputs.js";
import { together } from "../../runtime/together.js";
import { featureReader } from "../heads/example-features.js";
import { expertWeights } from "../judge/judge-models.js";
import { type Inputs, loadLabelled, loadUnlabelled } from "../session/inputs.js";
import type { Session } from "../session/session.js";
import { compileStep, type LearningData, requireWholeTensors } from "./training.js";

/** A stage of a fit, or the whole fit: its config, which has no stages, and what it learns from. */
export interface PreparedStage {
  readonly config: RunConfig;
  readonly data: LearningData;
}

/** A fit made ready. */
export interface PreparedFit {
  /** The compiled step of the first stage. */
  readonly step: Executable;
  /** Of all stages alike. */
  readonly examples: LearningData["examples"];
  readonly stages: readonly PreparedStage[];
}

/** The compiled step of the first stage and what all stages learn from. Throws as `compileStep` and `loadLearningData`, for any stage. */
export async function prepareLearning(config: RunConfig, session: Session, cacheDir: string): Promise<PreparedFit> {
  const { engine, inputs, evaluation } = session;
  const { lengths } = inputs.model;
  const configs = stageConfigs(config);
  for (const stage of configs) requireWholeTensors(engine, inputs, stage);
  const first = configs[0] ?? config;
  const prepared = (step: Executable, stages: readonly PreparedStage[]): PreparedFit => ({
    step,
    examples: stages[0]?.data.examples ?? new Map(),
    stages,
  });
  if (lengths !== undefined) {
    // Nothing is compiled before the first step, and the examples say how long steps get.
    const stages = await loadStages(configs, session, cacheDir, evaluation.signal);
    const longest = longestLength(lengths, stages[0]?.data.examples ?? new Map());
    return prepared(await compileStep(engine, inputs, first, longest), stages);
  }
  const [step, stages] = await together<[Executable, readonly PreparedStage[]]>(
    [() => compileStep(engine, inputs, first), (stop) => loadStages(configs, session, cacheDir, stop)],
    evaluation.signal,
  );
  return prepared(step, stages);
}

/** What each stage learns from: the same examples, and targets that are found once for all objectives that have them. */
async function loadStages(
  configs: readonly RunConfig[],
  session: Session,
  cacheDir: string,
  stop: AbortSignal,
): Promise<readonly PreparedStage[]> {
  const known = new Map<string, LearningData>();
  const found: PreparedStage[] = [];
  for (const config of configs) {
    const { targets } = objectiveOf(config.objective.name);
    const key = targets === "expert" ? `${targets} ${config.objective.temperature}` : targets;
    const data = known.get(key) ?? (await loadLearningData(config, session, cacheDir, stop, found[0]?.data.examples));
    known.set(key, data);
    found.push({ config, data });
  }
  return found;
}

/** Examples of the config's adapt_split (or those that are open) with the targets of its objective. Throws DataError when labels are needed and missing. */
export async function loadLearningData(
  config: RunConfig,
  session: Session,
  cacheDir: string,
  stop: AbortSignal = session.evaluation.signal,
  open?: LearningData["examples"],
): Promise<LearningData> {
  const split = config.data.adapt_split;
  const objective = objectiveOf(config.objective.name);
  const { inputs } = session;
  const labelled = async () => limited(config, await loadLabelled(inputs, inputs.tasks, split, cacheDir, stop));
  const given: Omit<LearningData, "targets"> =
    open !== undefined
      ? { examples: open }
      : config.data.adapt_per_class !== null
        ? { examples: unlabelled(await labelled()) }
        : divided(config, await loadUnlabelled(inputs, split, cacheDir, stop));
  const { examples } = given;
  switch (objective.targets) {
    case "none":
      return { ...given, targets: new Map() };
    case "labels":
      return { ...given, targets: labelsOf(inputs, await labelled()) };
    case "expert":
      return { ...given, targets: await expertPredictions(session, examples, config.objective.temperature) };
    case "expert_features":
      return { ...given, targets: await expertFeatures(session, examples) };
    default:
      return objective.targets satisfies never;
  }
}

/** What is learned from, and what is held out of a fit with a rule to stop by. */
function divided(config: RunConfig, all: ReadonlyMap<string, ExampleStore>): Omit<LearningData, "targets"> {
  const examples = limited(config, all);
  return config.stopping.rule === "none" ? { examples } : { examples, heldOut: heldOut(config, all) };
}

function unlabelled(stores: ReadonlyMap<string, LabelledExamples>): ReadonlyMap<string, ExampleStore> {
  return new Map([...stores].map(([task, store]) => [task, withoutLabels(store)]));
}

/** Of each task only as many examples as the config allows, and none of those that are held out. */
function limited<Store extends ExampleStore>(
  config: RunConfig,
  stores: ReadonlyMap<string, Store>,
): ReadonlyMap<string, Store> {
  const { seed } = config;
  const { adapt_per_class: perClass } = config.data;
  if (perClass !== null) return new Map([...stores].map(([task, store]) => [task, ofEachClass(config, task, store)]));
  if (config.data.adapt_limit === null && config.stopping.rule === "none") return stores;
  return new Map(
    [...stores].map(([task, store]) => [
      task,
      selectExamples(store, drawnIndices(store.size, learnedFrom(config, task, store), { seed, task })),
    ]),
  );
}

function ofEachClass<Store extends ExampleStore>({ seed, data }: RunConfig, task: string, store: Store): Store {
  assert(isLabelled(store), "examples that are drawn by class without their labels");
  return selectExamples(store, drawnPerClass(store.labels, data.adapt_per_class ?? 0, { seed, task }));
}

/** The examples by which a fit is stopped: those drawn next after what is learned from. */
function heldOut(config: RunConfig, stores: ReadonlyMap<string, ExampleStore>): ReadonlyMap<string, ExampleStore> {
  const { seed, stopping } = config;
  return new Map(
    [...stores].map(([task, store]) => {
      const learned = learnedFrom(config, task, store);
      const seen = new Set(drawnIndices(store.size, learned, { seed, task }));
      const both = drawnIndices(store.size, learned + stopping.examples, { seed, task });
      return [
        task,
        selectExamples(
          store,
          both.filter((index) => !seen.has(index)),
        ),
      ];
    }),
  );
}

/** How many examples of a task are learned from. Throws DataError for a split that has none left beside those that are held out. */
function learnedFrom({ data, stopping }: RunConfig, task: string, { size }: ExampleStore): number {
  const limit = data.adapt_limit ?? Number.POSITIVE_INFINITY;
  if (stopping.rule === "none") return Math.min(limit, size);
  if (size > stopping.examples) return Math.min(limit, size - stopping.examples);
  throw new DataError(
    `task ${task}: expected more than stopping.examples (${stopping.examples}) examples in ${data.adapt_split}, found ${size}; lower stopping.examples, or set stopping.rule=none`,
  );
}

function labelsOf(inputs: Inputs, stores: ReadonlyMap<string, LabelledExamples>): Map<string, Targets> {
  return new Map(
    inputs.heads.map(({ task, classes }): [string, Targets] => [
      task,
      labelTargets(stores.get(task)?.labels ?? new Int32Array(), classes),
    ]),
  );
}

/** One forward of each expert over the examples of its own task. */
async function expertPredictions(
  { inputs, evaluation }: Session,
  examples: LearningData["examples"],
  temperature: number,
): Promise<Map<string, Targets>> {
  const { classifier } = evaluation;
  const targets = new Map<string, Targets>();
  for (const [task, head] of inputs.heads.entries()) {
    await classifier.setWeights(await expertWeights(inputs, task));
    const store = examples.get(head.task);
    if (store === undefined) continue;
    const valuesNC = await classifier.probabilities(head.task, store, temperature);
    targets.set(head.task, { width: head.classes, valuesNC });
  }
  return targets;
}

/** Features that each expert gives to the examples of its own task. */
async function expertFeatures(
  { engine, inputs }: Session,
  examples: LearningData["examples"],
): Promise<Map<string, Targets>> {
  const { model, heads } = inputs;
  const reader = await featureReader(engine, model, Math.max(...[...examples.values()].map(({ size }) => size)));
  const targets = new Map<string, Targets>();
  for (const [task, head] of heads.entries()) {
    const store = examples.get(head.task);
    if (store === undefined) continue;
    const valuesNC = await reader.read(await expertWeights(inputs, task), store);
    targets.set(head.task, { width: model.featureSize, valuesNC });
  }
  await reader.close();
  return targets;
}
