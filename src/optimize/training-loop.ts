/**
 * The loop of every fit, whatever it learns: evaluations, steps, checkpoints, and an end that loses nothing. An async generator of events that knows
 * no tracker, console or file. What a step does is its learner's: train.ts for coefficients, train-weights.ts for G = dL/dW.
 */
import { UserError } from "../errors.js";
import type { ObjectiveName } from "../objective/catalog.js";
import type { EndEvent, EvaluationEvent, TrainEvent, TrainState } from "./events.js";
import { LossError } from "./finite-losses.js";
import type { LearnedHeads } from "./learned-heads.js";
import type { Floats } from "./parametrisation/parametrisation.js";
import type { ScheduleOptions } from "./schedule.js";
import {
  afterLook,
  hasStopped,
  isLookDue,
  type Look,
  type StoppingOptions,
  type StoppingOutcome,
  stoppingOutcome,
} from "./stopping.js";

/** Where the steps of a stage lie in a fit of several, whose steps are counted through. */
export interface StagePlace {
  /** From 0. */
  readonly index: number;
  readonly count: number;
  /** Steps of the stages before it. */
  readonly stepsBefore: number;
  /** Steps of all stages. */
  readonly stepsOfAll: number;
  /** When the fit began, by the clock. */
  readonly startedMs: number;
}

/** What all fits have. */
export interface LoopOptions {
  /** Of this stage, whose first step is the schedule's first. */
  readonly schedule: ScheduleOptions;
  /** Heads that are learned too, of which every state then has the numbers, and the top of the schedule for them. Default: none. */
  readonly heads?: LearnedHeads | undefined;
  readonly headsLearningRate?: number | undefined;
  /** What is learned, for people, where it is not coefficients of tensors alone. */
  readonly title?: string;
  /** What the compiled step minimises. */
  readonly objective: ObjectiveName;
  /** Tasks whose objective is minimised, in the order of the compiled step. */
  readonly adaptedTasks: readonly string[];
  /** What these are, for people: "images", "texts". */
  readonly examples: string;
  readonly imagesPerStep: number;
  /** Parts of a step that run one after another to save memory. */
  readonly passesPerStep: number;
  /** Weight of each task's loss in the minimised sum. */
  readonly taskWeight: number;
  /** Steps between evaluations, the first before any step; 0 for none during the fit. */
  readonly evaluateEvery: number;
  /** Steps between checkpoints, 0 for one at the end only. */
  readonly checkpointEvery: number;
  /** When looks at held-out examples end the fit; default: never. */
  readonly stopping?: StoppingOptions | undefined;
  /** When aborted, the step under way is finished and the fit ends as interrupted. */
  readonly signal: AbortSignal;
  /** Milliseconds now; passed in so that tests are deterministic. */
  readonly clock: () => number;
  /** Absent where the fit has no stages. */
  readonly stage?: StagePlace | undefined;
}

/** The step of the schedule: a stage counts its own. */
export const stepOfSchedule = (step: number, { stage }: Pick<LoopOptions, "stage">): number =>
  step - (stage?.stepsBefore ?? 0);

/** What a step leaves. */
export interface Outcome<State> {
  readonly next: State;
  readonly taskLosses: readonly number[];
  readonly gradientNorm: number;
  readonly learningRate: number;
  readonly coefficientMeans: readonly number[];
}

export interface Learner<State> {
  readonly groups: readonly string[];
  readonly parameters: number;
  /** What they are, where they are no coefficients of tensors. */
  readonly title?: string;
  /** Whether a state stays what it was when steps go on from it, so that a fit can end at an earlier one. */
  readonly keepsStates: boolean;
  /** The state as the next step takes it. */
  ready(state: State): State;
  /** One step. `judged` is the last state whose loss is known to be finite, or the first one. Throws UserError. */
  step(state: State, judged: State): Promise<Outcome<State>>;
  evaluate(state: State): Promise<EvaluationEvent>;
  /** One look at held-out examples, where the options have a rule. */
  look(state: State): Promise<Look>;
  /** What is learned, as it is in this state; and the state with other values of it. */
  parametersOf(state: State): Floats;
  withParameters(state: State, parametersP: Floats): State;
}

export interface LoopResult<State> {
  /** The last good state, whatever ended the fit: after a loss that is not finite the one before, whose loss was. */
  readonly state: State;
  readonly reason: EndEvent["reason"];
  /** Why the fit failed: a loss or gradient that is not finite, named by step, task and layer, or a file that others changed. */
  readonly failure?: UserError;
  /** Of a finished fit with a rule: `state` has the parameters of its best step. */
  readonly stopping?: StoppingOutcome;
}

