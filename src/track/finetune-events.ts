/** What happens in a fine-tuning as trackers, programs and metrics.jsonl are told it, and what it came to. */
import { z } from "zod";
import type { JsonKind } from "../runtime/json-file.js";
import type { Metrics } from "./metrics.js";

/** What a fine-tuning tells while it goes on. */
export type FinetuneEvent = FinetuneStepEvent | FinetuneEvaluationEvent;

/** A step has been made. */
export interface FinetuneStepEvent {
  readonly type: "finetune step";
  /** From 1. */
  readonly step: number;
  /** Of the whole training. */
  readonly steps: number;
  /** In nats, mean over the batch, before the update. */
  readonly loss: number;
  readonly learningRate: number;
  /** L2 norm of the whole gradient, before clipping. */
  readonly gradientNorm: number;
  /** Wall time of the step. */
  readonly seconds: number;
}

/** The weights after a step were judged on what is held out; step 0: those before the training. */
export interface FinetuneEvaluationEvent {
  readonly type: "finetune evaluation";
  readonly step: number;
  readonly accuracyPercent: number;
  /** Mean cross-entropy. */
  readonly lossNats: number;
}

/** Names in metrics.jsonl of what is held out: accuracy in percent, loss in nats. */
export const HELD_ACCURACY = "eval/acc";
export const HELD_LOSS = "eval/loss";

/** The line of metrics.jsonl of an event. */
export function finetuneMetrics(event: FinetuneEvent): Metrics {
  const { step } = event;
  if (event.type === "finetune evaluation")
    return { step, [HELD_ACCURACY]: event.accuracyPercent, [HELD_LOSS]: event.lossNats };
  return {
    step,
    "train/loss": event.loss,
    "train/learning_rate": event.learningRate,
    "train/gradient_norm": event.gradientNorm,
    "time/step_seconds": event.seconds,
  };
}

const summarySchema = z.object({
  task: z.string(),
  classes: z.array(z.string()),
  /** Whose weights were saved, of how many. */
  step: z.int(),
  steps: z.int(),
  /** Of all steps. */
  seconds: z.number(),
  lossNats: z.number(),
  /** Of the model before the training and of the saved one; absent where there was nothing to judge. */
  accuracyPercent: z.object({
    before: z.number().exactOptional(),
    held: z.number().exactOptional(),
    test: z.number().exactOptional(),
  }),
  /** What was saved: `model`, `adapter`, `classifier`. */
  folders: z.array(z.string()),
});

/** The content of a fine-tuning's summary.json. */
export type FinetuneSummary = z.output<typeof summarySchema>;

export const finetuneSummaryKind: JsonKind<FinetuneSummary> = {
  what: "the summary of a fine-tuning",
  schema: summarySchema,
  advice: "put the file back, or delete it to do without",
};
