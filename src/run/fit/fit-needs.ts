/** What a fit will need of this machine, said before the long work: memory of a step against what is free, bytes to write against the disk. */

import { statfs } from "node:fs/promises";
import { freemem, totalmem } from "node:os";
import { dirname } from "node:path";
import type { RunConfig } from "../../config/schema.js";
import { stageConfigs } from "../../config/stages.js";
import { kindOf } from "../../data/kinds.js";
import { paddedLength } from "../../data/lengths.js";
import { ConfigError } from "../../errors.js";
import type { TrainEvent } from "../../optimize/events.js";
import { learnedHeadsBytes } from "../../optimize/learned-heads.js";
import { parametrisationBytes } from "../../optimize/parametrisation/memory.js";
import { parametrisationOf } from "../../optimize/parametrisation/registry.js";
import { estimateStepBytes, microBatches } from "../../optimize/step-memory.js";
import { bytesText, duration } from "../../track/terminal.js";
import type { ComparedModels } from "../session/compared-models.js";
import type { SessionOptions } from "../session/session.js";

/** What a fit needs of the machine, in bytes. */
export interface FitNeeds {
  /** Estimated peak of the process besides mapped task vectors, and what the machine has left for it. */
  readonly memoryBytes: number;
  readonly freeMemoryBytes: number;
  /** What examples are padded to at most in these bytes, for models with lengths; and whether they may turn out to be shorter. */
  readonly longest?: number;
  readonly isMost?: boolean;
  /** Parts of a step that run one after another. */
  readonly passes: number;
  /** What the examples are, for people: "images", "texts". */
  readonly examples: string;
  readonly imagesPerStep: number;
  /** Base and task vectors in the cache, of which what a step needs is mapped. */
  readonly bundleBytes: number;
  /** The merged model in the run folder; 0 where it is not saved. */
  readonly modelBytes: number;
  /** Undefined where the file system does not tell. */
  readonly freeCacheBytes: number | undefined;
  readonly freeOutputBytes: number | undefined;
}

const F32_BYTES = 4;
const F16_BYTES = 2;
/** The share of free memory that a suggested `memory_gb` takes. */
const SUGGESTED_SHARE = 0.8;

/** An estimate of so many times the machine's memory is beyond doubt: no swapping helps. */
const HOPELESS = 2;

/** Throws ConfigError when memory_gb is too small for a step, and when a step would need several times the memory of the machine. */
export async function fitNeeds(config: RunConfig, models: ComparedModels, cacheDir: string): Promise<FitNeeds> {
  const { model, kind, tasks, longest, cutTo = Number.POSITIVE_INFINITY } = models;
  const isMost = model.lengths !== undefined && longest === undefined;
  const examplesPerTask = config.data.batch_size * config.data.batches_per_task;
  const isHalf = config.task_vectors.dtype === "float16";
  // The base itself is kept beside what task vectors are counted from.
  const bases = config.task_vectors.origin === "average" ? 2 : 1;
  const budgetBytes = config.memory_gb * 1e9;
  // The stage that holds most has the least left for its step.
  const besidesBytes = Math.max(...stageConfigs(config).map((stage, index) => learningBytes(stage, models, index > 0)));
  const size = { model, tasks, isHalf, besidesBytes };
  // Examples that are not known may all be short: only what is too much for those is certain.
  const least = isMost ? model.lengths[0] : longest;
  const passes = microBatches(budgetBytes, examplesPerTask, { ...size, longest: least, adaptedTasks: tasks });
  const most = longest ?? (model.lengths && paddedLength(model.lengths, cutTo));
  const memoryBytes = estimateStepBytes({ ...size, longest: most, examples: (examplesPerTask * tasks) / passes });
  if (memoryBytes > HOPELESS * totalmem() && !isMost) {
    throw new ConfigError(
      `data.batch_size: expected a step that fits into the ${bytesText(totalmem())} of this machine, found one of ${examplesPerTask * tasks} ${kindOf(kind).many} that needs about ${bytesText(memoryBytes)}; lower it or data.batches_per_task, or set memory_gb to split the step`,
    );
  }
  const elements = model.tensors.reduce((sum, { shape }) => sum + shape.reduce((product, dim) => product * dim, 1), 0);
  return {
    memoryBytes: isMost && budgetBytes > 0 ? Math.min(memoryBytes, budgetBytes) : memoryBytes,
    freeMemoryBytes: freemem(),
    ...(most === undefined ? {} : { longest: most, isMost }),
    passes,
    examples: kindOf(kind).many,
    imagesPerStep: examplesPerTask * tasks,
    bundleBytes: elements * (bases * F32_BYTES + tasks * (isHalf ? F16_BYTES : F32_BYTES)),
    modelBytes: config.save_model ? elements * F32_BYTES : 0,
    freeCacheBytes: await freeBytes(cacheDir),
    freeOutputBytes: await freeBytes(config.output),
  };
}

