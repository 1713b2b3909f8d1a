/** What a fine-tuning works with: model, data, engine, and the settings that follow from them, opened and checked. */
import { basename, resolve } from "node:path";
import type { FinetuneConfig } from "../../config/finetune.js";
import { createEngine } from "../../engine/create-engine.js";
import type { Engine } from "../../engine/program.js";
import { ConfigError } from "../../errors.js";
import type { Head } from "../../model/heads.js";
import type { FineTuning } from "../../optimize/fine-tune/options.js";
import type { OnProgress } from "../../runtime/progress.js";
import type { FinetuneEvent } from "../../track/finetune-events.js";
import type { CustomTracking, Tracking } from "../records/tracking.js";
import { type ChosenSettings, chooseSettings } from "./choose-settings.js";
import { type OpenedBase, openFinetunedBase } from "./open-base.js";
import { startHead } from "./start-head.js";
import { openTrainingData, type TrainingData } from "./training-data.js";

export interface FinetuneOptions {
  readonly cacheDir: string;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
  readonly detail: (line: string) => void;
  readonly onProgress: OnProgress;
  readonly onEvent: (event: FinetuneEvent) => void;
  /** Where the run is delivered to while it goes on. */
  readonly tracking?: Tracking | CustomTracking;
  /** The folder whose git checkout is noted, if it lies in one. */
  readonly cwd?: string;
  /** Replace an earlier run of the same name. */
  readonly overwrite: boolean;
  /** Milliseconds now. */
  readonly clock: () => number;
}

export interface Training {
  readonly config: FinetuneConfig;
  readonly task: string;
  readonly base: OpenedBase;
  readonly data: TrainingData;
  readonly chosen: ChosenSettings;
  readonly engine: Engine;
}

/** Opens all that a training reads, gives it to `work` and closes the engine whatever happens. */
export async function withTraining<T>(
  config: FinetuneConfig,
  options: FinetuneOptions,
  work: (training: Training) => Promise<T>,
): Promise<T> {
  const base = await openFinetunedBase(config);
  const data = await openTrainingData(config, base.encoder, options);
  if (config.eval.keep === "best" && data.held === undefined)
    throw new ConfigError(
      "eval.keep: expected held-out examples to be best on, found none; raise eval.share, add examples, or say eval.keep=last",
    );
  options.log(data.assumed);
  const chosen = chooseSettings(config, base.family, base.model, data.train.size);
  const { schedule } = chosen;
  options.log(
    `${schedule.steps} steps of ${config.batch_size}, learning rate ${schedule.learningRate}${config.optimizer.learning_rate === null ? ` (usual for a ${base.family.title} of this width)` : ""}`,
  );
  if (chosen.passes > 1) options.log(`each step in ${chosen.passes} parts, to stay within memory_gb`);
  const { engine, reason } = await createEngine(config);
  options.detail(`engine: ${reason}`);
  try {
    return await work({ config, task: taskOf(config), base, data, chosen, engine });
  } finally {
    await engine.close();
  }
}

/** As the loop takes it. */
export function tuningOf(
  { config, engine, task, base: { model, weights }, data, chosen }: Training,
  head: Head,
  { signal, clock }: FinetuneOptions,
): FineTuning {
  const { optimizer, freeze, label_smoothing, seed, batch_size } = config;
  const { beta1, beta2, epsilon, weight_decay: weightDecay, max_grad_norm } = optimizer;
  const { schedule, lora, rateFactor, passes } = chosen;
  return {
    ...{ engine, model, weights, freeze, seed, schedule, passes, signal, clock },
    ...(lora === undefined ? {} : { lora }),
    trainHeads: config.head.kind === "linear",
    tasks: [{ name: task, store: data.train, examplesPerStep: batch_size, head }],
    adamw: { beta1, beta2, epsilon, weightDecay, rateFactor },
    labelSmoothing: label_smoothing,
    clipNorm: max_grad_norm ?? Number.POSITIVE_INFINITY,
  };
}

/** The head that it begins with. */
export function firstHead(
  training: Training,
  { cacheDir, detail, onProgress, signal }: FinetuneOptions,
): Promise<Head> {
  const { config, engine, task, base, data } = training;
  const { checkpoint, model, encoder, family, weights } = base;
  return startHead(config, {
    ...{ engine, task, family, weights, classes: data.classes, train: data.train },
    ...{ cacheDir, detail, onProgress, signal },
    own: { base: checkpoint, model, encoder },
  });
}

/** The name of the data where none is given: what a name of a folder may not have becomes a dash. */
export function taskOf({ task, data }: FinetuneConfig): string {
  if (task !== null) return task;
  const name = basename(resolve(data)).replace(/\.[A-Za-z0-9.]+$/, "");
  return name.replace(/[^A-Za-z0-9_.+=-]+/g, "-").replace(/^[^A-Za-z0-9_]+/, "") || "task";
}
