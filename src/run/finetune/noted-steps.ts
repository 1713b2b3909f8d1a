/** The steps of a fine-tuning as they go: what is noted of each, what is judged on the way, and which weights are kept. */
import { join } from "node:path";
import { NumericError } from "../../errors.js";
import type { Head } from "../../model/heads.js";
import { fineTune } from "../../optimize/fine-tune/fine-tune.js";
import type { FineTuned, FineTuneStepEvent } from "../../optimize/fine-tune/options.js";
import { inParts } from "../../runtime/progress.js";
import type { FinetuneEvent } from "../../track/finetune-events.js";
import type { MetricsLine } from "../../track/reopen-run.js";
import type { RunFolder } from "../../track/run-folder.js";
import type { BestWeights, Judge } from "./held-out.js";
import { type FinetuneOptions, type Training, tuningOf } from "./training.js";

/** What a run resumes from, in its folder, while it has not finished. */
export const STATE_FILE = "state.safetensors";

/** Lines about a training that nothing is held out in. */
const LOGGED = 10;

/** A run's folder that is open. */
export interface OpenRun {
  readonly run: RunFolder;
  /** Where it goes on. */
  readonly step: number;
  /** Lines of metrics.jsonl up to there. */
  readonly notes: readonly MetricsLine[];
}

/** Notes an event in metrics.jsonl, and tells it to who follows the run. */
export type Tell = (event: FinetuneEvent) => Promise<void>;

/** What the steps are noted in and judged by. */
export interface Loop extends OpenRun {
  readonly head: Head;
  readonly judge: Judge;
  readonly best: BestWeights;
  readonly tell: Tell;
}

/** Trains to the end or to an abort; notes every step, judges where that is due and keeps the best weights. */
export async function trainNoted(loop: Loop, training: Training, options: FinetuneOptions): Promise<FineTuned> {
  const { run, head, step: from } = loop;
  const { config, chosen } = training;
  const { steps } = chosen.schedule;
  const state = { path: join(run.path, STATE_FILE), everySteps: config.checkpoint_every };
  const events = fineTune({ ...tuningOf(training, head, options), state });
  return inParts(options.onProgress, { what: "training", total: steps, unit: "steps" }, async (more) => {
    if (from > 0) more(from);
    for (;;) {
      const next = await events.next();
      if (next.done === true) return next.value;
      if (next.value.type !== "step") continue;
      await noteStep(next.value, loop, training, options.log);
      more(1);
    }
  });
}

async function noteStep(
  event: FineTuneStepEvent,
  { run, judge, best, tell }: Loop,
  { config, chosen, data: { held } }: Training,
  log: (line: string) => void,
): Promise<void> {
  const { step, loss, learningRate, gradientNorm, seconds } = event;
  const { steps } = chosen.schedule;
  await tell({ type: "finetune step", step, steps, loss, learningRate, gradientNorm, seconds });
  const isLast = step === steps;
  const isDue = isLast || (chosen.evaluateEvery > 0 && step % chosen.evaluateEvery === 0);
  if (held === undefined) {
    if (isLast || step % Math.ceil(steps / LOGGED) === 0) log(`step ${step} of ${steps}: loss ${loss.toFixed(3)}`);
    return;
  }
  if (!isDue) return;
  const learned = event.weights();
  const { accuracyPercent, lossNats } = await judge.evaluate(held, learned).catch((error: unknown) => {
    if (!(error instanceof NumericError)) throw error;
    throw new NumericError(
      `step ${step}: on what is held out: ${error.message}. What was kept before it is in ${run.path}. Lower the learning rate, or make its warm-up longer`,
    );
  });
  await tell({ type: "finetune evaluation", step, accuracyPercent, lossNats });
  log(`step ${step} of ${steps}: loss ${loss.toFixed(3)}, held out ${accuracyPercent.toFixed(1)} %`);
  if (config.eval.keep === "best") await best.offer(learned, { step, score: accuracyPercent });
}
