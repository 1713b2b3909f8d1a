/**
 * The optimisation of the coefficients: an async generator of events that knows no tracker, console or file.
 * Per step: constrain, run the compiled step on the next images of every task, sum the gradient over groups, Adam.
 * Source: AdaMerging (Yang et al. 2024), algorithm 1. K tasks, L groups, N tensors.
 */
import type { ExampleValues } from "../data/examples.js";
import type { Executable } from "../engine/program.js";
import { assert, NumericError, UserError } from "../errors.js";
import {
  type CoefficientMatrix,
  type Constraint,
  constrain,
  constraintGradient,
  rowsOf,
  toGroupGradient,
  toTensorCoefficients,
} from "../merge/coefficients.js";
import type { Grouping } from "../merge/groups.js";
import { fromStart, gradientOfChange, RESTARTED_CHANGE } from "../merge/restarts.js";
import type { ObjectiveName } from "../objective/catalog.js";
import { type AdamOptions, type AdamState, initAdam, stepAdam } from "./adam.js";
import { type EndEvent, type EvaluationEvent, evaluationEvent, type TaskScore, type TrainEvent } from "./events.js";
import { learningRateAt, type ScheduleOptions } from "./schedule.js";
import { STEP_INPUT_COEFFICIENTS, STEP_OUTPUT_GRADIENT, STEP_OUTPUT_LOSSES } from "./step-program.js";

type StepInputs = ReadonlyMap<string, ExampleValues>;

export interface TrainOptions {
  /** The compiled `stepProgram`, with its frozen tensors bound. */
  readonly step: Executable;
  /** The task vectors' names: the K axis. */
  readonly tasks: readonly string[];
  readonly grouping: Grouping;
  readonly constraint: Constraint;
  readonly initial: number;
  /** Steps between restarts from the merged model; 0 for none. */
  readonly restartEvery: number;
  readonly adam: AdamOptions;
  readonly schedule: ScheduleOptions;
  /** What the compiled step minimises. */
  readonly objective: ObjectiveName;
  /** Tasks whose objective is minimised, in the order of the compiled step. */
  readonly adaptedTasks: readonly string[];
  /**
   * The step's inputs but the coefficients (images, and targets where the objective has them) for a step counted from 0: a
   * pure function, so that nothing needs restoring.
   */
  readonly inputsAt: (step: number) => StepInputs;
  readonly imagesPerStep: number;
  /** Parts of a step that run one after another to save memory. */
  readonly passesPerStep: number;
  /** Weight of each task's loss in the minimised sum. */
  readonly taskWeight: number;
  /** Steps between evaluations, the first before any step; 0 for none during the fit. */
  readonly evaluateEvery: number;
  /** Steps between checkpoints, 0 for one at the end only. */
  readonly checkpointEvery: number;
  readonly evaluate: (valuesKL: CoefficientMatrix) => Promise<readonly TaskScore[]>;
  /** Asked at every evaluation, for the report. */
  readonly gradientCosine?: ((valuesKL: CoefficientMatrix) => Promise<number>) | undefined;
  /** Says in a sentence where a step with these inputs leaves the finite numbers; asked after a loss that is not finite. */
  readonly locateNonFinite?: (inputs: StepInputs) => Promise<string>;
  /** When aborted, the step under way is finished and the fit ends as interrupted. */
  readonly signal: AbortSignal;
  /** Milliseconds now; passed in so that tests are deterministic. */
  readonly clock: () => number;
}

/** Everything that changes during a fit. */
export interface TrainState {
  readonly step: number;
  /** What the optimiser moves, [K, L]: raw coefficients, or since a restart the raw change from `startKL`. */
  readonly rawKL: CoefficientMatrix;
  /** The coefficients of the last restart, [K, L]. */
  readonly startKL?: CoefficientMatrix;
  readonly adam: AdamState;
  /** The last step that was evaluated (-1: none), so that a fit stopped before an evaluation makes it when it goes on. */
  readonly evaluatedStep: number;
}

/** The state before the first step. */
export function initTrainState(options: Pick<TrainOptions, "tasks" | "grouping" | "initial">): TrainState {
  const size = options.tasks.length * options.grouping.groups.length;
  return { step: 0, rawKL: new Float64Array(size).fill(options.initial), adam: initAdam(size), evaluatedStep: -1 };
}

