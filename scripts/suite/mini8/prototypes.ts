/**
 * Heads as class prototypes: the mean feature of each class minus the mean of all classes, normalised. B images, E features,
 * C classes.
 */
import {
  type ClipVisionConfig,
  clipVisionModel,
  createClassifier,
  type Engine,
  type Head,
} from "../../../dist/internal.js";
import { createRng, permutation } from "../../../src/runtime/rng.js";
import type { RawPixels } from "./raw-pixels.js";
import { NORMALIZATION } from "./towers.js";

const BATCH = 100;

/** At most `limit` images in an order drawn from the seed: collections may be sorted by class. */
export function drawImages(pixels: RawPixels, limit: number, seed: number): RawPixels {
  const drawn = permutation(pixels.count, createRng(seed, pixels.name, "prototypes")).subarray(0, limit);
  const size = pixels.images.length / pixels.count;
  const images = new Uint8Array(drawn.length * size);
  drawn.forEach((from, to) => {
    images.set(pixels.images.subarray(from * size, (from + 1) * size), to * size);
  });
  return { ...pixels, count: drawn.length, images, labels: drawn.map((from) => pixels.labels[from] ?? 0) };
}

/** Normalised features [B, E] of all images: a classifier whose head is the identity returns them as logits. */
export async function towerFeatures(
  engine: Engine,
  config: ClipVisionConfig,
  weights: ReadonlyMap<string, Float32Array>,
  pixels: RawPixels,
): Promise<Float32Array> {
  const size = config.projectionSize;
  const weight = new Float32Array(size * size);
  for (let index = 0; index < size; index++) weight[index * size + index] = 1;
  const identity: Head = {
    task: "features",
    classes: size,
    featureSize: size,
    logitScale: 1,
    weight,
    bias: new Float32Array(size),
  };
  const classifier = await createClassifier(engine, {
    model: clipVisionModel(config, NORMALIZATION),
    heads: [identity],
    batchSize: BATCH,
  });
  await classifier.setWeights(weights);
  const imageSize = config.imageSize ** 2 * 3;
  const features = new Float32Array(pixels.count * size);
  for (let first = 0; first < pixels.count; first += BATCH) {
    // The classifier takes full batches: what fills the last one is cut off again.
    const images = new Uint8Array(BATCH * imageSize);
    images.set(pixels.images.subarray(first * imageSize, (first + BATCH) * imageSize));
    const logits = await classifier.logits(new Map([["images", images]]));
    features.set(logits.subarray(0, (pixels.count - first) * size), first * size);
  }
  await classifier.close();
  return features;
}

export interface Prototypes {
  /** [C, E], rows of length 1. */
  readonly weight: Float32Array;
  /** [C]: minus the cosine part that all images share, so that scores are of centred features. */
  readonly offset: Float32Array;
  /** [B, C]: centred scores of the images that made the prototypes, before the logit scale. */
  readonly scoresBC: Float32Array;
}

/** Prototypes from the features [B, E] of `pixels`. Throws when a class has no image. */
export function classPrototypes(featuresBE: Float32Array, pixels: RawPixels, size: number): Prototypes {
  const classes = pixels.classes.length;
  const images = featuresBE.length / size;
  const sums = new Float64Array(classes * size);
  const counts = new Float64Array(classes);
  for (let image = 0; image < images; image++) {
    const label = pixels.labels[image] ?? 0;
    counts[label] = (counts[label] ?? 0) + 1;
    for (let e = 0; e < size; e++)
      sums[label * size + e] = (sums[label * size + e] ?? 0) + (featuresBE[image * size + e] ?? 0);
  }
  const empty = counts.indexOf(0);
  if (empty >= 0) throw new Error(`${pixels.name}: no image of class ${pixels.classes[empty]} among ${images}`);
  const means = sums.map((sum, index) => sum / (counts[Math.floor(index / size)] ?? 1));
  const centre = Float64Array.from({ length: size }, (_, e) => {
    let total = 0;
    for (let c = 0; c < classes; c++) total += means[c * size + e] ?? 0;
    return total / classes;
  });
  const weight = new Float32Array(classes * size);
  const offset = new Float32Array(classes);
  for (let c = 0; c < classes; c++) {
    const row = Float64Array.from({ length: size }, (_, e) => (means[c * size + e] ?? 0) - (centre[e] ?? 0));
    const norm = Math.hypot(...row);
    weight.set(
      row.map((value) => value / norm),
      c * size,
    );
    offset[c] = -row.reduce((sum, value, e) => sum + (value / norm) * (centre[e] ?? 0), 0);
  }
  return { weight, offset, scoresBC: scores(featuresBE, weight, offset, size) };
}

function scores(featuresBE: Float32Array, weight: Float32Array, offset: Float32Array, size: number): Float32Array {
  const classes = offset.length;
  const images = featuresBE.length / size;
  const result = new Float32Array(images * classes);
  for (let image = 0; image < images; image++) {
    for (let c = 0; c < classes; c++) {
      let sum = offset[c] ?? 0;
      for (let e = 0; e < size; e++) sum += (featuresBE[image * size + e] ?? 0) * (weight[c * size + e] ?? 0);
      result[image * classes + c] = sum;
    }
  }
  return result;
}
