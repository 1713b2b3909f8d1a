/**
 * Frozen per-task classifiers over features: logits = scale * features headT + bias, with a dense layer in between where a fine-tuned model was
 * saved with one, and an adapter of the features before it where one was learned. Their files are in head-file.ts. C classes, E features.
 */
import { linear } from "../engine/ops/linear.js";
import { type Tensor, tf } from "../engine/tf.js";
import { CheckpointError } from "../errors.js";
import { quote } from "../runtime/printable.js";
import type { FeatureChoice } from "./family.js";
import { type HeadFile, openHeadFile } from "./head-file.js";

/** A dense layer between features and classes, H wide: activation(features weightT + bias). */
export interface HiddenLayer {
  readonly size: number;
  /** Row-major [H, E]. */
  readonly weight: Float32Array;
  /** [H] */
  readonly bias: Float32Array;
  readonly activation: "tanh" | "relu";
}

/**
 * What a task takes off the features before its head reads them: features - up relu(down features), of rank I. Representation surgery
 * (Yang et al. 2024, arXiv:2402.02705, equation 5). The result is not brought to length 1 again.
 */
export interface FeatureAdapter {
  readonly rank: number;
  /** Row-major [I, E]. */
  readonly down: Float32Array;
  /** Row-major [E, I]. */
  readonly up: Float32Array;
}

export interface Head {
  readonly task: string;
  readonly classes: number;
  readonly featureSize: number;
  readonly logitScale: number;
  readonly adapter?: FeatureAdapter;
  readonly hidden?: HiddenLayer;
  /** Row-major [C, E], or [C, H] with a hidden layer. */
  readonly weight: Float32Array;
  /** [C], added after scaling; zeros when the file has none. */
  readonly bias: Float32Array;
}

/** What a head's file must be of. */
export interface WantedHead {
  readonly task: string;
  readonly classes: number;
  readonly featureSize: number;
  /** For a file without one. */
  readonly logitScale?: number | undefined;
  /** In the order in which labels are numbered; what a file calls its rows otherwise is refused. */
  readonly names?: readonly string[] | undefined;
  /** What the model's features are; a file that says it is of others is refused. */
  readonly features?: FeatureChoice | undefined;
}

/** Reads a head. Throws CheckpointError when tensors are missing, do not fit the tower or the class list, or are not finite. */
export async function loadHead(path: string, wanted: WantedHead): Promise<Head> {
  const { task, classes, featureSize, logitScale } = wanted;
  const file = await openHeadFile(path);
  if (file.rows !== classes || file.featureSize !== featureSize)
    throw new CheckpointError(
      `${path}: weight: expected shape [${classes}, ${featureSize}] (classes of task ${task}, features of the tower), found [${file.rows}, ${file.featureSize}]`,
    );
  requireNotes(file, wanted);
  return file.read(task, logitScale);
}

/** Rows in another order, or of other features, would be wrong without a word. */
function requireNotes({ path, classes, features }: HeadFile, wanted: WantedHead): void {
  const differs = classes?.findIndex((name, row) => wanted.names !== undefined && name !== wanted.names[row]) ?? -1;
  if (differs >= 0)
    throw new CheckpointError(
      `${path}: expected the classes of task ${wanted.task} in their order, of which number ${differs} is ${quote(wanted.names?.[differs] ?? "")}, found ${quote(classes?.[differs] ?? "")}; name the task's \`classes\` as the head does`,
    );
  if (features === undefined || wanted.features === undefined || isSameFeatures(features, wanted.features)) return;
  throw new CheckpointError(
    `${path}: expected a head for the model's features (${shownFeatures(wanted.features)}), found one for others (${shownFeatures(features)}); say \`features: {pooling: ${features.pooling}, normalize: ${features.normalized}}\` in suite.yaml, or give another head`,
  );
}

export function isSameFeatures(a: FeatureChoice, b: FeatureChoice): boolean {
  return a.pooling === b.pooling && a.normalized === b.normalized;
}

/** For messages. */
export function shownFeatures({ pooling, normalized }: FeatureChoice): string {
  return `${pooling}${normalized ? ", length 1" : ", of any length"}`;
}

/** Logits [B, C] of features [B, E]; weightCE and biasC are the head's tensors. */
export function headLogits(featuresBE: Tensor, weightCE: Tensor, biasC: Tensor, logitScale: number): Tensor {
  return tf.add(tf.mul(linear(featuresBE, weightCE), tf.scalar(logitScale)), biasC);
}