/** The coefficients [K, L] that merge the weights in a state. */
export function coefficientsOf(
  { rawKL, startKL }: Pick<TrainState, "rawKL" | "startKL">,
  tasks: number,
  constraint: Constraint,
): CoefficientMatrix {
  return fromStart(constrain(rawKL, tasks, constraint), startKL, tasks);
}

/** The state with the merged model as its base, where it is time for that. */
function restarted({ restartEvery, tasks, constraint }: TrainOptions, state: TrainState): TrainState {
  if (restartEvery === 0 || state.step === 0 || state.step % restartEvery !== 0) return state;
  const size = state.rawKL.length;
  return {
    ...state,
    startKL: coefficientsOf(state, tasks.length, constraint),
    rawKL: new Float64Array(size).fill(RESTARTED_CHANGE),
    adam: initAdam(size),
  };
}

export interface TrainResult {
  /** The last good state, whatever ended the fit: after a loss that is not finite the one before, whose loss was. */
  readonly state: TrainState;
  readonly reason: EndEvent["reason"];
  /** Why the fit failed: a loss or gradient that is not finite, named by step, task and layer, or a file that others changed. */
  readonly failure?: UserError;
}

/** A loss that is not finite: what the coefficients under judgement are worth. */
class LossError extends NumericError {}

/** Runs the fit; yields events and returns how it ended, so that a failure or an abort loses nothing. */
export async function* train(options: TrainOptions, from: TrainState): AsyncGenerator<TrainEvent, TrainResult> {
  const { schedule, tasks, grouping, clock } = options;
  const started = clock();
  yield {
    type: "start",
    objective: options.objective,
    tasks: options.adaptedTasks,
    groups: grouping.groups,
    steps: schedule.steps,
    trainableCoefficients: from.rawKL.length,
    imagesPerStep: options.imagesPerStep,
    passesPerStep: options.passesPerStep,
  };
  let state = from;
  let judged = from;
  let evaluatingMs = 0;
  let keptStep = from.step;
  let failure: UserError | undefined;
  for (;;) {
    if (isEvaluationDue(options, state)) {
      const evaluationStarted = clock();
      const event = await evaluation(options, state);
      if (event !== undefined) {
        yield event;
        state = { ...state, evaluatedStep: state.step };
      }
      evaluatingMs += clock() - evaluationStarted;
    }
    const isOver = state.step >= schedule.steps || options.signal.aborted;
    const isKept = isOver || (options.checkpointEvery > 0 && state.step % options.checkpointEvery === 0);
    if (isKept && state.step > keptStep) {
      yield { type: "checkpoint", step: state.step, state };
      keptStep = state.step;
    }
    if (isOver) break;
    const stepStarted = clock();
    state = restarted(options, state);
    const outcome = await trainStep(options, state, judged).catch(onlyUserError);
    if (outcome instanceof UserError) {
      failure = outcome;
      if (outcome instanceof LossError) state = judged;
      if (state.step > keptStep) yield { type: "checkpoint", step: state.step, state };
      break;
    }
    const { next, taskLosses, gradientNorm, learningRate, valuesKL } = outcome;
    judged = state;
    state = next;
    const stepMs = Math.max(clock() - stepStarted, 0.001);
    const meanMs = (clock() - started - evaluatingMs) / (state.step - from.step);
    yield {
      type: "step",
      step: state.step,
      loss: options.taskWeight * taskLosses.reduce((a, b) => a + b, 0),
      taskLosses,
      gradientNorm,
      learningRate,
      coefficientMeans: meansPerTask(valuesKL, tasks.length),
      imagesPerSecond: (options.imagesPerStep * 1000) / stepMs,
      secondsLeft: ((schedule.steps - state.step) * meanMs) / 1000,
    };
  }
  const early = failure === undefined ? "interrupted" : "failed";
  const reason = state.step < schedule.steps ? early : "finished";
  yield { type: "end", step: state.step, reason, seconds: (clock() - started) / 1000 };
  return { state, reason, ...(failure === undefined ? {} : { failure }) };
}

/** The last step is judged after the fit, with everything else. */
function isEvaluationDue(
  { evaluateEvery, schedule, signal }: TrainOptions,
  { step, evaluatedStep }: TrainState,
): boolean {
  const isMoment = evaluateEvery > 0 && step % evaluateEvery === 0 && step < schedule.steps;
  return isMoment && evaluatedStep < step && !signal.aborted;
}

