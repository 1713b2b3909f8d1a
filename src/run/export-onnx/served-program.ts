/**
 * What an exported model computes: features and, with a head, logits and probabilities. Inputs are called and laid out
 * as in transformers' own exports.
 */
import { lookup } from "../../engine/lookup.js";
import type { Program, TensorSpec } from "../../engine/program.js";
import { tf } from "../../engine/tf.js";
import type { FreeSize } from "../../engine/trace/free-sizes.js";
import { ConfigError } from "../../errors.js";
import type { Model } from "../../model/family.js";
import { applyHead, headSpecs } from "../../model/head-program.js";
import type { Head } from "../../model/heads.js";
import { givenWeights, weightSpecs } from "../../optimize/step-program.js";

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
  /** Whether others prepare its examples in another way than we do. */
  readonly needsServed: boolean;
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
  const { model, folder, needsServed } = served;
  if (needsServed && model.served === undefined)
    throw new ConfigError(
      `${folder}: expected a family whose models say what other programs give them (\`served\`), found one that does not; its models cannot be exported`,
    );
  const { inputs } = model.served ?? model;
  const [first = ""] = inputs(1).keys();
  const batch: FreeSize = { name: BATCH, input: first, axis: 0, tried: TRIED_BATCHES };
  const { lengths, mask } = model;
  if (lengths === undefined || mask === undefined)
    return { free: [batch], programOf: ([count = 1]) => programOf(served, inputs(count)) };
  return {
    free: [batch, { name: LENGTH, input: mask, axis: 1, tried: triedLengths(served, lengths.at(-1) ?? 0) }],
    programOf: ([count = 1, length]) => programOf(served, inputs(count, length)),
  };
}

/**
 * Lengths below the longest, at which tables of positions are read whole, which is another graph. Sizes of the model's
 * tensors only where there are no others.
 */
function triedLengths({ model, folder }: Served, longest: number): readonly [number, number, number] {
  const sizes = new Set(model.tensors.flatMap(({ shape }) => shape));
  const all = Array.from({ length: Math.min(longest, MOST_TOKENS) }, (_, index) => index).slice(2);
  const [a, b, c] = [...all.filter((size) => !sizes.has(size)).toReversed(), ...all.filter((size) => sizes.has(size))];
  if (a !== undefined && b !== undefined && c !== undefined) return [a, b, c];
  throw new ConfigError(
    `${folder}: expected a model that takes texts of at least 5 tokens, found one that takes ${longest}; it cannot be exported`,
  );
}

function programOf({ model, head, dtype }: Served, inputs: ReadonlyMap<string, TensorSpec>): Program {
  const weights = weightSpecs(model).map(([name, spec]): [string, TensorSpec] => [name, { ...spec, dtype }]);
  return {
    name: "export",
    frozen: new Map([...weights, ...headSpecs(head === undefined ? [] : [head])]),
    inputs,
    build: (tensors) => {
      const get = lookup(tensors);
      const features = (model.served ?? model).features(givenWeights(get), get);
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
