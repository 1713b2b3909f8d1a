/**
 * A fit tried and not run: everything is opened, compared and compiled as for a fit, one step and one evaluation batch are timed, and no run
 * is begun. What is built for it (task vectors, encoded examples, heads) stays in the cache, where the fit finds it.
 */
import type { RunConfig } from "../../config/schema.js";
import { stageTitle } from "../../config/stages.js";
import { type ExampleBatch, examplePlaces, filledBatch } from "../../data/batches.js";
import type { Executable } from "../../engine/program.js";
import { assert } from "../../errors.js";
import { type ObjectiveName, objectiveLabel } from "../../objective/catalog.js";
import { openParametrised, type ParametrisedWeights } from "../../optimize/parametrisation/parametrised-weights.js";
import { parametrisationOf } from "../../optimize/parametrisation/registry.js";
import { isSharpnessAware } from "../../optimize/sam.js";
import { longestLength, stepLength } from "../../optimize/step-inputs.js";
import { STEP_INPUT_COEFFICIENTS } from "../../optimize/step-program.js";
import type { TrainOptions } from "../../optimize/train.js";
import { initWeightState } from "../../optimize/train-weights.js";
import { runWeightStep } from "../../optimize/weight-step.js";
import { duration } from "../../track/terminal.js";
import { perTensor } from "../judge/judge-models.js";
import { headsMeasure } from "../session/inputs.js";
import { evaluationBatch, type Session, type SessionOptions, withSession } from "../session/session.js";
import { modelWeights } from "../suite/stored-weights.js";
import { type FitNeeds, fitNeeds, needsLines } from "./fit-needs.js";
import { type PreparedStage, prepareLearning } from "./learning-data.js";
import { compileStep, type LearningData, trainOptions } from "./training.js";

/** A stage of a fit, measured on one step of it. */
export interface PlannedStage {
  /** Or what else is learned. */
  readonly coefficients: number;
  readonly parameters?: string;
  readonly steps: number;
  readonly learningRate: number;
  readonly objective: ObjectiveName;
  /** One step, timed after one that warmed up. */
  readonly stepSeconds: number;
}

/** What a fit would take, measured on one step of each stage. */
export interface FitPlan {
  readonly suite: string;
  readonly tasks: readonly string[];
  /** Or what else is learned; in the first stage, where there are several. */
  readonly coefficients: number;
  readonly parameters?: string;
  /** Of all stages. */
  readonly steps: number;
  /** Absent where the config has none. */
  readonly stages?: readonly PlannedStage[];
  readonly needs: FitNeeds;
  /** Of a step, the mean over all stages. */
  readonly stepSeconds: number;
  /** All judged examples once, from one batch. */
  readonly evaluationSeconds: number;
  /** Steps and evaluations of the whole fit. */
  readonly totalSeconds: number;
}

/** Rows that are judged at the end of a fit: pretrained, averaging, experts, learned. */
const FINAL_EVALUATIONS = 4;

/** Throws what a fit would throw before its first step. */
export function planFit(config: RunConfig, options: SessionOptions): Promise<FitPlan> {
  return withSession(config, options, (session) => planSession(config, session, options.cacheDir));
}

/** As `planFit`, in a session that is open already. */
export async function planSession(config: RunConfig, session: Session, cacheDir: string): Promise<FitPlan> {
  const { model, encoder, tasks, suite } = session.inputs;
  const prepared = await prepareLearning(config, session, cacheDir);
  const longest = longestLength(model.lengths, prepared.examples);
  // Before a step that no memory would hold is tried.
  const models = { model, kind: encoder.kind, tasks: tasks.length, longest, heads: headsMeasure(tasks, model) };
  const needs = await fitNeeds(config, models, cacheDir);
  const stages: PlannedStage[] = [];
  for (const [index, stage] of prepared.stages.entries()) {
    const step = index === 0 ? prepared.step : await compileStep(session.engine, session.inputs, stage.config, longest);
    stages.push(await planStage(stage, session, step));
    await step.close();
  }
  const evaluationSeconds = await timedEvaluation(session, config);
  const stepSeconds = stages.reduce((sum, stage) => sum + (stage.steps * stage.stepSeconds) / config.steps, 0);
  const [first] = stages;
  return {
    suite: suite.name,
    tasks: tasks.map(({ name }) => name),
    coefficients: first?.coefficients ?? 0,
    ...(first?.parameters === undefined ? {} : { parameters: first.parameters }),
    steps: config.steps,
    ...(config.stages === null ? {} : { stages }),
    needs,
    stepSeconds,
    evaluationSeconds,
    totalSeconds: totalSeconds({ stepSeconds, evaluationSeconds }, config),
  };
}

/** One stage, or the whole fit, by one step of it. */
async function planStage({ config, data }: PreparedStage, session: Session, step: Executable): Promise<PlannedStage> {
  const { engine, inputs } = session;
  const training = trainOptions(config, engine, inputs, data, {
    step,
    signal: session.evaluation.signal,
    heads: inputs.heads,
    gradientCosine: undefined,
    look: undefined,
    evaluate: () => Promise.resolve([]),
  });
  const { parametrisation, optimizer, heads_learning_rate } = config;
  const ofWeights = parametrisationOf(config);
  const ofHeads = training.heads?.size ?? 0;
  const isScalarAlone = ofWeights === undefined && ofHeads === 0;
  const learned = ofWeights && (await openParametrised(inputs.bundle, ofWeights));
  const oneStep = await (learned === undefined ? scalarStep(step, config, inputs) : weightStep(step, config, learned));
  const lengths = lengthsOfSteps(config, inputs, data.examples);
  return {
    coefficients: (learned?.size ?? inputs.tasks.length * inputs.grouping.groups.length) + ofHeads,
    ...(isScalarAlone ? {} : { parameters: stageTitle(config) }),
    steps: config.steps,
    learningRate: parametrisation === "none" ? heads_learning_rate : optimizer.learning_rate,
    objective: config.objective.name,
    stepSeconds: await timedSteps((at) => oneStep(training.inputsAt(at)), lengths),
  };
}