function onlyUserError(error: unknown): UserError {
  if (error instanceof UserError) return error;
  throw error;
}

/** One step from `state`. `judged` is the last state whose loss is known to be finite, or the first one. */
async function trainStep(options: TrainOptions, state: TrainState, judged: TrainState) {
  const { tasks, grouping, constraint } = options;
  const step = state.step + 1;
  const changeKL = constrain(state.rawKL, tasks.length, constraint);
  const valuesKL = fromStart(changeKL, state.startKL, tasks.length);
  const inputs = new Map<string, ExampleValues>([
    [STEP_INPUT_COEFFICIENTS, toTensorCoefficients(valuesKL, grouping, tasks.length)],
    ...options.inputsAt(state.step),
  ]);
  const outputs = await options.step.run(inputs);
  const losses = outputs.get(STEP_OUTPUT_LOSSES);
  const perTensorNK = outputs.get(STEP_OUTPUT_GRADIENT);
  assert(losses !== undefined && perTensorNK !== undefined, "the compiled step lacks an output");
  await checkLosses(options, step, losses, inputs, judged.step);
  checkGradient(step, grouping, perTensorNK, tasks);
  const gradientKL = constraintGradient(
    state.rawKL,
    changeKL,
    gradientOfChange(toGroupGradient(perTensorNK, grouping, tasks.length), state.startKL, tasks.length),
    tasks.length,
    constraint,
  );
  const learningRate = learningRateAt(step, options.schedule);
  const updated = stepAdam(state.adam, state.rawKL, gradientKL, learningRate, options.adam);
  return {
    next: {
      ...state,
      step,
      rawKL: updated.parameters,
      adam: updated.state,
    } satisfies TrainState,
    taskLosses: [...losses],
    gradientNorm: Math.hypot(...gradientKL),
    learningRate,
    valuesKL,
  };
}

/** Evaluates the state; undefined when the abort came meanwhile, since the coefficients matter more than their accuracy. */
async function evaluation(options: TrainOptions, state: TrainState): Promise<EvaluationEvent | undefined> {
  try {
    const valuesKL = coefficientsOf(state, options.tasks.length, options.constraint);
    const scores = await options.evaluate(valuesKL);
    const cosine = await options.gradientCosine?.(valuesKL);
    return evaluationEvent(state.step, scores, rowsOf(valuesKL, options.tasks.length), cosine);
  } catch (error) {
    if (options.signal.aborted) return undefined;
    throw error;
  }
}

function meansPerTask(valuesKL: CoefficientMatrix, tasks: number): number[] {
  const groups = valuesKL.length / tasks;
  return Array.from({ length: tasks }, (_, task) =>
    valuesKL.subarray(task * groups, (task + 1) * groups).reduce((sum, value) => sum + value / groups, 0),
  );
}

async function checkLosses(
  { adaptedTasks, locateNonFinite }: TrainOptions,
  step: number,
  losses: Float32Array,
  inputs: StepInputs,
  keptStep: number,
): Promise<void> {
  const bad = adaptedTasks.filter((_, task) => !Number.isFinite(losses[task]));
  const [first] = bad;
  if (first === undefined) return;
  const others = bad.length > 1 ? ` (and of ${bad.slice(1).join(", ")})` : "";
  const place = await locateNonFinite?.(inputs).catch(
    (error: unknown) => `the layer was not found (${error instanceof Error ? error.message : String(error)})`,
  );
  throw new LossError(
    `step ${step}: the loss of task ${first}${others} is ${losses[adaptedTasks.indexOf(first)]}${place === undefined ? "" : `: ${place}`}. ` +
      `The coefficients of step ${keptStep} are kept. Lower optimizer.learning_rate or clamp the coefficients`,
  );
}

function checkGradient(step: number, grouping: Grouping, gradientNK: Float32Array, tasks: readonly string[]): void {
  const bad = gradientNK.findIndex((value) => !Number.isFinite(value));
  if (bad < 0) return;
  const tensor = grouping.tensors[Math.floor(bad / tasks.length)];
  throw new NumericError(
    `step ${step}: the gradient of task ${tasks[bad % tasks.length]} at tensor ${tensor} is ${gradientNK[bad]}; the coefficients of step ${step - 1} are kept`,
  );
}
