/** `finetune` for programs: a pretrained model fine-tuned on labelled data, as `adamerge finetune` does it. */
import path from "node:path";
import { type FinetuneConfig, finetuneConfig } from "../config/finetune.js";
import {
  type FinetunePlan,
  planFinetune as plan,
  resumeFinetune as resume,
  finetune as run,
} from "../run/finetune/finetune.js";
import type { FinetuneResult } from "../run/finetune/finish-run.js";
import { type Overrides, overrideTexts } from "./load-config.js";
import { resolveWork, type Work, type WorkOptions } from "./work-options.js";

/** How a model is fine-tuned, and where the run goes. */
export interface FinetuneOptions extends WorkOptions {
  /** `["lora.rank=8"]` as on the command line, or `{ epochs: 5, "optimizer.learning_rate": 1e-4 }`. docs/finetune.md lists the keys. */
  readonly settings?: Overrides | undefined;
}

/**
 * Fine-tunes the model in the folder `base` on the labelled images or texts in `data` (a folder in any layout that is
 * read, or a table), and writes a run folder, `<output>/finetune/<name>`, with the model and its head in `model/`. An
 * abort of `signal` ends it as interrupted. Throws UserErrors for what a person can put right.
 */
export async function finetune(base: string, data: string, options: FinetuneOptions = {}): Promise<FinetuneResult> {
  const work = resolveWork(options);
  return run(configOf(base, data, options.settings, work), withClock(work));
}

/**
 * Takes up a fine-tuning that was stopped or killed, with its own settings, and ends with the bits of one that was not.
 * Throws ConfigError for a folder that is no such run.
 */
export async function resumeFinetune(runPath: string, options: WorkOptions = {}): Promise<FinetuneResult> {
  const work = resolveWork(options);
  return resume(path.resolve(work.cwd, runPath), withClock(work));
}

/** Checks everything, times a step and writes nothing but the cache. Throws what `finetune` would throw before its first step. */
export async function planFinetune(base: string, data: string, options: FinetuneOptions = {}): Promise<FinetunePlan> {
  const work = resolveWork(options);
  return plan(configOf(base, data, options.settings, work), withClock(work));
}

/** With absolute paths. */
function configOf(base: string, data: string, settings: Overrides = [], { cwd, output }: Work): FinetuneConfig {
  const absolute = (place: string) => path.resolve(cwd, place);
  const config = finetuneConfig(absolute(base), absolute(data), overrideTexts(settings), cwd);
  const { head } = config;
  return {
    ...config,
    output: output ?? absolute(config.output),
    head: { ...head, text_model: head.text_model === null ? null : absolute(head.text_model) },
  };
}

function withClock(work: Work) {
  return { ...work, clock: () => performance.now() };
}
