/**
 * The examples that a fit learns from and, for objectives with targets, what is known of each: its label, or what the task's own
 * expert predicts. Labels are read for the one objective that names them and for nothing else.
 */
import type { RunConfig } from "../../config/schema.js";
import { type ExampleStore, type LabelledExamples, selectExamples } from "../../data/examples.js";
import { drawnIndices } from "../../data/sampler.js";
import type { Executable } from "../../engine/program.js";
import { objectiveOf } from "../../objective/objectives.js";
import { labelTargets, longestLength, type Targets } from "../../optimize/step-inputs.js";
import { together } from "../../runtime/together.js";
import { featureReader } from "../heads/example-features.js";
import { expertWeights } from "../judge/judge-models.js";
import { type Inputs, loadLabelled, loadUnlabelled } from "../session/inputs.js";
import type { Session } from "../session/session.js";
import { compileStep, type LearningData } from "./training.js";

/** The compiled step and what it learns from. Throws as `compileStep` and `loadLearningData`. */
export async function prepareLearning(
  config: RunConfig,
  session: Session,
  cacheDir: string,
): Promise<{ readonly step: Executable; readonly data: LearningData }> {
  const { engine, inputs, evaluation } = session;
  const { lengths } = inputs.model;
  if (lengths !== undefined) {
    // Nothing is compiled before the first step, and the examples say how long steps get.
    const data = await loadLearningData(config, session, cacheDir);
    return { step: await compileStep(engine, inputs, config, longestLength(lengths, data.examples)), data };
  }
  const [step, data] = await together<[Executable, LearningData]>(
    [() => compileStep(engine, inputs, config), (stop) => loadLearningData(config, session, cacheDir, stop)],
    evaluation.signal,
  );
  return { step, data };
}

/** Examples of the config's adapt_split with the targets of its objective. Throws DataError when labels are needed and missing. */
export async function loadLearningData(
  config: RunConfig,
  session: Session,
  cacheDir: string,
  stop: AbortSignal = session.evaluation.signal,
): Promise<LearningData> {
  const split = config.data.adapt_split;
  const objective = objectiveOf(config.objective.name);
  const examples = limited(config, await loadUnlabelled(session.inputs, split, cacheDir, stop));
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
      return { examples, targets: await expertPredictions(session, examples, config.objective.temperature) };
    case "expert_features":
      return { examples, targets: await expertFeatures(session, examples) };
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
