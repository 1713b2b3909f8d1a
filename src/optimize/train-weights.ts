/**
 * Learning by the gradient of the merged weights: per step the weights W(parameters) are merged outside the graph, the compiled step gives losses and
 * G = dL/dW, and the parametrisation turns G into the gradient of its parameters, which Adam moves. Under the loop of all fits
 * (training-loop.ts). Parameters and moments change in place, since there may be as many as weights.
 */
import type { ExampleValues } from "../data/examples.js";
import type { Executable } from "../engine/program.js";
import { assert } from "../errors.js";
import type { AdamOptions, AdamState } from "./adam.js";
import { type EvaluationEvent, evaluationEvent, type TaskScore, type TrainEvent } from "./events.js";
import { checkLosses, requireFiniteGradients } from "./finite-losses.js";
import { type HeadsState, headsAfter, nextHeads } from "./learned-heads.js";
import type { Floats } from "./parametrisation/parametrisation.js";
import { floatsFor, type ParametrisedWeights } from "./parametrisation/parametrised-weights.js";
import { learningRateAt } from "./schedule.js";
import { type Look, type StoppingState, splitParameters, withHeadParameters } from "./stopping.js";
import {
  type Learner,
  type LoopOptions,
  type LoopResult,
  type Outcome,
  runSteps,
  stepOfSchedule,
} from "./training-loop.js";
import { runWeightStep } from "./weight-step.js";

/** What a model learned by its weights' gradient is worth. */
export interface WeightScores {
  readonly scores: readonly TaskScore[];
  /** The coefficients nearest to what was learned, [K][N]. */
  readonly coefficients: EvaluationEvent["coefficients"];
}

export interface WeightTrainOptions extends LoopOptions {
  /** The compiled `weightStepProgram`, with its frozen tensors bound. */
  readonly step: Executable;
  readonly weights: ParametrisedWeights;
  /** Names of the merged tensors. */
  readonly tensors: readonly string[];
  readonly adam: AdamOptions;
  /** The step's inputs but the weights, for a step counted from 0: a pure function, so that nothing needs restoring. */
  readonly inputsAt: (step: number) => ReadonlyMap<string, ExampleValues>;
  readonly evaluate: (
    merged: ReadonlyMap<string, Float32Array>,
    step: number,
    heads?: HeadsState,
  ) => Promise<WeightScores>;
  /** Looks at held-out examples, with `stopping`. */
  readonly look?: ((merged: ReadonlyMap<string, Float32Array>, heads?: HeadsState) => Promise<Look>) | undefined;
  /** Says in a sentence where a step with these merged tensors and inputs leaves the finite numbers; asked after a loss that is not finite. */
  readonly locateNonFinite?: (
    merged: ReadonlyMap<string, Float32Array>,
    inputs: ReadonlyMap<string, ExampleValues>,
    heads?: HeadsState,
  ) => Promise<string>;
}

/** Everything that changes during a fit. The arrays are the fit's own: later steps write into them. */
export interface WeightTrainState {
  readonly step: number;
  readonly parametersP: Floats;
  readonly adam: AdamState;
  /** The last step that was evaluated (-1: none). */
  readonly evaluatedStep: number;
  /** With a rule that may end the fit. */
  readonly stopping?: StoppingState;
  /** The merged tensors that a later stage began with, by name: what its parameters change. */
  readonly startWeights?: ReadonlyMap<string, Float32Array>;
  /** Where heads are learned, or were in a stage before. */
  readonly heads?: HeadsState;
}

export type WeightTrainResult = LoopResult<WeightTrainState>;

/** The state before the first step. */
export async function initWeightState(weights: ParametrisedWeights, initial: number): Promise<WeightTrainState> {
  const adam = { updates: 0, mean: floatsFor(weights.size), meanSquare: floatsFor(weights.size) };
  return { step: 0, parametersP: await weights.start(initial), adam, evaluatedStep: -1 };
}

/** The first state of a later stage, which changes nothing of `startWeights` yet; `weights` are opened on these. */
export async function nextWeightState(
  weights: ParametrisedWeights,
  startWeights: ReadonlyMap<string, Float32Array>,
  { step, evaluatedStep, heads }: Pick<WeightTrainState, "step" | "evaluatedStep" | "heads">,
): Promise<WeightTrainState> {
  return { ...(await initWeightState(weights, 0)), step, evaluatedStep, startWeights, ...nextHeads(heads) };
}

