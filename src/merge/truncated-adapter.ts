/**
 * A model as an adapter of its base: the difference of every matrix truncated to the best one of a rank
 * (low-rank-approximation.ts), every other tensor that changed in full. Tensor by tensor, each pair of factors with the
 * error that it was stored with. How files and peft's settings look is in checkpoint/adapter/. As mergekit's
 * extract-lora, but for tensors that it leaves out.
 */
import { type PlannedFactors, planAdapter } from "../checkpoint/adapter/adapter-plan.js";
import { type WriteAdapterOptions, writeAdapter } from "../checkpoint/adapter/write-adapter.js";
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { decodeFloat16, encodeFloat16 } from "../checkpoint/float16.js";
import { anyLayout } from "../checkpoint/layout/common-names.js";
import { isDerived } from "../checkpoint/layout/tensor-layout.js";
import { requireFinite, subtractInto, tensorPlace } from "../checkpoint/task-vectors.js";
import { CheckpointError } from "../errors.js";
import { layoutOf } from "../model/families.js";
import { quote } from "../runtime/printable.js";
import { transposed } from "./kernels/products.js";
import { factorsError, type LowRankFactors, singularParts } from "./low-rank-approximation.js";

/** Of a model: what is needed of a checkpoint, or of weights in memory. */
export interface ChangedModel {
  /** For messages. */
  readonly path: string;
  /** By the base's names. What lacks here is as in the base. */
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>;
  readFloat32(name: string): Promise<Float32Array>;
}

export interface TruncatedAdapterOptions
  extends Pick<WriteAdapterOptions, "dtype" | "baseName" | "taskType" | "readme" | "replace"> {
  readonly base: Pick<Checkpoint, "path" | "config" | "tensors" | "readFloat32">;
  readonly model: ChangedModel;
  /** Cut to what a matrix can have. */
  readonly rank: number;
  readonly signal?: AbortSignal | undefined;
  /** After each matrix. */
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined;
}

/** A matrix whose change was truncated to factors. */
export interface TruncatedTensor {
  /** The base's. */
  readonly name: string;
  readonly rank: number;
  /** Frobenius norm of the change. */
  readonly norm: number;
  /** Norm of what the stored factors miss of the change, over its norm. */
  readonly error: number;
}

/** What an adapter that was written has of a model's change. */
export interface TruncatedAdapter {
  /** In the order of the file. */
  readonly truncated: readonly TruncatedTensor[];
  /** The base's tensors that are stored in full; some unchanged, that peft wants beside a changed one. */
  readonly whole: readonly string[];
  /**
   * Norm of what the adapter misses of the task vector, over the task vector's norm: of all tensors together, those in
   * full too.
   */
  readonly error: number;
}

/**
 * Writes the adapter at `directory`: peft and adamerge read base + B A + what is in full. Throws CheckpointError for
 * tensors that are not the base's, cannot be changed by an adapter (adapter-plan.ts) or are not finite, and for a model
 * that is the base; otherwise as `writeAdapter`.
 */
export async function saveTruncatedAdapter(
  directory: string,
  { base, model, rank, signal, onProgress, ...rest }: TruncatedAdapterOptions,
): Promise<TruncatedAdapter> {
  requireSameTensors(base, model);
  const read = async (name: string): Promise<Float32Array> => {
    const values = await (model.tensors.has(name) ? model : base).readFloat32(name);
    requireFinite(values, tensorPlace(model.path, name));
    return values;
  };
  const changeOf = async (name: string): Promise<Float32Array> => {
    const [after, before] = [await read(name), await base.readFloat32(name)];
    const change = new Float32Array(after.length);
    subtractInto(change, after, before, `${tensorPlace(model.path, name)}, minus the base`);
    return change;
  };
  const norms = new Map<string, number>();
  for (const [name, { shape }] of model.tensors) {
    signal?.throwIfAborted();
    // What the model computes is no part of a change.
    if (isDerived(anyLayout, name, shape)) continue;
    const norm = Math.sqrt((await changeOf(name)).reduce((sum, value) => sum + value * value, 0));
    if (norm > 0) norms.set(name, norm);
  }
  if (norms.size === 0)
    throw new CheckpointError(
      `${model.path}: expected tensors that differ from ${base.path}, found none. Check the paths.`,
    );
  const plan = planAdapter(base, new Set(norms.keys()), rank, { modules: layoutOf(base.config).modules });
  const truncated: TruncatedTensor[] = [];
  const factors = async (planned: PlannedFactors): Promise<LowRankFactors> => {
    signal?.throwIfAborted();
    const stored = await changeOf(planned.name);
    const change = planned.isTransposed ? transposed(stored, planned.outputs) : stored;
    const found = asStored(singularParts(change, planned.inputs).factors(planned.rank), rest.dtype);
    const { difference, norm } = factorsError(change, planned.inputs, found);
    truncated.push({ name: planned.name, rank: planned.rank, norm, error: difference / norm });
    onProgress?.({ done: truncated.length, total: plan.factors.length });
    return found;
  };
  await writeAdapter(directory, { ...rest, plan, factors, whole: read });
  const all = Math.hypot(...norms.values());
  const missed = Math.hypot(...truncated.map(({ error, norm }) => error * norm));
  return { truncated, whole: plan.whole.map(({ name }) => name), error: missed / all };
}

function requireSameTensors(base: Pick<Checkpoint, "path" | "tensors">, model: ChangedModel): void {
  for (const [name, { shape }] of model.tensors) {
    const own = base.tensors.get(name)?.shape;
    if (own?.join() === shape.join()) continue;
    throw new CheckpointError(
      `${model.path}: tensor ${quote(name)} [${shape.join(", ")}]: expected the same in the base ${base.path}, found ${own === undefined ? "none" : `shape [${own.join(", ")}]`}. Use a model fine-tuned from this base.`,
    );
  }
}

/** Factors as they will be read. */
export function asStored({ a, b }: LowRankFactors, dtype: TruncatedAdapterOptions["dtype"]): LowRankFactors {
  const rounded = (values: Float32Array): Float32Array =>
    dtype === "F32" ? values : decodeFloat16(encodeFloat16(values));
  return { a: rounded(a), b: rounded(b) };
}
