/**
 * The examples that a fit learns from and, for objectives with targets, what is known of each: its label, or what the task's own
 * expert predicts. Labels are read for the one objective that names them and for nothing else.
 */
import type { RunConfig } from "../../config/schema.js";
import { stageConfigs } from "../../config/stages.js";
import { type ExampleStore, type LabelledExamples, selectExamples } from "../../data/examples.js";
import { drawnIndices } from "../../data/sampler.js";
import type { Executable } from "../../engine/program.js";
import { objectiveOf } from "../../objective/objectives.js";
import { labelTargets, longestLength, type Targets } from "../../optimize/step-inputs.js";
import { together } from "../../runtime/together.js";
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
    const data =
      known.get(targets) ?? (await loadLearningData(config, session, cacheDir, stop, found[0]?.data.examples));
    known.set(targets, data);
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
  const examples = open ?? limited(config, await loadUnlabelled(session.inputs, split, cacheDir, stop));
  switch (objective.targets) {
    case "none":
      return { examples, targets: new Map() };
    case "labels":
      return {
        examples,
        targets: labelsOf(
          session.inputs,
          limited(config, await loadLabelled(session.inputs, session.inputs.tasks, split, cacheDir, stop)),
        ),
      };
    case "expert":
      return { examples, targets: await expertPredictions(session, examples) };
    default:
      return objective.targets satisfies never;
  }
}

/** Of each task only as many examples as the config allows. */
function limited<Store extends ExampleStore>(
  { seed, data: { adapt_limit: limit } }: RunConfig,
  stores: ReadonlyMap<string, Store>,
): ReadonlyMap<string, Store> {
  if (limit === null) return stores;
  return new Map(
    [...stores].map(([task, store]) => [task, selectExamples(store, drawnIndices(store.size, limit, { seed, task }))]),
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
): Promise<Map<string, Targets>> {
  const { classifier } = evaluation;
  const targets = new Map<string, Targets>();
  for (const [task, head] of inputs.heads.entries()) {
    await classifier.setWeights(await expertWeights(inputs, task));
    const store = examples.get(head.task);
    if (store !== undefined)
      targets.set(head.task, { classes: head.classes, valuesNC: await classifier.probabilities(head.task, store) });
  }
  return targets;
}
