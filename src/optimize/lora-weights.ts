/**
 * LoRA in a program: some matrices of the model are W + alpha / rank * B A, and A and B are given beside the model's
 * weights. O outputs, I inputs, R ranks. Source: Hu et al. 2021, arXiv:2106.09685, equation 3.
 */
import type { TensorSpec } from "../engine/program.js";
import { type Tensor, tf } from "../engine/tf.js";
import { assert } from "../errors.js";
import type { Model } from "../model/family.js";
import type { ModelWeights } from "../model/model-weights.js";
import { givenWeights } from "./step-program.js";

export interface LoraShape {
  readonly rank: number;
  /** The product of the factors is multiplied with alpha / rank. */
  readonly alpha: number;
  /** Names of the model's matrices that have factors. */
  readonly targets: ReadonlySet<string>;
  /** Share of the values of a layer's input that its factors are not given in a step; what is left is scaled up. 0 if absent. */
  readonly dropout?: number;
}

/** What factors of a tensor are called. */
export interface FactorNames {
  readonly a: string;
  readonly b: string;
}

/** Of the factors A [R, I] and B [O, R] of a tensor, in programs. */
export const factorInputs = (tensor: string): FactorNames => ({ a: `lora/${tensor}/a`, b: `lora/${tensor}/b` });

/** Of the values of its layer's input that the factors of a tensor are given, as 1 and 0, in programs. */
export const keptInput = (tensor: string): string => `lora/${tensor}/kept`;

/** Specs of all factors by the names of `factorInputs`, in the order of the model's tensors. */
export function loraSpecs({ tensors }: Pick<Model, "tensors">, { rank, targets }: LoraShape): [string, TensorSpec][] {
  return tensors
    .filter(({ name }) => targets.has(name))
    .flatMap(({ name, shape, sharesInput }): [string, TensorSpec][] => {
      const [outputs = 0, inputs = 0] = shape;
      assert(sharesInput !== undefined && shape.length === 2, `LoRA on ${name}, which is no linear layer`);
      const { a, b } = factorInputs(name);
      return [
        [a, { shape: [rank, inputs], dtype: "float32" }],
        [b, { shape: [outputs, rank], dtype: "float32" }],
      ];
    });
}

/**
 * The model's weights with the factors of its targets, in a program that is given all of them by name. With dropout the
 * scale of what is kept, 1 / (1 - dropout), is B's, which is smaller than what it would be multiplied with.
 */
export function loraWeights(
  { rank, alpha, targets, dropout = 0 }: LoraShape,
  get: (name: string) => Tensor,
): ModelWeights {
  return {
    ...givenWeights(get),
    factors: (name) => {
      if (!targets.has(name)) return undefined;
      const { a, b } = factorInputs(name);
      const factors = { aRI: get(a), bOR: tf.mul(get(b), alpha / rank / (1 - dropout)) };
      return dropout === 0 ? factors : { ...factors, keptX: get(keptInput(name)) };
    },
  };
}
