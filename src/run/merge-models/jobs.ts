/** What the main thread hands to the workers of a merge: plain data, one job for each tensor. */
import type { TensorLocation } from "../../checkpoint/element-reader.js";

export interface TensorJob {
  readonly name: string;
  readonly shape: readonly number[];
  readonly size: number;
  /** Of the base, where the method has one. */
  readonly base: TensorLocation | undefined;
  /** Of the models that are merged, in order. */
  readonly models: readonly TensorLocation[];
  /** The models' names, for messages. */
  readonly modelNames: readonly string[];
  readonly work:
    | { readonly kind: "copy"; readonly from: TensorLocation }
    /** Settings of a method that merges each tensor by itself. */
    | { readonly kind: "tensor"; readonly perModelM: readonly unknown[]; readonly shared: unknown }
    | { readonly kind: "whole-model" };
  readonly output: { readonly path: string; readonly byteOffset: number; readonly dtype: string };
}

/** What is the same for all jobs of a merge. */
export interface MergeTask {
  readonly method: { readonly kind: "per-tensor" | "whole-model"; readonly name: string };
  readonly seed: number;
  /** Of a method over the whole model. */
  readonly parameters: unknown;
  /** What it found out about the whole model already; see `MergeContext.remember`. */
  readonly findings: ReadonlyMap<string, unknown>;
  /** All tensors that are merged, for methods over the whole model. */
  readonly tensors: readonly TensorJob[];
}

export type WorkerRequest = { readonly kind: "merge"; readonly job: TensorJob };

export type WorkerReply =
  | { readonly kind: "progress"; readonly bytes: number }
  | { readonly kind: "done"; readonly name: string }
  | { readonly kind: "failed"; readonly error: string; readonly type: string };
