/**
 * What a fit tells the world. The trainer yields these and imports no consumer; console, run folder,
 * report and tracker read them. Order: start, then step, evaluation and checkpoint events, then end. The evaluation of the last
 * step comes after the end, from whoever judges the merged model.
 */
import type { ObjectiveName } from "../objective/catalog.js";
import type { OnProgress } from "../runtime/progress.js";
import { effectiveClasses } from "./predicted-classes.js";
import type { TrainState as CoefficientState } from "./train.js";
import type { WeightTrainState } from "./train-weights.js";

/** Everything that changes during a fit, and the stage that it is in (from 0; absent in a fit without stages). */
export type TrainState = (CoefficientState | WeightTrainState) & { readonly stage?: number };

/** What a fit tells, in the order of its steps. */
export type TrainEvent = StartEvent | StepEvent | EvaluationEvent | LookEvent | CheckpointEvent | EndEvent;

/** The first event of a fit, and of each of its stages: what it does. */
export interface StartEvent {
  readonly type: "start";
  /** What is minimised: losses of steps are its values, in its unit. */
  readonly objective: ObjectiveName;
  readonly tasks: readonly string[];
  readonly groups: readonly string[];
  /** Steps of the whole fit, all stages; the first step event has step 1. */
  readonly steps: number;
  /** Where the fit has stages: which this is, from 1, of how many, and its last step. */
  readonly stage?: { readonly number: number; readonly of: number; readonly lastStep: number };
  /** Coefficients, or the parameters that are learned in their place. */
  readonly trainableCoefficients: number;
  /** What these are, for people, where they are no coefficients of tensors: "merged weights". */
  readonly parameters?: string;
  /** What they are: "images", "texts". */
  readonly examples: string;
  /** Examples of whatever kind, as below: named when there were images alone. */
  readonly imagesPerStep: number;
  /** Parts of a step that run one after another to save memory. */
  readonly passesPerStep: number;
}

/** One step of the optimiser, as soon as it is taken. */
export interface StepEvent {
  readonly type: "step";
  readonly step: number;
  /** From 1, where the fit has stages. */
  readonly stage?: number;
  /** The minimised value: sum or mean over tasks, as configured. */
  readonly loss: number;
  /** The objective of each task, mean over its examples, in the order of `tasks`. */
  readonly taskLosses: readonly number[];
  /** L2 norm over the trainable coefficients. */
  readonly gradientNorm: number;
  readonly learningRate: number;
  /** Mean over the groups of the coefficients used in this step, per task. */
  readonly coefficientMeans: readonly number[];
  readonly imagesPerSecond: number;
  /** Of the whole fit; stages to come are taken to be as fast as this one. */
  readonly secondsLeft: number;
}

/** The model as it is after `step`, judged on examples. */
export interface EvaluationEvent {
  readonly type: "evaluation";
  readonly step: number;
  /** The tasks that were judged, which need not be those that are learned from. */
  readonly tasks: readonly string[];
  /** Mean entropy of the predictions, in nats, in the order of `tasks`. */
  readonly entropyNats: readonly number[];
  /** How many equally likely classes the predictions amount to (predicted-classes.ts), in the order of `tasks`. */
  readonly effectiveClasses?: readonly number[];
  /** Against the true classes; absent where there are no labels. */
  readonly labelled?: {
    /** Accuracy in percent, in the order of `tasks`. */
    readonly accuracyPercent: readonly number[];
    readonly averagePercent: number;
    /** Mean cross-entropy of the true classes, in nats, in the order of `tasks`. */
    readonly lossNats: readonly number[];
  };
  /** The constrained coefficients that were evaluated, [K][L]. */
  readonly coefficients: readonly (readonly number[])[];
  /** Cosine of the gradients of the objective and of the labelled loss in the coefficients, where that is looked at. */
  readonly gradientCosine?: number;
}

/** A look at held-out examples without labels, by the rule that may end the fit. */
export interface LookEvent {
  readonly type: "look";
  readonly step: number;
  readonly tasks: readonly string[];
  /** The rule's; lower is better. */
  readonly score: number;
  /** In the order of `tasks`. */
  readonly taskScores: readonly number[];
  /** The step with the lowest score so far. */
  readonly bestStep: number;
}

/** What an evaluation says of one task. */
export interface TaskScore {
  readonly task: string;
  readonly entropyNats: number;
  /** Predicted class per example, where these are known. */
  readonly predictions?: Int32Array;
  /** Absent where there are no labels. */
  readonly accuracyPercent?: number;
  readonly lossNats?: number;
}

/** The event of an evaluation after `step` steps. */
export function evaluationEvent(
  step: number,
  scores: readonly TaskScore[],
  coefficients: EvaluationEvent["coefficients"],
  gradientCosine?: number,
): EvaluationEvent {
  const labelled = labelledScores(scores);
  return {
    type: "evaluation",
    step,
    tasks: scores.map(({ task }) => task),
    entropyNats: scores.map(({ entropyNats }) => entropyNats),
    ...effectiveClassesOf(scores),
    ...(labelled === undefined ? {} : { labelled }),
    coefficients,
    ...(gradientCosine === undefined ? {} : { gradientCosine }),
  };
}

/** Nothing unless every task's predictions are known. */
function effectiveClassesOf(scores: readonly TaskScore[]): Pick<EvaluationEvent, "effectiveClasses"> {
  const predictions = scores.flatMap((score) => (score.predictions === undefined ? [] : [score.predictions]));
  return predictions.length < scores.length || scores.length === 0
    ? {}
    : { effectiveClasses: predictions.map(effectiveClasses) };
}

/** Undefined unless every task has labels. */
function labelledScores(scores: readonly TaskScore[]): EvaluationEvent["labelled"] {
  const accuracyPercent = scores.flatMap((score) => score.accuracyPercent ?? []);
  const lossNats = scores.flatMap((score) => score.lossNats ?? []);
  if (accuracyPercent.length < scores.length || lossNats.length < scores.length) return undefined;
  const averagePercent = accuracyPercent.reduce((a, b) => a + b, 0) / accuracyPercent.length;
  return { accuracyPercent, averagePercent, lossNats };
}

/** A state to keep: a fit that starts from it goes on as if it had not stopped. */
export interface CheckpointEvent {
  readonly type: "checkpoint";
  readonly step: number;
  readonly state: TrainState;
}

/** The last event of a fit: the last step that was taken, why there are no more, and the seconds since the start. */
export interface EndEvent {
  readonly type: "end";
  readonly step: number;
  readonly reason: "finished" | "interrupted" | "failed";
  readonly seconds: number;
}

/** A consumer of a fit's events that tells of its steps as one piece. */
export function stepsAsPiece(onProgress: OnProgress | undefined, what: string): (event: TrainEvent) => void {
  let total = 0;
  return (event) => {
    if (event.type === "start") total = event.steps;
    if (event.type === "step") onProgress?.({ what, done: event.step, total, unit: "steps" });
    if (event.type === "end") onProgress?.({ what, done: total, total });
  };
}