/** Steps and evaluations of a whole fit. */
export function totalSeconds(
  { stepSeconds, evaluationSeconds }: Pick<FitPlan, "stepSeconds" | "evaluationSeconds">,
  { steps, data }: Pick<RunConfig, "steps" | "data">,
): number {
  const along = data.eval_every === 0 ? 0 : Math.ceil(steps / data.eval_every);
  return steps * stepSeconds + (FINAL_EVALUATIONS + along) * evaluationSeconds;
}

/** The plan in lines for people. */
export function planLines(plan: FitPlan): readonly string[] {
  const { tasks, coefficients, steps, stages, stepSeconds, evaluationSeconds } = plan;
  const ofTasks = `of ${tasks.length} tasks (${tasks.join(", ")})`;
  return [
    ...(stages === undefined
      ? [`fit: ${coefficients} ${plan.parameters ?? "coefficients"} ${ofTasks}`]
      : [`fit: ${stages.length} stages ${ofTasks}`, ...stages.map(stageLine)]),
    ...needsLines(plan.needs),
    `time: about ${duration(plan.totalSeconds)} in all: ${steps} steps of ${stepSeconds.toPrecision(2)} s (one was timed), ${evaluationSeconds.toPrecision(2)} s for judging all ${plan.needs.examples} once`,
  ];
}

function stageLine(stage: PlannedStage, index: number): string {
  const { coefficients, parameters, steps, learningRate, objective, stepSeconds } = stage;
  const what = `${coefficients} ${parameters ?? "coefficients"}, ${steps} steps at ${learningRate}`;
  return `stage ${index + 1}: ${what}, minimising ${objectiveLabel(objective)}, ${stepSeconds.toPrecision(2)} s a step`;
}

/** The first step of each length that steps have, and how many of the first steps have it. */
interface StepsOfLength {
  readonly first: number;
  count: number;
}

/** Steps that stand for all of a fit. */
const SAMPLED_STEPS = 200;

function lengthsOfSteps(
  config: RunConfig,
  { model: { lengths } }: Session["inputs"],
  examples: LearningData["examples"],
): readonly StepsOfLength[] {
  const { seed, steps, data } = config;
  if (lengths === undefined) return [{ first: 0, count: 1 }];
  const place = { seed, lengths, examplesPerTask: data.batch_size * data.batches_per_task };
  const found = new Map<number, StepsOfLength>();
  for (let step = 0; step < Math.min(steps, SAMPLED_STEPS); step++) {
    const length = stepLength(examples, { ...place, step }) ?? 0;
    const known = found.get(length);
    if (known === undefined) found.set(length, { first: step, count: 1 });
    else known.count += 1;
  }
  return [...found.values()];
}

type StepInputs = ReturnType<TrainOptions["inputsAt"]>;

/** A step of scalar coefficients, given its examples. */
async function scalarStep(step: Executable, config: RunConfig, inputs: Session["inputs"]) {
  const coefficientsNK = perTensor(inputs, () => config.coefficients.initial);
  const passes = isSharpnessAware(config.optimizer.sam) ? 2 : 1;
  return async (examples: StepInputs) => {
    for (let pass = 0; pass < passes; pass++)
      await step.run(new Map([[STEP_INPUT_COEFFICIENTS, coefficientsNK], ...examples]));
  };
}

/** A step by the gradient of the weights with all that is done outside the graph, given its examples. */
async function weightStep(step: Executable, config: RunConfig, weights: ParametrisedWeights) {
  const state = await initWeightState(weights, config.coefficients.initial);
  const { learning_rate: learningRate, weight_decay: weightDecay, ...adam } = config.optimizer;
  const [merged, into] = [weights.arrays(), weights.size === 0 ? new Map() : weights.arrays()];
  await weights.merge(state.parametersP, merged);
  return async (examples: StepInputs) => {
    const { gradients } = await runWeightStep(step, merged, examples, into);
    await weights.descend(state, gradients, learningRate, { ...adam, weightDecay }, merged);
  };
}

/** The mean over steps, one of each length timed. */
async function timedSteps(run: (at: number) => Promise<unknown>, lengths: readonly StepsOfLength[]): Promise<number> {
  const steps = lengths.reduce((sum, { count }) => sum + count, 0);
  let seconds = 0;
  for (const { first, count } of lengths) seconds += ((await timed(() => run(first))) * count) / steps;
  return seconds;
}

/** Seconds of the second time: the first warms up. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  await work();
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

async function timedEvaluation({ inputs, evaluation }: Session, config: RunConfig): Promise<number> {
  const { classifier, examples, limit } = evaluation;
  const { lengths } = inputs.model;
  const batchSize = evaluationBatch(config.data);
  const alike = new Map<number | undefined, { readonly inputs: ExampleBatch["inputs"]; count: number }>();
  for (const store of examples.values()) {
    for (const places of examplePlaces(store, batchSize, { lengths, limit })) {
      const known = alike.get(places.length);
      if (known === undefined) alike.set(places.length, { inputs: filledBatch(store, places, batchSize), count: 1 });
      else known.count += 1;
    }
  }
  assert(alike.size > 0, "no judged examples");
  await classifier.setWeights(await modelWeights(inputs.base, inputs.base, inputs.model));
  let seconds = 0;
  for (const { inputs: batch, count } of alike.values())
    seconds += (await timed(() => classifier.logits(batch))) * count;
  return seconds;
}
