/**
 * Merges checkpoints of any architecture and size into a Hugging Face folder: threads stream tensors from the models' files into the result's,
 * which is published when it is complete. A merge that is stopped or killed goes on where it was.
 */
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { MODEL_NAME } from "../../checkpoint/checkpoint.js";
import { copyCompanions } from "../../checkpoint/companions.js";
import { openElementReader } from "../../checkpoint/element-reader.js";
import { formerCheckpoint } from "../../checkpoint/former-checkpoint.js";
import type { Hub } from "../../checkpoint/hub/request.js";
import { layoutSafetensors, type WriteSpec } from "../../checkpoint/safetensors-writer.js";
import { DEFAULT_MAX_SHARD_BYTES, shardIndexText, splitIntoShards } from "../../checkpoint/save-checkpoint.js";
import { INDEX_NAME, shardName } from "../../checkpoint/shard-index.js";
import { elementBytes, itemBytes } from "../../checkpoint/stored-tensor.js";
import type { MergeFile } from "../../config/merge-file.js";
import { assert } from "../../errors.js";
import { mergeMethods } from "../../merge/methods/registry.js";
import { writeHeads } from "../heads/heads-folder.js";
import { packageVersion } from "../records/records.js";
import { addAdapters } from "./adapted-jobs.js";
import { mergeCard } from "./card.js";
import { type MergeRest, planRest } from "./companion-files.js";
import { type HeadsPlan, planHeads } from "./expert-heads.js";
import type { MergeTask, TensorJob } from "./jobs.js";
import { requireMergePlace } from "./merge-place.js";
import { PIECE_ELEMENTS } from "./merge-tensor.js";
import { modelSource } from "./model-source.js";
import { type MergePlan, type PlannedJob, planMerge } from "./plan.js";
import { openStaging, type Shard, type Staging } from "./staging.js";
import { workOff } from "./workers.js";

/** The disk shall be at work from the beginning: what it has not written when all is merged is waited for. */
const KEEP_EVERY_MS = 250;

export interface MergeProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Since this start of the merge. */
  readonly seconds: number;
}

export interface MergeModelsOptions {
  readonly overwrite: boolean;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
  readonly onProgress: (progress: MergeProgress) => void;
  /** 0: as many as there are cores. */
  readonly threads?: number;
  readonly maxShardBytes?: number;
  /** For models on the hub. */
  readonly hub?: Hub;
  /** Our cache: no output may touch it. */
  readonly cacheDir?: string;
}

/** How a merge by a merge file ended, with the bytes written and the seconds taken by this call. */
export interface MergeResult {
  /** "interrupted": what was done is kept, and the same call goes on with it. */
  readonly reason: "finished" | "interrupted";
  readonly writtenBytes: number;
  readonly seconds: number;
}

/** Merges the models of `file` into the folder `output`. Throws UserErrors for everything a person can put right. */
export async function mergeModels(file: MergeFile, output: string, options: MergeModelsOptions): Promise<MergeResult> {
  const replace = options.overwrite ? { recognise: formerCheckpoint } : undefined;
  await requireMergePlace(file, output, options);
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1000;
  const plan = await planMerge(file, options.hub);
  const rest = await planRest(plan, file.dtype);
  const heads = await planHeads(plan);
  const shards = shardsOf(plan.specs, options.maxShardBytes ?? DEFAULT_MAX_SHARD_BYTES);
  const staging = await openStaging(output, fingerprintOf(file, plan, shards), shards, {
    signal: options.signal,
    onWait: options.log,
  });
  try {
    const adapted = await addAdapters(plan, staging.scratch, options);
    if (adapted === undefined) return { reason: "interrupted", writtenBytes: 0, seconds: seconds() };
    const jobs = placed(adapted, shards, staging.folder);
    const totalBytes = jobs.reduce((sum, job) => sum + bytesOf(job), 0);
    const left = jobs.filter(({ name }) => !staging.done.has(name));
    let doneBytes = totalBytes - left.reduce((sum, job) => sum + bytesOf(job), 0);
    const before = doneBytes;
    if (staging.done.size > 0)
      options.log(`goes on with ${staging.folder}: ${staging.done.size} of ${jobs.length} tensors are there`);
    for (const notice of [...plan.notices, ...rest.notices, ...heads.notices]) options.log(`notice: ${notice}`);
    const threads = options.threads || availableParallelism();
    const task = await taskOf(file, plan, jobs, options.signal);
    if (task === undefined) return { reason: "interrupted", writtenBytes: 0, seconds: seconds() };
    const keeper = keepNowAndThen(staging);
    await workOff(task, bySize(left), {
      threads,
      signal: options.signal,
      onBytes: (bytes) => {
        doneBytes += bytes;
        options.onProgress({ doneBytes, totalBytes, seconds: seconds() });
      },
      onDone: keeper.add,
    }).finally(keeper.finish);
    const writtenBytes = doneBytes - before;
    if (staging.done.size < jobs.length) return { reason: "interrupted", writtenBytes, seconds: seconds() };
    await writeRest(file, { ...rest, plan, heads }, shards, staging.rest);
    const aside = await staging.publish(replace);
    if (aside !== undefined) options.log(`warning: ${aside}: files came into the old result meanwhile; they are there`);
    return { reason: "finished", writtenBytes, seconds: seconds() };
  } finally {
    await staging.release();
  }
}

