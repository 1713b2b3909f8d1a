/** From a config to what the trainer takes: the compiled step with its frozen tensors, the schedule and the examples. */
import type { RunConfig } from "../../config/schema.js";
import { stageTitle } from "../../config/stages.js";
import type { ExampleStore } from "../../data/examples.js";
import { kindOf } from "../../data/kinds.js";
import { type Engine, type Executable, type Program, sizeOf } from "../../engine/program.js";
import { ConfigError } from "../../errors.js";
import type { Head } from "../../model/heads.js";
import { isOfFeatures, type ObjectiveFacts } from "../../objective/catalog.js";
import { objectiveOf } from "../../objective/objectives.js";
import { compileByLength } from "../../optimize/by-length.js";
import { type HeadsState, headsOfState, learnedHeadNames, openLearnedHeads } from "../../optimize/learned-heads.js";
import { microBatched } from "../../optimize/micro-batches.js";
import { locateNonFinite, locateNonFiniteWeights, type SuspectStep } from "../../optimize/non-finite.js";
import { parametrisationOf } from "../../optimize/parametrisation/registry.js";
import { longestLength, stepInputs, type Targets } from "../../optimize/step-inputs.js";
import { microBatches } from "../../optimize/step-memory.js";
import { type StepProgramOptions, stepProgram, stepSources } from "../../optimize/step-program.js";
import type { TrainOptions } from "../../optimize/train.js";
import type { LoopOptions, StagePlace } from "../../optimize/training-loop.js";
import { weightStepProgram, weightStepSources } from "../../optimize/weight-step.js";
import { constraintOf } from "../records/records.js";
import { headsMeasure, type Inputs } from "../session/inputs.js";
import { learningBytes } from "./fit-needs.js";

/**
 * Compiles the step of `config`, in as many passes as its memory needs, and binds the bundle and the heads to it. For a model with lengths each is
 * compiled when a step first has it, and `longest` is the longest that a step over the examples can have. `config` is of one stage.
 */
export async function compileStep(
  engine: Engine,
  inputs: Inputs,
  config: RunConfig,
  longest?: number,
  stage?: StagePlace,
): Promise<Executable> {
  const { heads, model } = inputs;
  const { options, passes } = stepOf(engine, inputs, config, longest, stage);
  const objective = objectiveOf(config.objective.name);
  const isScalar = parametrisationOf(config) === undefined;
  requireWholeTensors(engine, inputs, config);
  requireLearnableHeads(config);
  const program = (length?: number): Program =>
    (isScalar ? stepProgram : weightStepProgram)({
      ...options,
      length,
      learnedHeads: learnedHeadNames(heads, config.heads),
      learnsWeights: config.parametrisation !== "none",
      taskWeight: taskWeight(config, heads.length),
      targets: stepTargetsOf(objective),
      loss: (logitsBC, targetsBC) => objective.loss(logitsBC, config.objective, targetsBC),
    });
  const step = await compileByLength(engine, model, heads.length * options.examplesPerTask, program);
  await step.bind(isScalar ? stepSources(options) : weightStepSources(options));
  const examples = heads.map(() => options.examplesPerTask * passes);
  return microBatched(step, examples, passes);
}

/** What a step is given besides its examples. */
function stepTargetsOf(objective: ObjectiveFacts): NonNullable<StepProgramOptions["targets"]> {
  if (objective.targets === "none") return "none";
  return isOfFeatures(objective) ? "features" : "probabilities";
}

/** Throws ConfigError for an engine that cannot hold a merged tensor in one piece, where the config needs its gradient. */
export function requireWholeTensors(
  { device, maxTensorBytes = Number.POSITIVE_INFINITY }: Engine,
  { model }: Inputs,
  config: RunConfig,
): void {
  if (parametrisationOf(config) === undefined) return;
  const large = model.tensors.find(({ shape }) => Float32Array.BYTES_PER_ELEMENT * sizeOf(shape) > maxTensorBytes);
  if (large === undefined) return;
  throw new ConfigError(
    `parametrisation: expected tensors of at most ${maxTensorBytes} bytes on ${device}, found ${large.name} with ${Float32Array.BYTES_PER_ELEMENT * sizeOf(large.shape)}; use device=cpu or parametrisation=scalar`,
  );
}

/** Throws ConfigError for heads that the objective of this stage, from outside the package, does not look at. */
function requireLearnableHeads({ heads, objective }: RunConfig): void {
  if (heads !== "trained" || !isOfFeatures(objectiveOf(objective.name))) return;
  throw new ConfigError(
    `objective.name: expected an objective of predictions with heads trained, found ${objective.name}, which is one of features; set heads=frozen or heads=surgery`,
  );
}

/** What the step's program is made of but for the objective, and its passes. */
function stepOf(
  engine: Engine,
  inputs: Inputs,
  config: RunConfig,
  longest: number | undefined,
  stage: StagePlace | undefined,
): SuspectStep {
  const { bundle, heads, model } = inputs;
  const passes = passesOf(config, inputs, longest, stage);
  return {
    engine,
    options: {
      bundle,
      model,
      heads,
      examplesPerTask: examplesPerTask(config) / passes,
      maxTensorBytes: engine.maxTensorBytes,
    },
    passes,
  };
}

