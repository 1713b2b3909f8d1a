/**
 * The optimisation of the coefficients, under the loop of all fits (training-loop.ts).
 * Per step: constrain, run the compiled step on the next examples of every task, sum the gradient over groups, Adam.
 * Source: AdaMerging (Yang et al. 2024), algorithm 1. K tasks, L groups, N tensors.
 */
import type { ExampleValues } from "../data/examples.js";
import type { Executable } from "../engine/program.js";
import { assert, NumericError } from "../errors.js";
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
import { type AdamOptions, type AdamState, initAdam, stepAdam } from "./adam.js";
import { type EvaluationEvent, evaluationEvent, type TaskScore, type TrainEvent } from "./events.js";
import { checkLosses } from "./finite-losses.js";
import { type HeadsState, headsAfter, nextHeads } from "./learned-heads.js";
import { isSharpnessAware, type SamOptions, uphill } from "./sam.js";
import { learningRateAt } from "./schedule.js";
import { STEP_INPUT_COEFFICIENTS, STEP_OUTPUT_GRADIENT, STEP_OUTPUT_LOSSES } from "./step-program.js";
import { type Look, type StoppingState, splitParameters, withHeadParameters } from "./stopping.js";
import {
  type Learner,
  type LoopOptions,
  type LoopResult,
  type Outcome,
  runSteps,
  stepOfSchedule,
} from "./training-loop.js";

type StepInputs = ReadonlyMap<string, ExampleValues>;

export interface TrainOptions extends LoopOptions {
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
  /** Default: plain steps. */
  readonly sam?: SamOptions;
  /**
   * The step's inputs but the coefficients (examples, and targets where the objective has them) for a step counted from 0: a
   * pure function, so that nothing needs restoring.
   */
  readonly inputsAt: (step: number) => StepInputs;
  readonly evaluate: (valuesKL: CoefficientMatrix, step: number, heads?: HeadsState) => Promise<readonly TaskScore[]>;
  /** Looks at held-out examples, with `stopping`. */
  readonly look?: ((valuesKL: CoefficientMatrix, heads?: HeadsState) => Promise<Look>) | undefined;
  /** Asked at every evaluation, for the report. */
  readonly gradientCosine?: ((valuesKL: CoefficientMatrix) => Promise<number>) | undefined;
  /** Says in a sentence where a step with these inputs leaves the finite numbers; asked after a loss that is not finite. */
  readonly locateNonFinite?: (inputs: StepInputs, heads?: HeadsState) => Promise<string>;
}

