/**
 * One fine-tuning step of a model as a program: cross-entropy on labelled examples under fixed heads, with the gradient
 * of every weight that is trained. fine-tune/ runs it over and over. B images, T label sets trained together.
 */
import { lookup } from "../engine/lookup.js";
import { valueAndGradients } from "../engine/ops/gradients.js";
import type { Program, TensorSpec } from "../engine/program.js";
import { type Tensor, tf } from "../engine/tf.js";
import type { Model } from "../model/family.js";
import { applyHead, headSpecs } from "../model/head-program.js";
import type { Head } from "../model/heads.js";
import { meanCrossEntropy } from "../objective/cross-entropy.js";
import { type LoraShape, loraSpecs, loraWeights } from "./lora-weights.js";
import { givenWeights, gradientName, weightName, weightSpecs } from "./step-program.js";

/** Name of the input that holds the labels of all examples but anchors. */
export const FINE_TUNE_LABELS = "labels";
/** Name of the input that holds the features which the anchors had. */
export const FINE_TUNE_ANCHORS = "anchors";

export interface FineTuneOptions {
  readonly model: Model;
  /** Label sets with their number of classes and images per step; their losses are averaged by images. */
  readonly tasks: readonly {
    readonly name: string;
    readonly classes: number;
    readonly images: number;
    /** What its head has of its own. */
    readonly head?: Pick<Head, "hidden" | "logitScale">;
  }[];
  readonly labelSmoothing: number;
  /** Of heads that have none of their own. */
  readonly logitScale: number;
  /** Whether the heads are trained with the tower (pretraining) or frozen (experts). */
  readonly trainHeads: boolean;
  /**
   * The tensors of the model that are trained, by name: all of them if absent. Where it is given, weights and heads are
   * bound, not given with every run: those that stay once, and those that are trained again after each update.
   */
  readonly trained?: ReadonlySet<string>;
  /** Factors of some of the model's matrices, which are trained; none of its tensors is then among `trained`. */
  readonly lora?: LoraShape | undefined;
  /** With dropout of LoRA: specs of what is kept of each input of its layers, by the names of `keptInput`. */
  readonly kept?: ReadonlyMap<string, TensorSpec> | undefined;
  /** What the examples are padded to, for models with lengths. */
  readonly length?: number | undefined;
  /** Images of other domains whose features shall stay what they were; none by default. */
  readonly anchors?: { readonly images: number; readonly weight: number };
}

/**
 * Inputs (frozen tensors with `trained`): `weights/<name>` for every tensor, `head/<task>/weight` [C, E] (rows are used
 * as given) and `head/<task>/bias` [C], LoRA's factors (lora-weights.ts), and, as inputs, those of the model for sum B (+ A) examples, `labels` int32
 * [sum B], with dropout what is kept; with anchors `anchors` [A, E], the features that the last A images had. Outputs: `losses` [T] (with anchors
 * [T + 1]), `gradient/<input>` for every trained input. An anchor's loss is the squared distance of its features,
 * averaged over the anchors (feature distillation, as in Li & Hoiem 2016, Learning without Forgetting).
 */
export function fineTuneProgram(options: FineTuneOptions): Program {
  const { model, tasks } = options;
  const images = tasks.reduce((sum, task) => sum + task.images, 0);
  const anchors = options.anchors ?? { images: 0, weight: 0 };
  const weights = weightSpecs(model);
  const heads = headSpecs(
    tasks.map(({ name: task, classes, head }) => ({
      ...{ task, classes, featureSize: model.featureSize },
      ...(head?.hidden === undefined ? {} : { hidden: head.hidden }),
    })),
  );
  const lora = options.lora === undefined ? [] : loraSpecs(model, options.lora);
  const trained = [...trainedNames(options, weights, heads), ...lora.map(([name]) => name)];
  const bound = options.trained === undefined ? [] : [...weights, ...heads, ...lora];
  return {
    name: "fine-tune",
    frozen: new Map(bound),
    inputs: new Map<string, TensorSpec>([
      ...(options.trained === undefined ? [...weights, ...heads, ...lora] : []),
      ...model.inputs(images + anchors.images, options.length),
      ...(options.kept ?? []),
      [FINE_TUNE_LABELS, { shape: [images], dtype: "int32" }],
      ...(anchors.images > 0
        ? [[FINE_TUNE_ANCHORS, { shape: [anchors.images, model.featureSize], dtype: "float32" }] as const]
        : []),
    ]),
    build: (tensors) => {
      const losses = (...values: Tensor[]): Tensor => {
        const get = lookup(
          new Map([
            ...tensors,
            ...trained.map((name, index): [string, Tensor] => [name, values[index] ?? tf.scalar(0)]),
          ]),
        );
        return taskLosses(options, get);
      };
      const taskShares = tasks.map((task) => task.images / images);
      const shares = tf.tensor1d(anchors.images > 0 ? [...taskShares, anchors.weight] : taskShares);
      const { value, gradients } = valueAndGradients(losses, trained.map(lookup(tensors)), shares);
      return new Map([
        ["losses", value],
        ...gradients.map((gradient, index): [string, Tensor] => [gradientName(trained[index] ?? ""), gradient]),
      ]);
    },
  };
}

function trainedNames(
  { trained, trainHeads }: FineTuneOptions,
  weights: readonly [string, TensorSpec][],
  heads: readonly [string, TensorSpec][],
): string[] {
  const chosen = trained === undefined ? undefined : new Set([...trained].map(weightName));
  return [...weights.filter(([name]) => chosen?.has(name) ?? true), ...(trainHeads ? heads : [])].map(([name]) => name);
}

function taskLosses(
  { model, tasks, labelSmoothing, logitScale, anchors, lora }: FineTuneOptions,
  get: (name: string) => Tensor,
): Tensor {
  const features = model.features(lora === undefined ? givenWeights(get) : loraWeights(lora, get), get);
  let first = 0;
  const losses = tasks.map(({ name, images, head }) => {
    const own = tf.slice(features, [first, 0], [images, model.featureSize]);
    const labels = tf.slice(get(FINE_TUNE_LABELS), [first], [images]);
    first += images;
    const logits = applyHead({ task: name, logitScale, ...head }, own, get);
    return meanCrossEntropy(logits, labels, labelSmoothing);
  });
  if (anchors !== undefined && anchors.images > 0) {
    const kept = tf.slice(features, [first, 0], [anchors.images, model.featureSize]);
    losses.push(tf.mean(tf.sum(tf.squaredDifference(kept, get(FINE_TUNE_ANCHORS)), -1)));
  }
  return tf.stack(losses);
}
