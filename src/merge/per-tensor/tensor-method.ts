/**
 * What a method is that merges each tensor by itself, as mergekit defines its methods: settings that may differ from tensor to tensor and
 * model to model, and a function over pieces of one tensor. M models, N elements of a piece.
 */
import type { z } from "zod";
import type { Kernels } from "../kernels/kernels.js";

/** Neighbouring elements of a tensor, in arrays of the kernels' memory. */
export interface TensorPiece {
  /** Index of the first element within the tensor. */
  readonly from: number;
  /** Only where the method has a base. */
  readonly baseN: Float32Array | undefined;
  /** M arrays of N: the models' values, or what they add to the base, as the method asks. */
  readonly modelsMN: readonly Float32Array[];
}

export interface TensorToMerge {
  readonly name: string;
  readonly size: number;
  readonly seed: number;
  readonly kernels: Kernels;
  /** All of the tensor in pieces, in order, as often as a method likes. The arrays are used again for the next piece, and may be changed. */
  stream(): Iterable<TensorPiece>;
}

/** The merged values [N] of a piece, float32; it may reuse the piece's arrays. Called for every piece once, in order. */
export type MergeTensorPiece = (piece: TensorPiece) => Float32Array;

/** Of a tensor: its merged value is that of a weighted sum. */
export interface ModelWeights {
  readonly base: number;
  readonly modelsM: readonly number[];
}

interface TensorMethodSpec<PerModel extends z.ZodObject, Shared extends z.ZodObject> {
  /** As under `merge_method`. */
  readonly name: string;
  readonly title: string;
  readonly paper: string;
  /** What the pieces hold of the models: their values, or their differences from the base, which they then need. */
  readonly inputs: "models" | "task-vectors";
  /** Whether there must be a base; without one all listed models are merged alike. */
  readonly base: "required" | "unused";
  /** How many models besides the base, where not any number. */
  readonly count?: number;
  readonly perModel: PerModel;
  readonly shared: Shared;
  /**
   * For methods that only weigh models: what the base and each model [M] are multiplied with in one tensor, whatever
   * they hold. By it a merge of adapters is one adapter.
   */
  readonly weights?: (
    tensor: { readonly name: string },
    perModelM: readonly z.output<PerModel>[],
    shared: z.output<Shared>,
  ) => ModelWeights;
  /** Looks at the tensor as often as it needs, and returns the function that merges a piece of it. */
  readonly prepare: (
    tensor: TensorToMerge,
    perModelM: readonly z.output<PerModel>[],
    shared: z.output<Shared>,
  ) => MergeTensorPiece;
}

/** A method as the registry holds it: settings are checked by its schemas when a tensor is prepared. */
export interface TensorMethod extends Omit<TensorMethodSpec<z.ZodObject, z.ZodObject>, "prepare" | "weights"> {
  /** Throws ZodError for wrong settings. */
  readonly weights?: (
    tensor: { readonly name: string },
    perModelM: readonly unknown[],
    shared: unknown,
  ) => ModelWeights;
  /** Throws ZodError for wrong settings. */
  readonly prepare: (tensor: TensorToMerge, perModelM: readonly unknown[], shared: unknown) => MergeTensorPiece;
}

/** Keeps the types of a method's settings inside its file. */
export function defineTensorMethod<PerModel extends z.ZodObject, Shared extends z.ZodObject>(
  spec: TensorMethodSpec<PerModel, Shared>,
): TensorMethod {
  const { weights, ...rest } = spec;
  const parsed = (perModelM: readonly unknown[], shared: unknown) =>
    [perModelM.map((settings) => spec.perModel.parse(settings)), spec.shared.parse(shared)] as const;
  return {
    ...rest,
    ...(weights === undefined
      ? {}
      : { weights: (tensor, perModelM, shared) => weights(tensor, ...parsed(perModelM, shared)) }),
    prepare: (tensor, perModelM, shared) => spec.prepare(tensor, ...parsed(perModelM, shared)),
  };
}
