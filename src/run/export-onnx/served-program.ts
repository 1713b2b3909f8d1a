/**
 * What an exported model computes: features of images that are normalised, or of tokens, and with a head logits and
 * probabilities. Inputs are called and laid out as in transformers' own exports. B examples, T tokens, H, W, C height,
 * width, channels, E features.
 */
import { lookup } from "../../engine/lookup.js";
import type { Program, TensorSpec } from "../../engine/program.js";
import { type Tensor, tf } from "../../engine/tf.js";
import type { FreeSize } from "../../engine/trace/free-sizes.js";
import { ConfigError } from "../../errors.js";
import type { Model } from "../../model/family.js";
import { applyHead, headSpecs } from "../../model/head-program.js";
import type { Head } from "../../model/heads.js";
import { givenWeights, weightSpecs } from "../../optimize/step-program.js";

/** float32 [B, C, H, W], normalised. */
const PIXELS = "pixel_values";
/** As other exports call them. */
const BATCH = "batch_size";
const LENGTH = "sequence_length";
/** Numbers of examples to trace with: primes that are no size of any model. */
const TRIED_BATCHES = [1009, 1013, 1019] as const;
/** The longest texts to trace with. */
const MOST_TOKENS = 512;

/** How weights are stored; what is computed is float32. */
export type StoredType = "float32" | "float16";

export interface Served {
  /** For messages. */
  readonly folder: string;
  readonly model: Model;
  readonly kind: "image" | "text";
  readonly head: Head | undefined;
  readonly dtype: StoredType;
}

export interface ServedProgram {
  /** Sizes that each run may choose. */
  readonly free: readonly FreeSize[];
  /** In the order of the free sizes. */
  readonly programOf: (sizes: readonly number[]) => Program;
}

/** Throws ConfigError for a model of which no program can be made that stands alone. */
export function servedProgram(served: Served): ServedProgram {
  return served.kind === "image" ? imageProgram(served) : textProgram(served);
}

function imageProgram(served: Served): ServedProgram {
  const { model, folder } = served;
  const inputs = [...model.inputs(1).values()];
  const [, height, width, channels] = inputs[0]?.shape ?? [];
  if (model.normalizedFeatures === undefined || inputs.length !== 1 || channels === undefined)
    throw new ConfigError(
      `${folder}: expected a family of models that computes features of normalised images (normalizedFeatures), found one that does not; this model cannot be exported`,
    );
  const shape = (batch = 1) => [batch, channels, height ?? 1, width ?? 1];
  return {
    free: [{ name: BATCH, input: PIXELS, axis: 0, tried: TRIED_BATCHES }],
    programOf: ([batch]) =>
      programOf(served, new Map([[PIXELS, { shape: shape(batch), dtype: "float32" }]]), (get) => {
        const imagesBHWC = tf.transpose(get(PIXELS), [0, 2, 3, 1]);
        return model.normalizedFeatures?.(givenWeights(get), imagesBHWC) ?? imagesBHWC;
      }),
  };
}

function textProgram(served: Served): ServedProgram {
  const { model } = served;
  const { lengths, mask } = model;
  const [first = ""] = model.inputs(1).keys();
  const batch: FreeSize = { name: BATCH, input: mask ?? first, axis: 0, tried: TRIED_BATCHES };
  const features = (get: (name: string) => Tensor): Tensor => model.features(givenWeights(get), get);
  if (lengths === undefined || mask === undefined)
    return { free: [batch], programOf: ([count = 1]) => programOf(served, model.inputs(count), features) };
  return {
    free: [batch, { name: LENGTH, input: mask, axis: 1, tried: triedLengths(served, lengths.at(-1) ?? 0) }],
    programOf: ([count = 1, length]) => programOf(served, model.inputs(count, length), features),
  };
}

/** Below the longest, whose graph needs no part of the table of positions; sizes of the model's tensors only where there are no others. */
function triedLengths({ model, folder }: Served, longest: number): readonly [number, number, number] {
  const sizes = new Set(model.tensors.flatMap(({ shape }) => shape));
  const all = Array.from({ length: Math.min(longest, MOST_TOKENS) }, (_, index) => index).slice(2);
  const [a, b, c] = [...all.filter((size) => !sizes.has(size)).toReversed(), ...all.filter((size) => sizes.has(size))];
  if (a !== undefined && b !== undefined && c !== undefined) return [a, b, c];
  throw new ConfigError(
    `${folder}: expected a model that takes texts of at least 5 tokens, found one that takes ${longest}; it cannot be exported`,
  );
}

function programOf(
  { model, head, dtype }: Served,
  inputs: ReadonlyMap<string, TensorSpec>,
  featuresOf: (get: (name: string) => Tensor) => Tensor,
): Program {
  const weights = weightSpecs(model).map(([name, spec]): [string, TensorSpec] => [name, { ...spec, dtype }]);
  return {
    name: "export",
    frozen: new Map([...weights, ...headSpecs(head === undefined ? [] : [head])]),
    inputs,
    build: (tensors) => {
      const get = lookup(tensors);
      const features = featuresOf(get);
      if (head === undefined) return new Map([["features", features]]);
      const logits = applyHead(head, features, get);
      return new Map([
        ["features", features],
        ["logits", logits],
        ["probabilities", tf.softmax(logits)],
      ]);
    },
  };
}
