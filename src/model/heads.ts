/**
 * Frozen per-task classifiers over features: logits = scale * features headT + bias, with a dense layer in between where a fine-tuned model was
 * saved with one.
 * On disk: a safetensors file (or a state dict of PyTorch) with `weight` [C, E] (rows of length 1: text embeddings or class prototypes),
 * optional `bias` [C], and either `logit_scale` ([] or [1]) or the suite's scale. C classes, E features.
 */
import { openCheckpoint } from "../checkpoint/checkpoint.js";
import { requireFinite, tensorPlace } from "../checkpoint/task-vectors.js";
import { linear } from "../engine/ops/linear.js";
import { type Tensor, tf } from "../engine/tf.js";
import { CheckpointError } from "../errors.js";

/** A dense layer between features and classes, H wide: activation(features weightT + bias). */
export interface HiddenLayer {
  readonly size: number;
  /** Row-major [H, E]. */
  readonly weight: Float32Array;
  /** [H] */
  readonly bias: Float32Array;
  readonly activation: "tanh" | "relu";
}

export interface Head {
  readonly task: string;
  readonly classes: number;
  readonly featureSize: number;
  readonly logitScale: number;
  readonly hidden?: HiddenLayer;
  /** Row-major [C, E], or [C, H] with a hidden layer. */
  readonly weight: Float32Array;
  /** [C], added after scaling; zeros when the file has none. */
  readonly bias: Float32Array;
}

/** Reads a head. Throws CheckpointError when tensors are missing, do not fit the tower or the class list, or are not finite. */
export async function loadHead(
  path: string,
  options: { task: string; classes: number; featureSize: number; logitScale?: number | undefined },
): Promise<Head> {
  const file = await openCheckpoint(path);
  const stored = file.tensors.get("weight");
  if (stored === undefined)
    throw new CheckpointError(
      `${path}: expected a tensor named weight [classes, features]; found ${[...file.tensors.keys()].join(", ") || "none"}`,
    );
  const [classes, featureSize] = stored.shape;
  if (stored.shape.length !== 2 || classes !== options.classes || featureSize !== options.featureSize) {
    throw new CheckpointError(
      `${path}: weight: expected shape [${options.classes}, ${options.featureSize}] (classes of task ${options.task}, features of the tower), found [${stored.shape.join(", ")}]`,
    );
  }
  const finite = async (name: string): Promise<Float32Array> => {
    const values = await file.readFloat32(name);
    requireFinite(values, tensorPlace(path, name));
    return values;
  };
  const optional = async (name: string, length: number): Promise<Float32Array | undefined> => {
    const tensor = file.tensors.get(name);
    if (tensor === undefined) return undefined;
    const values = await finite(name);
    if (values.length !== length)
      throw new CheckpointError(`${path}: ${name}: expected ${length} values, found ${values.length}`);
    return values;
  };
  const logitScale = (await optional("logit_scale", 1))?.[0] ?? options.logitScale;
  if (logitScale === undefined)
    throw new CheckpointError(`${path}: expected a tensor logit_scale, or logit_scale in the suite's file`);
  return {
    task: options.task,
    classes: options.classes,
    featureSize: options.featureSize,
    logitScale,
    weight: await finite("weight"),
    bias: (await optional("bias", options.classes)) ?? new Float32Array(options.classes),
  };
}

/** Logits [B, C] of features [B, E]; weightCE and biasC are the head's tensors. */
export function headLogits(featuresBE: Tensor, weightCE: Tensor, biasC: Tensor, logitScale: number): Tensor {
  return tf.add(tf.mul(linear(featuresBE, weightCE), tf.scalar(logitScale)), biasC);
}
