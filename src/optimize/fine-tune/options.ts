/**
 * What a fine-tuning is given and what it tells: types and defaults alone; fine-tune.ts runs it. The defaults are those
 * of transformers' Trainer where it has one (TrainingArguments of transformers 5), so that the same settings mean the
 * same training.
 */
import type { ExampleValues, LabelledExamples } from "../../data/examples.js";
import type { Engine } from "../../engine/program.js";
import type { Model, NamedShape } from "../../model/family.js";
import type { Head } from "../../model/heads.js";
import type { ScheduleOptions } from "../schedule.js";
import type { LoraFactors, LoraOptions } from "./lora.js";

/** A labelled data set that is trained on; several are trained together, each with its own head. */
export interface FineTuneTask {
  readonly name: string;
  /** Labels are indices into the rows of the head. */
  readonly store: LabelledExamples;
  /** How many of its examples every batch has. The loss is the mean over all examples of a batch. */
  readonly examplesPerStep: number;
  /** Where it starts, where heads are trained; the scale of its logits stays. `task` is the name above. */
  readonly head: Head;
  /**
   * What a step (from 1) is given of the task in place of the next examples of the store: these with random changes,
   * say. A pure function, of which a state's file knows nothing. For models whose examples have one size.
   */
  readonly batchAt?: (step: number) => DrawnExamples;
}

/** Examples of one task in a step. */
export interface DrawnExamples {
  /** Inputs of the model for `examplesPerStep` examples, by name. */
  readonly examples: ReadonlyMap<string, ExampleValues>;
  /** Of each, a row of the task's head. */
  readonly labels: Int32Array;
}

/**
 * Examples whose features shall stay what they are while others are learned: feature distillation, Li and Hoiem 2016,
 * arXiv:1606.09282. Their loss is the squared distance of the features, averaged over the examples. A examples, E
 * features.
 */
export interface FineTuneAnchors {
  /** A: of every batch. */
  readonly examplesPerStep: number;
  /** Of their loss beside the mean loss of the tasks' examples. */
  readonly weight: number;
  /**
   * Those of a step (from 1) and their `features` [A, E] at the start. A pure function, of which a state's file knows
   * nothing. For models whose examples have one size.
   */
  readonly at: (step: number) => {
    readonly examples: ReadonlyMap<string, ExampleValues>;
    readonly features: Float32Array;
  };
}

/** AdamW: Loshchilov and Hutter 2019, algorithm 2, as torch.optim.AdamW. */
export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  /** Added outside the square root. */
  readonly epsilon: number;
  /** Decoupled: each update first multiplies a tensor with 1 - learning rate * weight decay. */
  readonly weightDecay: number;
  /** The tensors that decay. */
  readonly decays: (tensor: NamedShape) => boolean;
  /** What the learning rate is multiplied with for a tensor: layer-wise decay of the rate. */
  readonly rateFactor: (tensor: NamedShape) => number;
}

/**
 * What biases and norms have as the last part of their names, and nothing else that is a vector: not a class token or a
 * scale of a layer.
 */
const WEIGHT_OR_BIAS = /[./](?:weight|bias)$/;

/** Trainer's, with its rule for decay: everything but biases and norms. */
export const DEFAULT_ADAMW: AdamWOptions = {
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0,
  decays: ({ name, shape }) => shape.length > 1 || !WEIGHT_OR_BIAS.test(name),
  rateFactor: () => 1,
};

/**
 * Norm of the whole gradient above which it is clipped as by torch.nn.utils.clip_grad_norm_, as Trainer's
 * max_grad_norm.
 */
export const DEFAULT_CLIP_NORM = 1;

/** A file from which a training resumes, and how often it is replaced. */
export interface FineTuneStateFile {
  readonly path: string;
  /** Steps between two states; the last step and an abort write one as well. 0: only those. */
  readonly everySteps: number;
}

