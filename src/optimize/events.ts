/**
 * What a fit tells the world. The trainer yields these and imports no consumer; console, run folder,
 * report and tracker read them. Order: start, then step and evaluation events, then end.
 */
export type TrainEvent = StartEvent | StepEvent | EvaluationEvent | EndEvent;

export interface StartEvent {
  readonly type: "start";
  readonly tasks: readonly string[];
  readonly groups: readonly string[];
  /** Steps of the whole fit; the first step event has step 1. */
  readonly steps: number;
  readonly trainableCoefficients: number;
  readonly imagesPerStep: number;
}

export interface StepEvent {
  readonly type: "step";
  readonly step: number;
  /** The minimised value: sum or mean over tasks, as configured. */
  readonly lossNats: number;
  /** The objective of each task, mean over its images, in the order of `tasks`. */
  readonly taskLossNats: readonly number[];
  /** L2 norm over the trainable coefficients. */
  readonly gradientNorm: number;
  readonly learningRate: number;
  /** Mean over the groups of the coefficients used in this step, per task. */
  readonly coefficientMeans: readonly number[];
  readonly imagesPerSecond: number;
  readonly secondsLeft: number;
}

export interface EvaluationEvent {
  readonly type: "evaluation";
  readonly step: number;
  /** Accuracy in percent, in the order of `tasks`. */
  readonly accuracyPercent: readonly number[];
  readonly averagePercent: number;
}

export interface EndEvent {
  readonly type: "end";
  readonly step: number;
  readonly reason: "finished" | "interrupted" | "failed";
  readonly seconds: number;
}