/** Passes of a step: 1, or more to stay inside the config's memory_gb. */
function passesOf(
  config: RunConfig,
  { bundle, heads, model, tasks }: Inputs,
  longest: number | undefined,
  stage: StagePlace | undefined,
): number {
  const models = { model, tasks: bundle.tasks.length, heads: headsMeasure(tasks, model) };
  return microBatches(config.memory_gb * 1e9, examplesPerTask(config), {
    ...{ model, longest },
    tasks: bundle.tasks.length,
    adaptedTasks: heads.length,
    isHalf: config.task_vectors.dtype === "float16",
    besidesBytes: learningBytes(config, models, (stage?.index ?? 0) > 0),
  });
}

/** What is learned from: unlabelled examples and, where the objective has them, targets of each. */
export interface LearningData {
  readonly examples: ReadonlyMap<string, ExampleStore>;
  readonly targets: ReadonlyMap<string, Targets>;
  /** Those by which it is seen when to stop, of a config with a rule; nothing is learned from them. */
  readonly heldOut?: ReadonlyMap<string, ExampleStore>;
}

/** All batches of a task go through one forward. */
function examplesPerTask({ data }: RunConfig): number {
  return data.batch_size * data.batches_per_task;
}

/** The summed means of a task's batches are batches_per_task times the mean over all their examples. */
function taskWeight({ data, objective }: RunConfig, tasks: number): number {
  return data.batches_per_task / (objective.reduction === "mean" ? tasks : 1);
}

/** What the trainers of all parametrisations are given of a config and its examples; `targets` is empty without targets. */
export function loopOptions(
  config: RunConfig,
  inputs: Inputs,
  { examples, targets }: LearningData,
  { signal, stage, heads }: Pick<LoopOptions, "signal" | "stage"> & { readonly heads: readonly Head[] },
): LoopOptions & Pick<TrainOptions, "adam" | "inputsAt"> {
  const { optimizer, seed, steps } = config;
  const perTask = examplesPerTask(config);
  const { lengths } = inputs.model;
  return {
    adam: { ...optimizer, weightDecay: optimizer.weight_decay },
    schedule: {
      schedule: optimizer.schedule,
      learningRate: optimizer.learning_rate,
      warmupSteps: optimizer.warmup_steps,
      steps,
    },
    heads: openLearnedHeads(heads, config.heads),
    headsLearningRate: config.heads_learning_rate,
    objective: config.objective.name,
    adaptedTasks: [...examples.keys()],
    inputsAt: (step) => stepInputs(examples, targets, { examplesPerTask: perTask, seed, step, lengths }),
    examples: kindOf(inputs.encoder.kind).many,
    imagesPerStep: perTask * examples.size,
    passesPerStep: passesOf(config, inputs, longestLength(lengths, examples), stage),
    taskWeight: taskWeight(config, examples.size),
    evaluateEvery: config.data.eval_every,
    ...(config.stopping.rule === "none" ? {} : { stopping: config.stopping }),
    checkpointEvery: config.checkpoint_every,
    signal,
    stage,
    clock: () => performance.now(),
  };
}

/** Where a step of weights leaves the finite numbers, for `trainWeights`. */
export function locatorOfWeights(
  config: RunConfig,
  engine: Engine,
  inputs: Inputs,
  { examples }: LearningData,
  stage: StagePlace | undefined,
) {
  const suspect = stepOf(engine, inputs, config, longestLength(inputs.model.lengths, examples), stage);
  const { many } = kindOf(inputs.encoder.kind);
  return (
    merged: ReadonlyMap<string, Float32Array>,
    given: ReturnType<TrainOptions["inputsAt"]>,
    heads?: HeadsState,
  ): Promise<string> => locateNonFiniteWeights(withHeads(suspect, heads), merged, given, many);
}

function withHeads(suspect: SuspectStep, heads: HeadsState | undefined): SuspectStep {
  if (heads === undefined) return suspect;
  return { ...suspect, options: { ...suspect.options, heads: headsOfState(suspect.options.heads, heads) } };
}

/** The trainer's options for a compiled step. `evaluate` gives accuracies in percent for constrained coefficients [K, L]. */
export function trainOptions(
  config: RunConfig,
  engine: Engine,
  inputs: Inputs,
  data: LearningData,
  {
    step,
    evaluate,
    look,
    gradientCosine,
    signal,
    stage,
    heads,
  }: Pick<TrainOptions, "step" | "evaluate" | "look" | "gradientCosine" | "signal" | "stage"> & {
    readonly heads: readonly Head[];
  },
): TrainOptions {
  const longest = longestLength(inputs.model.lengths, data.examples);
  const { many } = kindOf(inputs.encoder.kind);
  return {
    ...loopOptions(config, inputs, data, { signal, stage, heads }),
    title: stageTitle(config),
    step,
    tasks: inputs.bundle.tasks,
    grouping: inputs.grouping,
    constraint: constraintOf(config),
    initial: config.coefficients.initial,
    restartEvery: config.coefficients.restart_every,
    sam: config.optimizer.sam,
    evaluate,
    look,
    gradientCosine,
    locateNonFinite: (stepInputs, own) =>
      locateNonFinite(withHeads(stepOf(engine, inputs, config, longest, stage), own), stepInputs, many),
  };
}