/** What is held besides a step of one stage, `isLater` if it is not the first; 0 for scalar coefficients under frozen heads. */
export function learningBytes(
  config: RunConfig,
  { model, tasks, heads }: Pick<ComparedModels, "model" | "tasks" | "heads">,
  isLater: boolean,
): number {
  const held = { isSplit: config.memory_gb > 0, isLater, keepsBest: config.stopping.rule !== "none" };
  const ofWeights = parametrisationBytes(parametrisationOf(config), model.tensors, tasks, held);
  if (config.heads === "frozen" || heads === undefined) return ofWeights;
  const { classes, featureSize } = heads;
  const adapters = config.heads === "surgery" ? 2 * tasks * config.heads_rank * featureSize : 0;
  return ofWeights + learnedHeadsBytes(classes * (featureSize + 1) + adapters, held);
}

/** Lines for people; warnings say what to do. */
export function needsLines(needs: FitNeeds): readonly string[] {
  const { memoryBytes, freeMemoryBytes, passes, imagesPerStep, bundleBytes, modelBytes, longest, isMost, examples } =
    needs;
  const about = isMost === true ? "at most" : "about";
  const padded = longest === undefined ? "" : `, padded to ${longest} at most`;
  const inPasses = passes > 1 ? ` in ${passes} passes` : "";
  const lines = [
    `memory: ${about} ${bytesText(memoryBytes)} for a step of ${imagesPerStep} ${examples}${inPasses}${padded}, ${bytesText(freeMemoryBytes)} free; task vectors are mapped from the disk`,
    `disk: ${bytesText(bundleBytes)} of task vectors in the cache${free(needs.freeCacheBytes)}` +
      (modelBytes === 0 ? "" : `, ${bytesText(modelBytes)} for the merged model${free(needs.freeOutputBytes)}`),
  ];
  if (memoryBytes > freeMemoryBytes && isMost !== true) {
    const budget = Math.max(1, Math.floor((freeMemoryBytes * SUGGESTED_SHARE) / 1e9));
    lines.push(
      `warning: a step needs more memory than is free; set memory_gb=${budget} to split its ${examples}, task_vectors.dtype=float16, or end other programs`,
    );
  }
  if (needs.freeOutputBytes !== undefined && modelBytes > needs.freeOutputBytes)
    lines.push(
      "warning: the merged model will not fit on the disk of the runs; choose another output, or save_model=false",
    );
  return lines;
}

/** Tells what the fit needs; what may go wrong is told to everybody. */
export async function sayNeeds(
  config: RunConfig,
  models: ComparedModels,
  { cacheDir, log, detail }: Pick<SessionOptions, "cacheDir" | "log" | "detail">,
): Promise<void> {
  for (const line of needsLines(await fitNeeds(config, models, cacheDir)))
    (line.startsWith("warning: ") ? log : detail)?.(line);
}

/** The step whose end tells how long the others take: the first warm up. */
const TIMED_STEPS = 3;
/** Below this nobody needs to be told. */
const LONG_SECONDS = 20;

/** A consumer of a fit's events that logs once how long it will take. */
export function estimateOnce(log: (line: string) => void): (event: TrainEvent) => void {
  let steps = 0;
  let lastStep = 0;
  return (event) => {
    if (event.type === "start") lastStep = event.steps;
    if (event.type !== "step" || ++steps !== TIMED_STEPS || event.secondsLeft < LONG_SECONDS) return;
    log(`time: about ${duration(event.secondsLeft)} for the ${lastStep - event.step} steps to come, judging apart`);
  };
}

function free(bytes: number | undefined): string {
  return bytes === undefined ? "" : ` (${bytesText(bytes)} free)`;
}

/** Of the file system that `folder` is on or will be on. */
async function freeBytes(folder: string): Promise<number | undefined> {
  const found = await statfs(folder).catch(() => undefined);
  if (found === undefined && dirname(folder) !== folder) return freeBytes(dirname(folder));
  return found === undefined || found.blocks === 0 ? undefined : found.bavail * found.bsize;
}
