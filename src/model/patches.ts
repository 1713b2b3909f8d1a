/**
 * How images become the tokens of a vision transformer, in every family: pixel levels are normalised, cut into patches
 * and projected, inside the graph. What else goes in front of the first block (class tokens, positions) is the
 * family's.
 * B images, H W pixels, C channels, P patches, T tokens, D width, S tokens that are the same for all images.
 */
import type { Preprocessing } from "../data/image/preprocessing.js";
import { linear } from "../engine/ops/linear.js";
import { type Tensor, tf } from "../engine/tf.js";
import { assert } from "../errors.js";
import type { Model, ModelWatch } from "./family.js";
import type { ModelWeights } from "./model-weights.js";

/** How a pixel level becomes an input: (level * rescaleFactor - mean) / std, per channel. */
export type Normalization = Pick<Preprocessing, "rescaleFactor" | "mean" | "std">;

/** For images that are normalised already, and for a model of which only the tensors are asked. */
export const NOT_NORMALISED: Normalization = { rescaleFactor: 1, mean: [0, 0, 0], std: [1, 1, 1] };

/** The one input of a model of images: pixel levels, uint8 [B, H, W, C]. */
export const IMAGES = "images";
/** What it is for other programs: normalised, float32 [B, C, H, W]. */
const PIXEL_VALUES = "pixel_values";

/** A model of images for other programs, by its features of images that are normalised already (`NOT_NORMALISED`). */
export function servedImages(
  { height, width, channels }: { readonly height: number; readonly width: number; readonly channels: number },
  features: (weights: ModelWeights, imagesBHWC: Tensor, watch?: ModelWatch) => Tensor,
): Pick<Model, "inputs" | "features"> {
  return {
    inputs: (count) => new Map([[PIXEL_VALUES, { shape: [count, channels, height, width], dtype: "float32" }]]),
    features: (weights, inputs, watch) => features(weights, tf.transpose(inputs(PIXEL_VALUES), [0, 2, 3, 1]), watch),
  };
}

/**
 * Rows and columns of patches; pixels that fill no patch, on the right and at the bottom, are left out as by a
 * convolution.
 */
export function patchGrid(height: number, width: number, patchSize: number): readonly [rows: number, columns: number] {
  return [Math.floor(height / patchSize), Math.floor(width / patchSize)];
}

/** Projected patches [B, P, D] of images with levels 0..255; the kernel is [D, C, side, side]. */
export function embedPatches(
  imagesBHWC: Tensor,
  { rescaleFactor, mean, std }: Normalization,
  kernel: Tensor,
  biasD?: Tensor,
): Tensor {
  const [batch, height, width] = imagesBHWC.shape;
  const [hiddenSize, channels, patchSize] = kernel.shape;
  assert(batch !== undefined && height !== undefined && width !== undefined, "images without a batch dimension");
  assert(
    hiddenSize !== undefined && channels !== undefined && patchSize !== undefined,
    "a patch embedding that is none",
  );
  // (x * rescaleFactor - mean) / std = x * scale + shift, per channel.
  const scaleC = tf.tensor1d(std.map((value) => rescaleFactor / value));
  const shiftC = tf.tensor1d(std.map((value, channel) => -(mean[channel] ?? 0) / value));
  const normalized = tf.add(tf.mul(imagesBHWC, scaleC), shiftC);
  const [rows, columns] = patchGrid(height, width, patchSize);
  const cropped = tf.slice(normalized, [0, 0, 0, 0], [batch, rows * patchSize, columns * patchSize, channels]);
  // A convolution whose stride is its kernel size is a matrix product over patches, (channel, row, column) each.
  const grid = tf.reshape(cropped, [batch * rows, patchSize, columns, patchSize, channels]);
  const patches = tf.reshape(tf.transpose(grid, [0, 2, 4, 1, 3]), [
    batch * rows * columns,
    channels * patchSize * patchSize,
  ]);
  const weight = tf.reshape(kernel, [hiddenSize, channels * patchSize * patchSize]);
  return tf.reshape(linear(patches, weight, biasD), [batch, rows * columns, hiddenSize]);
}

/**
 * The same tokens for each image: [S, D], in whatever shape, to [B, S, D]. A product with ones, since tfjs's gradient
 * of tile is a slice and an addition per image.
 */
export function forEachImage(tokens: Tensor, images: number, hiddenSize: number): Tensor {
  return tf.mul(tf.ones([images, 1, 1]), tf.reshape(tokens, [1, -1, hiddenSize]));
}

/** The first token: [B, T, D] -> [B, 1, D]. */
export function classToken(xBTD: Tensor): Tensor {
  return tf.slice(xBTD, [0, 0, 0], [-1, 1, -1]);
}