/** Runs the fit; yields events and returns how it ended, so that a failure or an abort loses nothing. */
export async function* runSteps<State extends TrainState>(
  options: LoopOptions,
  learner: Learner<State>,
  from: State,
): AsyncGenerator<TrainEvent, LoopResult<State>> {
  const { stage, clock } = options;
  const started = clock();
  const lastStep = (stage?.stepsBefore ?? 0) + options.schedule.steps;
  const steps = stage?.stepsOfAll ?? options.schedule.steps;
  yield {
    type: "start",
    objective: options.objective,
    tasks: options.adaptedTasks,
    groups: learner.groups,
    steps,
    ...(stage === undefined ? {} : { stage: { number: stage.index + 1, of: stage.count, lastStep } }),
    trainableCoefficients: learner.parameters,
    ...(learner.title === undefined ? {} : { parameters: learner.title }),
    examples: options.examples,
    imagesPerStep: options.imagesPerStep,
    passesPerStep: options.passesPerStep,
  };
  let state = from;
  let judged = from;
  let evaluatingMs = 0;
  let keptStep = from.step;
  let failure: UserError | undefined;
  for (;;) {
    if (isEvaluationDue(options, state, lastStep)) {
      const evaluationStarted = clock();
      const event = await unlessAborted(options, () => learner.evaluate(state));
      if (event !== undefined) {
        yield event;
        state = { ...state, evaluatedStep: state.step };
      }
      evaluatingMs += clock() - evaluationStarted;
    }
    if (isLookDue(options.stopping, lastStep, state)) {
      const lookStarted = clock();
      const seen = await unlessAborted(options, () => learner.look(state));
      if (seen !== undefined) {
        const stopping = afterLook(state, seen, learner.parametersOf(state));
        state = { ...state, stopping };
        yield lookEvent(options, state.step, seen, stopping.bestStep);
      }
      evaluatingMs += clock() - lookStarted;
    }
    const isOver = state.step >= lastStep || hasStopped(options.stopping, state) || options.signal.aborted;
    const isKept = isOver || (options.checkpointEvery > 0 && state.step % options.checkpointEvery === 0);
    if (isKept && state.step > keptStep) {
      yield { type: "checkpoint", step: state.step, state };
      keptStep = state.step;
    }
    if (isOver) break;
    const stepStarted = clock();
    state = learner.ready(state);
    const outcome = await learner.step(state, judged).catch(onlyUserError);
    if (outcome instanceof UserError) {
      failure = outcome;
      if (outcome instanceof LossError && learner.keepsStates) state = judged;
      const isSound = learner.keepsStates || !(outcome instanceof LossError);
      if (isSound && state.step > keptStep) yield { type: "checkpoint", step: state.step, state };
      break;
    }
    const { next, taskLosses, gradientNorm, learningRate, coefficientMeans } = outcome;
    judged = state;
    state = next;
    const stepMs = Math.max(clock() - stepStarted, 0.001);
    const meanMs = (clock() - started - evaluatingMs) / (state.step - from.step);
    yield {
      type: "step",
      step: state.step,
      ...(stage === undefined ? {} : { stage: stage.index + 1 }),
      loss: options.taskWeight * taskLosses.reduce((a, b) => a + b, 0),
      taskLosses,
      gradientNorm,
      learningRate,
      coefficientMeans,
      imagesPerSecond: (options.imagesPerStep * 1000) / stepMs,
      secondsLeft: ((steps - state.step) * meanMs) / 1000,
    };
  }
  const early = failure === undefined ? "interrupted" : "failed";
  const isAtEnd = state.step >= lastStep || (failure === undefined && hasStopped(options.stopping, state));
  const reason = isAtEnd ? "finished" : early;
  // A stage that others follow is not the end of the fit.
  const isEnd = reason !== "finished" || lastStep === steps;
  if (isEnd) yield { type: "end", step: state.step, reason, seconds: (clock() - (stage?.startedMs ?? started)) / 1000 };
  const stopping = reason === "finished" ? stoppingOutcome(options.stopping, state) : undefined;
  if (stopping !== undefined && state.stopping !== undefined)
    state = learner.withParameters(state, state.stopping.bestP);
  return {
    state,
    reason,
    ...(failure === undefined ? {} : { failure }),
    ...(stopping === undefined ? {} : { stopping }),
  };
}

function lookEvent({ adaptedTasks: tasks }: LoopOptions, step: number, { score, perTask }: Look, bestStep: number) {
  return { type: "look", step, tasks, score, taskScores: perTask, bestStep } as const;
}

/** The last step is judged after the fit, with everything else, and that of a stage with the next. */
function isEvaluationDue(
  { evaluateEvery, signal }: LoopOptions,
  { step, evaluatedStep }: TrainState,
  lastStep: number,
): boolean {
  const isMoment = evaluateEvery > 0 && step % evaluateEvery === 0 && step < lastStep;
  return isMoment && evaluatedStep < step && !signal.aborted;
}

function onlyUserError(error: unknown): UserError {
  if (error instanceof UserError) return error;
  throw error;
}

/** What is found; undefined when the abort came meanwhile, since what was learned matters more than what it is worth. */
async function unlessAborted<Found>({ signal }: LoopOptions, find: () => Promise<Found>): Promise<Found | undefined> {
  if (signal.aborted) return undefined;
  try {
    return await find();
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}
