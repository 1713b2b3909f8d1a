/**
 * Learning by the gradient of the merged weights: per step the weights W(parameters) are merged outside the graph, the compiled step gives losses and
 * G = dL/dW, and the parametrisation turns G into the gradient of its parameters, which Adam moves. Under the loop of all fits
 * (training-loop.ts). Parameters and moments change in place, since there may be as many as weights.
 */
import type { ExampleValues } from "../data/examples.js";
import type { Executable } from "../engine/program.js";
import { assert, NumericError } from "../errors.js";
import type { AdamOptions, AdamState } from "./adam.js";
import { type EvaluationEvent, evaluationEvent, type TaskScore, type TrainEvent } from "./events.js";
import { checkLosses } from "./finite-losses.js";
import type { Floats } from "./parametrisation/parametrisation.js";
import { floatsFor, type ParametrisedWeights } from "./parametrisation/parametrised-weights.js";
import { learningRateAt } from "./schedule.js";
import type { Look, StoppingState } from "./stopping.js";
import { type Learner, type LoopOptions, type LoopResult, type Outcome, runSteps } from "./training-loop.js";
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
  /** What the parameters are, for people. */
  readonly title: string;
  readonly adam: AdamOptions;
  /** The step's inputs but the weights, for a step counted from 0: a pure function, so that nothing needs restoring. */
  readonly inputsAt: (step: number) => ReadonlyMap<string, ExampleValues>;
  readonly evaluate: (merged: ReadonlyMap<string, Float32Array>) => Promise<WeightScores>;
  /** Looks at held-out examples, with `stopping`. */
  readonly look?: ((merged: ReadonlyMap<string, Float32Array>) => Promise<Look>) | undefined;
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
}

export type WeightTrainResult = LoopResult<WeightTrainState>;

/** The state before the first step. */
export async function initWeightState(weights: ParametrisedWeights, initial: number): Promise<WeightTrainState> {
  const adam = { updates: 0, mean: floatsFor(weights.size), meanSquare: floatsFor(weights.size) };
  return { step: 0, parametersP: await weights.start(initial), adam, evaluatedStep: -1 };
}

/** Runs the fit; yields events and returns how it ended. */
export function trainWeights(
  options: WeightTrainOptions,
  from: WeightTrainState,
): AsyncGenerator<TrainEvent, WeightTrainResult> {
  const [merged, gradients] = [options.weights.arrays(), options.weights.arrays()];
  const learner: Learner<WeightTrainState> = {
    groups: options.tensors,
    parameters: options.weights.size,
    title: options.title,
    keepsStates: false,
    ready: (state) => state,
    step: (state) => step(options, state, merged, gradients),
    evaluate: async (state) => {
      await options.weights.merge(state.parametersP, merged);
      const { scores, coefficients } = await options.evaluate(merged);
      return evaluationEvent(state.step, scores, coefficients);
    },
    look: async (state) => {
      assert(options.look !== undefined, "a rule to stop by without a look");
      await options.weights.merge(state.parametersP, merged);
      return options.look(merged);
    },
    parametersOf: ({ parametersP }) => parametersP,
    withParameters: (state, parametersP) => ({ ...state, parametersP }),
  };
  return runSteps(options, learner, from);
}

type Arrays = ReturnType<ParametrisedWeights["arrays"]>;

const KEPT = "The last checkpoint is kept";

async function step(
  options: WeightTrainOptions,
  state: WeightTrainState,
  merged: Arrays,
  into: Arrays,
): Promise<Outcome<WeightTrainState>> {
  const number = state.step + 1;
  await options.weights.merge(state.parametersP, merged);
  const inputs = options.inputsAt(state.step);
  const { lossesT, gradients } = await runWeightStep(options.step, merged, inputs, into);
  const advice = `${KEPT}. Lower optimizer.learning_rate`;
  await checkLosses({ adaptedTasks: options.adaptedTasks, advice }, number, lossesT, inputs);
  checkGradients(number, gradients);
  const learningRate = learningRateAt(number, options.schedule);
  const gradientNorm = await options.weights.descend(state, gradients, learningRate, options.adam);
  return {
    next: { ...state, step: number, adam: { ...state.adam, updates: state.adam.updates + 1 } },
    taskLosses: [...lossesT],
    gradientNorm,
    learningRate,
    // There are none: an evaluation says which are nearest.
    coefficientMeans: [],
  };
}

/** Before any parameter is moved: what is kept after a failure is the state before the step. */
function checkGradients(step: number, gradients: ReadonlyMap<string, Float32Array>): void {
  for (const [name, gradientS] of gradients) {
    const bad = gradientS.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0)
      throw new NumericError(
        `step ${step}: the gradient of ${name} is ${gradientS[bad]} at element ${bad}; what was learned until step ${step - 1} is kept`,
      );
  }
}