function shardsOf(specs: readonly WriteSpec[], maxShardBytes: number): Shard[] {
  const parts = splitIntoShards(specs, maxShardBytes);
  // transformers refuses a safetensors file whose metadata does not name a framework.
  const metadata = { format: "pt" };
  return parts.map((part, index) => {
    const name = parts.length === 1 ? MODEL_NAME : shardName(index + 1, parts.length);
    return { name, layout: layoutSafetensors(name, part, { metadata }) };
  });
}

/** Everything that the result follows from: a stopped merge goes on only when all of it is the same. */
function fingerprintOf(file: MergeFile, plan: MergePlan, shards: readonly Shard[]): string {
  const { method, parameters, seed } = file;
  const layout = shards.map(({ name, layout: { sizeBytes } }) => [name, sizeBytes]);
  const { jobs, adapted } = plan;
  const text = JSON.stringify({ version: packageVersion(), method, parameters, seed, layout, jobs, adapted });
  return createHash("sha256").update(text).digest("hex");
}

function placed(planned: readonly PlannedJob[], shards: readonly Shard[], folder: string): TensorJob[] {
  const places = new Map(
    shards.flatMap(({ name, layout }) =>
      layout.ordered.map((spec) => {
        const byteOffset = layout.offsets.get(spec.name);
        assert(byteOffset !== undefined, `no place for ${spec.name}`);
        return [spec.name, { path: join(folder, name), byteOffset, dtype: spec.dtype }] as const;
      }),
    ),
  );
  return planned.map((job) => {
    const output = places.get(job.name);
    assert(output !== undefined, `no place for ${job.name}`);
    return { ...job, output };
  });
}

/** Bytes that the job writes. */
function bytesOf({ work, size, output }: TensorJob): number {
  return work.kind === "copy" ? elementBytes(work.from) : size * itemBytes(output.dtype);
}

/** The largest first, so that no thread is left with one at the end. */
function bySize(jobs: readonly TensorJob[]): TensorJob[] {
  return jobs.toSorted((a, b) => b.size - a.size);
}

interface Keeper {
  /** Notes a tensor as written. */
  readonly add: (tensor: string) => void;
  /** Makes all notes durable. */
  readonly finish: () => Promise<void>;
}

/** Makes notes of tensors durable now and then, one time after another: on a slow disk they would pile up, and outlast the merge. */
function keepNowAndThen(staging: Staging): Keeper {
  let last = performance.now();
  let keeping: Promise<void> | undefined;
  return {
    add: (tensor) => {
      staging.add(tensor);
      if (keeping !== undefined || performance.now() - last < KEEP_EVERY_MS) return;
      last = performance.now();
      keeping = staging
        .keep()
        // A disk that refuses fails the last `keep` too, which is waited for.
        .catch(() => undefined)
        .finally(() => {
          keeping = undefined;
        });
    },
    finish: async () => {
      await keeping;
      await staging.keep();
    },
  };
}

/** Undefined when it was interrupted. */
async function taskOf(
  { method, seed, parameters }: MergeFile,
  plan: MergePlan,
  jobs: readonly TensorJob[],
  signal: AbortSignal,
): Promise<MergeTask | undefined> {
  const isWhole = method.kind === "whole-model";
  const tensors = isWhole ? jobs.filter(({ work }) => work.kind === "whole-model") : [];
  const findings = new Map<string, unknown>();
  const task = { method, seed, parameters, tensors, findings };
  if (!isWhole) return task;
  const found = mergeMethods.get(method.name);
  assert(found !== undefined, `no method ${plan.title}`);
  // Looks at the whole model once, for all threads.
  const reader = openElementReader();
  try {
    const source = modelSource(task, reader, signal);
    await found.prepare({ source, seed, pieceElements: PIECE_ELEMENTS, findings }, parameters);
    return task;
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  } finally {
    reader.close();
  }
}

async function writeRest(
  file: MergeFile,
  { plan, config, files, heads: { heads } }: MergeRest & { readonly plan: MergePlan; readonly heads: HeadsPlan },
  shards: readonly Shard[],
  folder: string,
): Promise<void> {
  if (config !== undefined) await writeFile(join(folder, "config.json"), config);
  if (shards.length > 1) {
    const weightMap = shards.flatMap(({ name, layout }) => layout.ordered.map((spec) => [spec.name, name] as const));
    await writeFile(join(folder, INDEX_NAME), shardIndexText(plan.specs, weightMap));
  }
  await copyCompanions(files, folder);
  await writeHeads(folder, heads);
  await writeFile(join(folder, "merge.yaml"), file.text);
  const tasks = heads.map(({ head }) => head.task);
  await writeFile(join(folder, "README.md"), await mergeCard(file, plan, { config, files }, packageVersion(), tasks));
}