/** Runs the fit; yields events and returns how it ended. */
export function trainWeights(
  options: WeightTrainOptions,
  from: WeightTrainState,
): AsyncGenerator<TrainEvent, WeightTrainResult> {
  // Without parameters of theirs the weights stay what they are.
  const areLearned = options.weights.size > 0;
  const [merged, gradients] = [options.weights.arrays(), areLearned ? options.weights.arrays() : new Map()];
  let isBound = false;
  /** The step after which `merged` is what the parameters merge to. */
  let mergedStep: number | undefined;
  const mergeAt = async ({ step, parametersP }: WeightTrainState): Promise<void> => {
    if (mergedStep === undefined || (areLearned && mergedStep !== step))
      await options.weights.merge(parametersP, merged);
    mergedStep = step;
  };
  const learner: Learner<WeightTrainState> = {
    groups: options.tensors,
    parameters: options.weights.size + (options.heads?.size ?? 0),
    ...(options.title === undefined ? {} : { title: options.title }),
    keepsStates: false,
    ready: (state) => state,
    step: async (state) => {
      await mergeAt(state);
      const outcome = await step(options, state, { merged, gradients, isBound: isBound && !areLearned });
      isBound = true;
      mergedStep = outcome.next.step;
      return outcome;
    },
    evaluate: async (state) => {
      await mergeAt(state);
      const { scores, coefficients } = await options.evaluate(merged, state.step, state.heads);
      return evaluationEvent(state.step, scores, coefficients);
    },
    look: async (state) => {
      assert(options.look !== undefined, "a rule to stop by without a look");
      await mergeAt(state);
      return options.look(merged, state.heads);
    },
    parametersOf: ({ parametersP, heads }) => withHeadParameters(parametersP, heads),
    withParameters: (state, joined) => {
      const { own: parametersP, heads } = splitParameters(joined, state.parametersP.length, state.heads);
      return { ...state, parametersP, ...heads };
    },
  };
  return runSteps(options, learner, from);
}

type Arrays = ReturnType<ParametrisedWeights["arrays"]>;

const KEPT = "The last checkpoint is kept";

interface StepArrays {
  /** What the state's parameters merge to, and afterwards what the next state's do. */
  readonly merged: Arrays;
  /** Of the gradients; empty where no parameters of the weights are learned. */
  readonly gradients: Arrays;
  /** Whether the compiled step has the merged tensors already. */
  readonly isBound: boolean;
}

async function step(
  options: WeightTrainOptions,
  state: WeightTrainState,
  { merged, gradients: into, isBound }: StepArrays,
): Promise<Outcome<WeightTrainState>> {
  const number = state.step + 1;
  const inputs = options.inputsAt(state.step);
  if (state.heads !== undefined) await options.heads?.bind(options.step, state.heads);
  const given = isBound ? new Map() : merged;
  const { lossesT, gradients, outputs } = await runWeightStep(options.step, given, inputs, into);
  const advice = `${KEPT}. Lower optimizer.learning_rate`;
  const { adaptedTasks, locateNonFinite } = options;
  const place = locateNonFinite && {
    locateNonFinite: (given: typeof inputs) => locateNonFinite(merged, given, state.heads),
  };
  await checkLosses({ adaptedTasks, advice, ...place }, number, lossesT, inputs);
  requireFiniteGradients(number, gradients);
  const learningRate = learningRateAt(stepOfSchedule(number, options), options.schedule);
  // Before the weights, which change in place: a gradient of the heads that is not finite changes nothing.
  const ofHeads = headsAfter(options, state, outputs, options.adam);
  const ofWeights = await options.weights.descend(state, gradients, learningRate, options.adam, merged);
  return {
    next: {
      ...state,
      step: number,
      adam: { ...state.adam, updates: state.adam.updates + 1 },
      ...(ofHeads === undefined ? {} : { heads: ofHeads.state }),
    },
    taskLosses: [...lossesT],
    gradientNorm: Math.hypot(ofWeights, ofHeads?.gradientNorm ?? 0),
    // Of heads alone it is theirs.
    learningRate: options.weights.size === 0 ? (ofHeads?.learningRate ?? learningRate) : learningRate,
    // There are none: an evaluation says which are nearest.
    coefficientMeans: [],
  };
}