/** Everything that changes during a fit. */
export interface TrainState {
  readonly step: number;
  /** What the optimiser moves, [K, L]: raw coefficients, or since a restart the raw change from `startKL`. */
  readonly rawKL: CoefficientMatrix;
  /** The coefficients of the last restart, [K, L]. */
  readonly startKL?: CoefficientMatrix;
  readonly adam: AdamState<Float64Array>;
  /** The last step that was evaluated (-1: none), so that a fit stopped before an evaluation makes it when it goes on. */
  readonly evaluatedStep: number;
  /** With a rule that may end the fit. */
  readonly stopping?: StoppingState;
  /** Where heads are learned, or were in a stage before. */
  readonly heads?: HeadsState;
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

/** A state of the next stage: the same coefficients, a new optimiser. */
export function nextStageState({ step, rawKL, startKL, evaluatedStep, heads }: TrainState): TrainState {
  const restarted = startKL === undefined ? {} : { startKL };
  return { step, rawKL, ...restarted, adam: initAdam(rawKL.length), evaluatedStep, ...nextHeads(heads) };
}

export type TrainResult = LoopResult<TrainState>;

/** Runs the fit; yields events and returns how it ended, so that a failure or an abort loses nothing. */
export function train(options: TrainOptions, from: TrainState): AsyncGenerator<TrainEvent, TrainResult> {
  const learner: Learner<TrainState> = {
    groups: options.grouping.groups,
    parameters: from.rawKL.length + (options.heads?.size ?? 0),
    ...(options.heads === undefined ? {} : { title: options.title }),
    keepsStates: true,
    ready: (state) => restarted(options, state),
    step: (state, judged) => trainStep(options, state, judged),
    evaluate: (state) => evaluation(options, state),
    look: (state) => {
      assert(options.look !== undefined, "a rule to stop by without a look");
      return options.look(coefficientsOf(state, options.tasks.length, options.constraint), state.heads);
    },
    parametersOf: ({ rawKL, heads }) => withHeadParameters(rawKL, heads),
    withParameters: (state, parametersP) => {
      const { own, heads } = splitParameters(parametersP, state.rawKL.length, state.heads);
      return { ...state, rawKL: Float64Array.from(own), ...heads };
    },
  };
  return runSteps(options, learner, from);
}

/** One step from `state`. `judged` is the last state whose loss is known to be finite, or the first one. */
async function trainStep(options: TrainOptions, state: TrainState, judged: TrainState): Promise<Outcome<TrainState>> {
  const step = state.step + 1;
  const examples = options.inputsAt(state.step);
  const kept = `The coefficients${options.heads === undefined ? "" : " and heads"} of step ${judged.step} are kept`;
  const advice = `${kept}. Lower optimizer.learning_rate or clamp the coefficients`;
  const { locateNonFinite, adaptedTasks } = options;
  const place = locateNonFinite && {
    locateNonFinite: (inputs: StepInputs): Promise<string> => locateNonFinite(inputs, state.heads),
  };
  const check = (losses: Float32Array, inputs: StepInputs) =>
    checkLosses({ adaptedTasks, advice, ...place }, step, losses, inputs);
  const { losses, valuesKL, gradientKL, outputs } = await slopesAt(options, state, examples, check);
  const applied = isSharpnessAware(options.sam)
    ? await slopesUphill(options, options.sam, { state, gradientKL, examples })
    : gradientKL;
  const learningRate = learningRateAt(stepOfSchedule(step, options), options.schedule);
  const updated = stepAdam(state.adam, state.rawKL, applied, learningRate, options.adam);
  const ofHeads = headsAfter(options, state, outputs, options.adam);
  return {
    next: {
      ...state,
      step,
      rawKL: updated.parameters,
      adam: updated.state,
      ...(ofHeads === undefined ? {} : { heads: ofHeads.state }),
    } satisfies TrainState,
    taskLosses: [...losses],
    gradientNorm: Math.hypot(...gradientKL, ofHeads?.gradientNorm ?? 0),
    learningRate,
    coefficientMeans: meansPerTask(valuesKL, options.tasks.length),
  };
}

interface Slopes {
  readonly losses: Float32Array;
  /** Of the coefficients that merge the weights. */
  readonly valuesKL: CoefficientMatrix;
  /** Of the raw coefficients. */
  readonly gradientKL: CoefficientMatrix;
  /** All that the step gave. */
  readonly outputs: ReadonlyMap<string, Float32Array>;
}

/** Losses and gradient at the coefficients of a state. `check` throws for losses that are not finite. */
async function slopesAt(
  options: TrainOptions,
  state: TrainState,
  examples: StepInputs,
  check: (losses: Float32Array, inputs: StepInputs) => Promise<void>,
): Promise<Slopes> {
  const { tasks, grouping, constraint } = options;
  const changeKL = constrain(state.rawKL, tasks.length, constraint);
  const valuesKL = fromStart(changeKL, state.startKL, tasks.length);
  const inputs = new Map<string, ExampleValues>([
    [STEP_INPUT_COEFFICIENTS, toTensorCoefficients(valuesKL, grouping, tasks.length)],
    ...examples,
  ]);
  if (state.heads !== undefined) await options.heads?.bind(options.step, state.heads);
  const outputs = await options.step.run(inputs);
  const losses = outputs.get(STEP_OUTPUT_LOSSES);
  const perTensorNK = outputs.get(STEP_OUTPUT_GRADIENT);
  assert(losses !== undefined && perTensorNK !== undefined, "the compiled step lacks an output");
  await check(losses, inputs);
  checkGradient(state.step + 1, grouping, perTensorNK, tasks);
  const gradientKL = constraintGradient(
    state.rawKL,
    changeKL,
    gradientOfChange(toGroupGradient(perTensorNK, grouping, tasks.length), state.startKL, tasks.length),
    tasks.length,
    constraint,
  );
  return { losses, valuesKL, gradientKL, outputs };
}

/** The gradient uphill of a state whose own is known to be finite. */
async function slopesUphill(
  options: TrainOptions,
  sam: SamOptions,
  { state, gradientKL, examples }: Pick<Slopes, "gradientKL"> & { state: TrainState; examples: StepInputs },
): Promise<CoefficientMatrix> {
  const moved = { ...state, rawKL: uphill(state.rawKL, gradientKL, sam) };
  const check = async (losses: Float32Array): Promise<void> => {
    const bad = options.adaptedTasks.find((_, task) => !Number.isFinite(losses[task]));
    if (bad === undefined) return;
    throw new NumericError(
      `step ${state.step + 1}: the loss of task ${bad} is not finite where optimizer.sam.rho=${sam.rho} moves the coefficients to; those of step ${state.step} are kept. Lower optimizer.sam.rho`,
    );
  };
  return (await slopesAt(options, moved, examples, check)).gradientKL;
}

async function evaluation(options: TrainOptions, state: TrainState): Promise<EvaluationEvent> {
  const valuesKL = coefficientsOf(state, options.tasks.length, options.constraint);
  const scores = await options.evaluate(valuesKL, state.step, state.heads);
  const cosine = await options.gradientCosine?.(valuesKL);
  return evaluationEvent(state.step, scores, rowsOf(valuesKL, options.tasks.length), cosine);
}

function meansPerTask(valuesKL: CoefficientMatrix, tasks: number): number[] {
  const groups = valuesKL.length / tasks;
  return Array.from({ length: tasks }, (_, task) =>
    valuesKL.subarray(task * groups, (task + 1) * groups).reduce((sum, value) => sum + value / groups, 0),
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
