/**
 * A merge of LoRA experts, theta0 + sum_k w_k tau_k, as one adapter of their base: of matrices the experts' factors side
 * by side (stacked-factors.ts), exact at the sum of their ranks or truncated to fewer; what an expert has in full
 * (biases, modules that were trained whole, tables) in full, summed as weights are. Tensor by tensor. How files and
 * peft's settings look is in checkpoint/adapter/.
 */
import { type Adapter, readAdapted, scalingOf } from "../checkpoint/adapter/adapter.js";
import { type AdapterPlan, type PlannedFactors, planAdapter } from "../checkpoint/adapter/adapter-plan.js";
import { isTransposed } from "../checkpoint/adapter/orientation.js";
import { type WriteAdapterOptions, writeAdapter } from "../checkpoint/adapter/write-adapter.js";
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { readStoredFloat32 } from "../checkpoint/stored-tensor.js";
import { requireFinite, tensorPlace } from "../checkpoint/task-vectors.js";
import { assert, CheckpointError } from "../errors.js";
import { layoutOf } from "../model/families.js";
import type { LowRankFactors } from "./low-rank-approximation.js";
import {
  type StackedFactors,
  stackError,
  stackedFactors,
  truncatedStack,
  type WeightedFactors,
} from "./stacked-factors.js";
import { asStored } from "./truncated-adapter.js";

/** An expert and how much of it is merged. */
export interface AdapterSummand {
  /** Its tensors by the base's names. */
  readonly adapter: Adapter;
  /** Of the task vector of one of the base's tensors; 0 where it is not merged. */
  readonly weightOf: (name: string) => number;
}

export interface SummedAdapterOptions
  extends Pick<WriteAdapterOptions, "dtype" | "baseName" | "taskType" | "readme" | "replace"> {
  readonly base: Pick<Checkpoint, "path" | "config" | "tensors" | "readFloat32">;
  readonly summands: readonly AdapterSummand[];
  /** The most that a matrix gets; undefined: the sum of its experts' ranks. */
  readonly rank: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** After each matrix. */
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined;
}

/** A matrix of an adapter that was made of several. */
export interface SummedMatrix {
  /** The base's. */
  readonly name: string;
  readonly rank: number;
  /** Of the experts' factors together: with `rank` below it, and below the matrix's own, the change was truncated. */
  readonly rankOfExperts: number;
  /** Frobenius norm of the merged change. */
  readonly norm: number;
  /** Norm of what the stored factors miss of it, over its norm; below 1e-7 it is rounding. */
  readonly error: number;
}

/** An adapter that was made of several, as it was written. */
export interface SummedAdapter {
  /** The largest of its matrices. */
  readonly rank: number;
  /** In the order of the file. */
  readonly matrices: readonly SummedMatrix[];
  /** The base's tensors that are stored in full. */
  readonly whole: readonly string[];
  /** Norm of what the adapter misses of the merged change, over the norm of that: of all tensors together. */
  readonly error: number;
}

/**
 * Writes the adapter at `directory`. Throws CheckpointError for experts of which nothing is merged, and for what an
 * adapter cannot change (adapter-plan.ts); otherwise as `writeAdapter`.
 */
export async function saveSummedAdapter(
  directory: string,
  { base, summands, rank, signal, onProgress, ...rest }: SummedAdapterOptions,
): Promise<SummedAdapter> {
  const { plan, expertRanks } = planOf(base, summands, rank);
  const matrices: SummedMatrix[] = [];
  const norms: number[] = [];
  const factors = async (planned: PlannedFactors): Promise<LowRankFactors> => {
    signal?.throwIfAborted();
    const stack = await readStack(planned, summands);
    const sum = planned.rank < stack.rank ? truncatedStack(stack, planned.rank) : inSingle(stack);
    const stored = asStored(sum, rest.dtype);
    const { difference, norm } = stackError(stack, { ...stored, rank: planned.rank });
    const rankOfExperts = expertRanks.get(planned.name) ?? 0;
    matrices.push({
      name: planned.name,
      rank: planned.rank,
      rankOfExperts,
      norm,
      error: norm === 0 ? 0 : difference / norm,
    });
    norms.push(norm);
    onProgress?.({ done: matrices.length, total: plan.factors.length });
    return stored;
  };
  const whole = async (name: string): Promise<Float32Array> => {
    signal?.throwIfAborted();
    const { values, norm } = await summedTensor(name, base, summands);
    norms.push(norm);
    return values;
  };
  await writeAdapter(directory, { ...rest, plan, factors, whole });
  const [all, missed] = [Math.hypot(...norms), Math.hypot(...matrices.map(({ error, norm }) => error * norm))];
  return {
    rank: plan.rank,
    matrices,
    whole: plan.whole.map(({ name }) => name),
    error: all === 0 ? 0 : missed / all,
  };
}

/** The adapters that change a tensor, as far as they are merged there. */
function merged(name: string, summands: readonly AdapterSummand[]): readonly (AdapterSummand & { weight: number })[] {
  return summands
    .filter(({ adapter: { factors, replaced } }) => factors.has(name) || replaced.has(name))
    .map((summand) => ({ ...summand, weight: summand.weightOf(name) }))
    .filter(({ weight }) => weight !== 0);
}

