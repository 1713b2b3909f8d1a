/**
 * The programs of a pass part by part: through one part of a model, and the Gram matrices of its linear layers. Part 0 is what is before the
 * blocks, 1 + b is block b, the last one what is behind them.
 */
import { lookup } from "../engine/lookup.js";
import type { Program, TensorSpec } from "../engine/program.js";
import type { Tensor } from "../engine/tf.js";
import { ConfigError } from "../errors.js";
import type { ModelParts, ModelTensor, ModelWatch } from "../model/family.js";
import { batchInputs, gramWatch, type ProbedBatch } from "./probe-programs.js";
import { givenWeights, weightSpecs } from "./step-program.js";

/** What every part but the first is given, and what leaves a part: [B, T, D], or features. */
export const ENTERING = "entering";
export const LEAVING = "leaving";

export interface PartOfModel extends ProbedBatch {
  readonly parts: ModelParts;
  readonly index: number;
  /** Of this part. */
  readonly tensors: readonly ModelTensor[];
}

/** The first part has the model's inputs, the others what leaves the part before, and the mask. */
export function partInputs(part: PartOfModel): ReadonlyMap<string, TensorSpec> {
  const { model, parts, index, batchSize, length } = part;
  const all = batchInputs(part);
  if (index === 0) return all;
  const ofModel = model.inputs(batchSize, length);
  const along = [...all].filter(([name]) => name === model.mask || !ofModel.has(name));
  return new Map<string, TensorSpec>([
    [ENTERING, { shape: parts.shape(batchSize, length), dtype: "float32" }],
    ...along,
  ]);
}

/** The Gram matrices of these layers, as `gramProgram` gives them. */
export function partGramProgram(part: PartOfModel, layers: ReadonlySet<string>): Program {
  return {
    ...partFacts("grams", part),
    build: (tensors) => {
      const get = lookup(tensors);
      const outputs = new Map<string, Tensor>();
      through(part, get, gramWatch(part, get, layers, outputs));
      return outputs;
    },
  };
}

/** What leaves the part, of the last block all tokens. */
export function partProgram(part: PartOfModel): Program {
  return {
    ...partFacts("part", part),
    build: (tensors) => new Map([[LEAVING, through(part, lookup(tensors), { wholeLastBlock: true })]]),
  };
}

function partFacts(name: string, part: PartOfModel): Omit<Program, "build"> {
  return {
    name: `${name} ${part.index} of ${part.parts.blocks + 2}`,
    frozen: new Map(weightSpecs(part)),
    inputs: partInputs(part),
  };
}

/** Throws ConfigError for a model whose parts do not fit together. */
function through(part: PartOfModel, get: (name: string) => Tensor, watch: ModelWatch): Tensor {
  const { model, parts, index, batchSize, length } = part;
  const weights = givenWeights(get);
  const mask = model.mask === undefined ? undefined : get(model.mask);
  if (index > parts.blocks) return parts.behind(weights, get(ENTERING), mask, watch);
  const left =
    index === 0 ? parts.before(weights, get, watch) : parts.block(index - 1, weights, get(ENTERING), mask, watch);
  const shape = parts.shape(batchSize, length);
  if (left.shape.length === shape.length && left.shape.every((size, axis) => size === shape[axis])) return left;
  throw new ConfigError(
    `the model's parts: expected [${shape.join(", ")}] (parts.shape) to leave ${index === 0 ? "parts.before" : `block ${index - 1}`}, found [${left.shape.join(", ")}]`,
  );
}
