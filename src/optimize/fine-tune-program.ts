/**
 * One fine-tuning step of the tower as a program: cross-entropy on labelled images under fixed heads, with the gradient
 * of every weight. Makes the experts of the shipped suites. B images, T label sets trained together.
 */
import type { Program, TensorSpec } from "../engine/program.js";
import { type Tensor, tf } from "../engine/tf.js";
import type { ClipVisionConfig } from "../model/clip-config.js";
import { clipVisionFeatures, clipVisionTensors, type Normalization } from "../model/clip-vision.js";
import { headLogits } from "../model/heads.js";
import { meanCrossEntropy } from "../objective/cross-entropy.js";
import { lookup } from "./step-program.js";

export interface FineTuneOptions {
  readonly config: ClipVisionConfig;
  readonly normalization: Normalization;
  /** Label sets with their number of classes and images per step; their losses are averaged by images. */
  readonly tasks: readonly { readonly name: string; readonly classes: number; readonly images: number }[];
  readonly labelSmoothing: number;
  readonly logitScale: number;
  /** Whether the heads are trained with the tower (pretraining) or frozen (experts). */
  readonly trainHeads: boolean;
  /** Images of other domains whose features shall stay what they were; none by default. */
  readonly anchors?: { readonly images: number; readonly weight: number };
}

/**
 * Inputs: `weights/<name>` for every tensor, `head/<task>/weight` [C, E] (rows are used as given) and `head/<task>/bias` [C],
 * `images` uint8 [sum B (+ A), H, W, C], `labels` int32 [sum B]; with anchors `anchors` [A, E], the features that the last A images
 * had. Outputs: `losses` [T] (with anchors [T + 1]), `gradient/<input>` for every trained input. An anchor's loss is the squared
 * distance of its features, averaged over the anchors (feature distillation, as in Li & Hoiem 2016, Learning without Forgetting).
 */
export function fineTuneProgram(options: FineTuneOptions): Program {
  const { config, tasks } = options;
  const images = tasks.reduce((sum, task) => sum + task.images, 0);
  const anchors = options.anchors ?? { images: 0, weight: 0 };
  const weights = clipVisionTensors(config).map(({ name, shape }): [string, TensorSpec] => [
    `weights/${name}`,
    { shape, dtype: "float32" },
  ]);
  const heads = tasks.flatMap(({ name, classes }): [string, TensorSpec][] => [
    [`head/${name}/weight`, { shape: [classes, config.projectionSize], dtype: "float32" }],
    [`head/${name}/bias`, { shape: [classes], dtype: "float32" }],
  ]);
  const trained = [...weights, ...(options.trainHeads ? heads : [])].map(([name]) => name);
  return {
    name: "fine-tune",
    frozen: new Map(),
    inputs: new Map<string, TensorSpec>([
      ...weights,
      ...heads,
      [
        "images",
        { shape: [images + anchors.images, config.imageSize, config.imageSize, config.channels], dtype: "uint8" },
      ],
      ["labels", { shape: [images], dtype: "int32" }],
      ...(anchors.images > 0
        ? [["anchors", { shape: [anchors.images, config.projectionSize], dtype: "float32" }] as const]
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
      const { value, grads } = tf.valueAndGrads(losses)(trained.map(lookup(tensors)), shares);
      return new Map([
        ["losses", value],
        ...grads.map((gradient, index): [string, Tensor] => [`gradient/${trained[index]}`, gradient]),
      ]);
    },
  };
}

function taskLosses(
  { config, normalization, tasks, labelSmoothing, logitScale, anchors }: FineTuneOptions,
  get: (name: string) => Tensor,
): Tensor {
  const features = clipVisionFeatures(config, normalization, (name) => get(`weights/${name}`), get("images"));
  let first = 0;
  const losses = tasks.map(({ name, images }) => {
    const own = tf.slice(features, [first, 0], [images, config.projectionSize]);
    const labels = tf.slice(get("labels"), [first], [images]);
    first += images;
    const logits = headLogits(own, get(`head/${name}/weight`), get(`head/${name}/bias`), logitScale);
    return meanCrossEntropy(logits, labels, labelSmoothing);
  });
  if (anchors !== undefined && anchors.images > 0) {
    const kept = tf.slice(features, [first, 0], [anchors.images, config.projectionSize]);
    losses.push(tf.mean(tf.sum(tf.squaredDifference(kept, get("anchors")), -1)));
  }
  return tf.stack(losses);
}
