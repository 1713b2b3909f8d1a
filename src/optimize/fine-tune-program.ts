/**
 * One fine-tuning step of a model as a program: cross-entropy on labelled examples under fixed heads, with the gradient
 * of every weight. Makes the experts of the shipped suites. B images, T label sets trained together.
 */
import { lookup } from "../engine/lookup.js";
import { valueAndGradients } from "../engine/ops/gradients.js";
import type { Program, TensorSpec } from "../engine/program.js";
import { type Tensor, tf } from "../engine/tf.js";
import type { Model } from "../model/family.js";
import { applyHead, headSpecs } from "../model/head-program.js";
import { meanCrossEntropy } from "../objective/cross-entropy.js";
import { givenWeights, weightSpecs } from "./step-program.js";

export interface FineTuneOptions {
  readonly model: Model;
  /** Label sets with their number of classes and images per step; their losses are averaged by images. */
  readonly tasks: readonly { readonly name: string; readonly classes: number; readonly images: number }[];
  readonly labelSmoothing: number;
  readonly logitScale: number;
  /** Whether the heads are trained with the tower (pretraining) or frozen (experts). */
  readonly trainHeads: boolean;
  /** What the examples are padded to, for models with lengths. */
  readonly length?: number;
  /** Images of other domains whose features shall stay what they were; none by default. */
  readonly anchors?: { readonly images: number; readonly weight: number };
}

/**
 * Inputs: `weights/<name>` for every tensor, `head/<task>/weight` [C, E] (rows are used as given) and `head/<task>/bias` [C],
 * those of the model for sum B (+ A) examples, `labels` int32 [sum B]; with anchors `anchors` [A, E], the features that the last A images
 * had. Outputs: `losses` [T] (with anchors [T + 1]), `gradient/<input>` for every trained input. An anchor's loss is the squared
 * distance of its features, averaged over the anchors (feature distillation, as in Li & Hoiem 2016, Learning without Forgetting).
 */
export function fineTuneProgram(options: FineTuneOptions): Program {
  const { model, tasks } = options;
  const images = tasks.reduce((sum, task) => sum + task.images, 0);
  const anchors = options.anchors ?? { images: 0, weight: 0 };
  const weights = weightSpecs(model);
  const heads = headSpecs(tasks.map(({ name: task, classes }) => ({ task, classes, featureSize: model.featureSize })));
  const trained = [...weights, ...(options.trainHeads ? heads : [])].map(([name]) => name);
  return {
    name: "fine-tune",
    frozen: new Map(),
    inputs: new Map<string, TensorSpec>([
      ...weights,
      ...heads,
      ...model.inputs(images + anchors.images, options.length),
      ["labels", { shape: [images], dtype: "int32" }],
      ...(anchors.images > 0
        ? [["anchors", { shape: [anchors.images, model.featureSize], dtype: "float32" }] as const]
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
        ...gradients.map((gradient, index): [string, Tensor] => [`gradient/${trained[index]}`, gradient]),
      ]);
    },
  };
}

function taskLosses(
  { model, tasks, labelSmoothing, logitScale, anchors }: FineTuneOptions,
  get: (name: string) => Tensor,
): Tensor {
  const features = model.features(givenWeights(get), get);
  let first = 0;
  const losses = tasks.map(({ name, images }) => {
    const own = tf.slice(features, [first, 0], [images, model.featureSize]);
    const labels = tf.slice(get("labels"), [first], [images]);
    first += images;
    const logits = applyHead({ task: name, logitScale }, own, get);
    return meanCrossEntropy(logits, labels, labelSmoothing);
  });
  if (anchors !== undefined && anchors.images > 0) {
    const kept = tf.slice(features, [first, 0], [anchors.images, model.featureSize]);
    losses.push(tf.mean(tf.sum(tf.squaredDifference(kept, get("anchors")), -1)));
  }
  return tf.stack(losses);
}
