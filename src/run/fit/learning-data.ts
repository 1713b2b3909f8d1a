/**
 * The examples that a fit learns from and, for objectives with targets, what is known of each: its label, or what the task's own
 * expert predicts. Labels are read for the one objective that names them and for nothing else.
 */
import type { RunConfig } from "../../config/schema.js";
import { type ExampleStore, type LabelledExamples, selectExamples } from "../../data/examples.js";
import { drawnIndices } from "../../data/sampler.js";
import type { Executable } from "../../engine/program.js";
import { DataError } from "../../errors.js";
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
  const all = await loadUnlabelled(session.inputs, split, cacheDir, stop);
  const examples = limited(config, all);
  const given = { examples, ...(config.stopping.rule === "none" ? {} : { heldOut: heldOut(config, all) }) };
  switch (objective.targets) {
    case "none":
      return { ...given, targets: new Map() };
    case "labels":
      return {
        ...given,
        targets: labelsOf(
          session.inputs,
          limited(config, await loadLabelled(session.inputs, session.inputs.tasks, split, cacheDir, stop)),
        ),
      };
    case "expert":
      return { ...given, targets: await expertPredictions(session, examples, config.objective.temperature) };
    case "expert_features":
      return { ...given, targets: await expertFeatures(session, examples) };
    default:
      return objective.targets satisfies never;
  }
}

/** Of each task only as many examples as the config allows, and none of those that are held out. */
function limited<Store extends ExampleStore>(
  config: RunConfig,
  stores: ReadonlyMap<string, Store>,
): ReadonlyMap<string, Store> {
  const { seed } = config;
  if (config.data.adapt_limit === null && config.stopping.rule === "none") return stores;
  return new Map(
    [...stores].map(([task, store]) => [
      task,
      selectExamples(store, drawnIndices(store.size, learnedFrom(config, task, store), { seed, task })),
    ]),
  );
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