export interface FineTuning {
  readonly engine: Engine;
  readonly model: Model;
  /** Values of every tensor of the model, by canonical name. They are not changed. */
  readonly weights: ReadonlyMap<string, Float32Array>;
  /**
   * Glob patterns over the model's tensors: these stay as they are. Each must match one; for texts `embeddings.*` is
   * usual. None by default.
   */
  readonly freeze?: readonly string[];
  /** Trains factors of matrices (LoRA) in place of the model's tensors, all of which stay; these, where absent. */
  readonly lora?: LoraOptions;
  /** Whether the heads are trained as well. */
  readonly trainHeads: boolean;
  readonly tasks: readonly FineTuneTask[];
  /** None by default. */
  readonly anchors?: FineTuneAnchors;
  /**
   * Draws the batches, with the name of the task and the number of the step, and of LoRA the factors that it begins with
   * and what its dropout leaves out: nothing else is drawn.
   */
  readonly seed: number;
  /**
   * Its first update has a part of the rate already: transformers' schedules begin their warm-up with a step of rate 0,
   * and are one step behind in it.
   */
  readonly schedule: ScheduleOptions;
  /** DEFAULT_ADAMW where it says nothing. */
  readonly adamw?: Partial<AdamWOptions>;
  /**
   * Equal parts of every batch, computed one after the other so that a step takes less memory; 1 by default. Each
   * task's examples must divide into them, and so must the anchors. Another number is another rounding.
   */
  readonly passes?: number;
  /** In [0, 1), as torch's CrossEntropyLoss; 0 by default. */
  readonly labelSmoothing?: number;
  /** DEFAULT_CLIP_NORM by default; Infinity clips nothing. */
  readonly clipNorm?: number;
  /** Resumed from if the file is there; without it nothing is written. */
  readonly state?: FineTuneStateFile;
  /** When aborted, the step under way is finished, its state written, and the training ends as interrupted. */
  readonly signal?: AbortSignal;
  /** Milliseconds now; passed in so that tests are deterministic. */
  readonly clock: () => number;
}

/** What has been learned so far: copies, by canonical name. */
export interface FineTunedWeights {
  /** The trained tensors of the model alone, in its order; with LoRA the matrices with their factors merged. */
  readonly tensors: ReadonlyMap<string, Float32Array>;
  /** LoRA's, by the matrix, in the same order. */
  readonly factors?: ReadonlyMap<string, LoraFactors>;
  /** One for each task, in their order: trained, or as they were given. */
  readonly heads: readonly Head[];
}

export type FineTuneEvent = FineTuneStartEvent | FineTuneStepEvent | FineTuneStateEvent;

export interface FineTuneStartEvent {
  readonly type: "start";
  /** Steps that were made before, by a training that was interrupted. */
  readonly step: number;
  /** Steps of the whole training. */
  readonly steps: number;
  readonly trainedTensors: number;
  readonly trainedParameters: number;
}

export interface FineTuneStepEvent {
  readonly type: "step";
  /** From 1. */
  readonly step: number;
  /** In nats, mean over the tasks' examples of the batch, before the update. */
  readonly loss: number;
  /** Mean over the examples of each task, in their order. */
  readonly taskLosses: readonly number[];
  readonly learningRate: number;
  /** L2 norm over all trained values, before clipping. */
  readonly gradientNorm: number;
  /** Wall time of this step, without what was done with its event. */
  readonly seconds: number;
  /** What the examples of the batch were padded to, where they have lengths. */
  readonly length?: number;
  /** The weights after this step, for an evaluation; to be asked before the next event is. */
  readonly weights: () => FineTunedWeights;
}

/** The state after a step lies in its file. */
export interface FineTuneStateEvent {
  readonly type: "state";
  readonly step: number;
  readonly path: string;
}

export interface FineTuned extends FineTunedWeights {
  /** The last step that was made. */
  readonly step: number;
  readonly reason: "finished" | "interrupted";
  /** Wall time of all steps, over all interruptions. */
  readonly seconds: number;
  /** In nats, the exponential mean of the loss over about fifty steps. */
  readonly loss: number;
}