/** With the ranks of the experts' factors of each tensor together. */
function planOf(
  base: SummedAdapterOptions["base"],
  summands: readonly AdapterSummand[],
  most = Number.POSITIVE_INFINITY,
): { readonly plan: AdapterPlan; readonly expertRanks: ReadonlyMap<string, number> } {
  const [changed, inFull] = [new Set<string>(), new Set<string>()];
  const expertRanks = new Map<string, number>();
  for (const name of base.tensors.keys()) {
    const own = merged(name, summands);
    if (own.length === 0) continue;
    changed.add(name);
    if (own.every(({ adapter }) => isLowRank(name, adapter)))
      expertRanks.set(
        name,
        own.reduce((sum, { adapter }) => sum + rankOf(name, adapter), 0),
      );
    else inFull.add(name);
  }
  if (changed.size === 0)
    throw new CheckpointError(
      `${base.path}: expected adapters that are merged with coefficients other than 0, found none: the merged model is its base. Check the coefficients.`,
    );
  const ranks = new Map([...expertRanks].map(([name, sum]) => [name, Math.min(sum, most)]));
  const largest = Math.max(
    1,
    ...[...ranks].map(([name, own]) => Math.min(own, ...(base.tensors.get(name)?.shape ?? []))),
  );
  const plan = planAdapter(base, changed, largest, { ranks, inFull, modules: layoutOf(base.config).modules });
  // Of a square matrix only what the experts say may tell.
  const factors = plan.factors.map((planned) => ({
    ...planned,
    isTransposed: merged(planned.name, summands).some(({ adapter: { factors, config } }) => {
      const pair = factors.get(planned.name);
      return pair !== undefined && isTransposed(pair, planned.name, base.tensors, config.isFanIn);
    }),
  }));
  return { plan: { ...plan, factors }, expertRanks };
}

/** Whether all that the adapter changes of a tensor is a product of factors of a linear layer. */
function isLowRank(name: string, { factors, replaced, below }: Adapter): boolean {
  const pair = factors.get(name);
  return (
    pair !== undefined && !pair.isEmbedding && pair.a.shape.length === 2 && !replaced.has(name) && !below.has(name)
  );
}

/** A tangent at initial factors has twice their rank. */
function rankOf(name: string, { factors }: Adapter): number {
  const pair = factors.get(name);
  return (pair?.a.shape[0] ?? 0) * (pair?.initial === undefined ? 1 : 2);
}

async function readStack(
  { name, outputs, inputs }: PlannedFactors,
  summands: readonly AdapterSummand[],
): Promise<StackedFactors> {
  const all: WeightedFactors[] = [];
  for (const { adapter, weight: own } of merged(name, summands)) {
    const pair = adapter.factors.get(name);
    assert(pair !== undefined, `no factors of ${name}`);
    const weight = own * scalingOf(adapter.config, pair);
    const rank = pair.a.shape[0] ?? 1;
    const [a, b] = [await readStoredFloat32(pair.a), await readStoredFloat32(pair.b)];
    if (pair.initial === undefined) all.push({ weight, rank, a, b });
    else {
      // B A0 + B0 (A - A0), in low-rank.ts.
      const [a0, b0] = [await readStoredFloat32(pair.initial.a), await readStoredFloat32(pair.initial.b)];
      const difference = Float64Array.from(a, (value, index) => value - (a0[index] ?? 0));
      all.push({ weight, rank, a: a0, b }, { weight, rank, a: difference, b: b0 });
    }
    for (const { a: aKI, b: bOK } of all.slice(-2))
      for (const values of [aKI, bOK]) requireFinite(Float32Array.from(values), tensorPlace(adapter.path, name));
  }
  return stackedFactors(all, outputs, inputs);
}

function inSingle({ a, b }: StackedFactors): LowRankFactors {
  return { a: Float32Array.from(a), b: Float32Array.from(b) };
}

/** As merged-weights.ts sums it, rounded once, with the norm of its change. */
async function summedTensor(
  name: string,
  base: SummedAdapterOptions["base"],
  summands: readonly AdapterSummand[],
): Promise<{ readonly values: Float32Array; readonly norm: number }> {
  const before = await base.readFloat32(name);
  const sumN = Float64Array.from(before);
  for (const { adapter, weight } of merged(name, summands)) {
    const after = await readAdapted(adapter, name, base, name);
    assert(after !== undefined, `no change of ${name}`);
    requireFinite(after, tensorPlace(adapter.path, name));
    for (let i = 0; i < sumN.length; i++)
      sumN[i] = (sumN[i] ?? 0) + weight * Math.fround((after[i] ?? 0) - (before[i] ?? 0));
  }
  const squares = sumN.reduce((sum, value, index) => sum + (value - (before[index] ?? 0)) ** 2, 0);
  return { values: Float32Array.from(sumN), norm: Math.sqrt(squares) };
}
