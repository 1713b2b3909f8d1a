/** A fine-tuning in its run's folder, from the environment that is noted to the state that is removed. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Head } from "../../model/heads.js";
import { removeFineTuneState } from "../../optimize/fine-tune/state.js";
import { gitCheckout } from "../../runtime/git-checkout.js";
import { asPiece } from "../../runtime/progress.js";
import { type FinetuneEvent, finetuneMetrics, HELD_ACCURACY } from "../../track/finetune-events.js";
import { environmentRecord } from "../records/records.js";
import { finishTracking, trackRun } from "../records/tracking.js";
import { type FinetuneResult, finishRun, resultOf } from "./finish-run.js";
import { BEST_FILE, bestWeights, createJudge, type Judge } from "./held-out.js";
import { type OpenRun, STATE_FILE, type Tell, trainNoted } from "./noted-steps.js";
import { reportFinetune, trainingRecords } from "./report-run.js";
import type { FinetuneOptions, Training } from "./training.js";

/** Of the run, while it has not finished: the head that it began with. */
export const HEAD_FILE = "start-head.safetensors";

/** Trains, judges and saves; closes the folder and says in it how the run ended. */
export async function trainIn(
  open: OpenRun,
  head: Head,
  training: Training,
  options: FinetuneOptions,
): Promise<FinetuneResult> {
  const { run } = open;
  const { engine, base, config } = training;
  const { model, weights, checkpoint, encoder } = base;
  const tracked = { kind: "finetune", runPath: run.path, config } as const;
  const tracker = options.tracking && trackRun(tracked, options.tracking, options.log);
  const tell = async (event: FinetuneEvent): Promise<void> => {
    const { step, ...values } = finetuneMetrics(event);
    await run.note(step, values);
    options.onEvent(event);
    tracker?.notify(event);
  };
  try {
    await run.writeEnvironment({
      ...environmentRecord(engine, { base: checkpoint, encoder, suite: { base: config.base } }),
      ...(options.cwd === undefined ? {} : await gitCheckout(options.cwd)),
      data: trainingRecords(training),
    });
    const measured = { engine, model, head, weights };
    const judge = await createJudge(measured);
    const best = bestWeights(run.path, measured);
    const before = await accuracyBefore(open, judge, training, tell);
    const learned = await trainNoted({ ...open, head, judge, best, tell }, training, options);
    if (learned.reason === "interrupted") {
      await run.setState("interrupted");
      await judge.close();
      return resultOf(run.path, training, learned, { before, held: undefined, test: undefined }, undefined);
    }
    const { result, judged } = await finishRun({ run, judge, best, before }, learned, training, options);
    await judge.close();
    await run.setState("finished");
    if (config.save_report)
      await asPiece(options.onProgress, "writing the report", () =>
        reportFinetune(run.path, judged, training, options.log),
      );
    for (const name of [BEST_FILE, HEAD_FILE]) await rm(join(run.path, name), { force: true });
    await removeFineTuneState(join(run.path, STATE_FILE));
    return result;
  } catch (error) {
    // On a full disk the state cannot be written either; the reason is worth more than the second error.
    await run.setState("failed", error instanceof Error ? error.message : String(error)).catch(() => {});
    throw error;
  } finally {
    await run.close();
    await finishTracking(tracker, options);
  }
}

/** On what is held out, noted at step 0. */
async function accuracyBefore(
  { notes }: OpenRun,
  judge: Judge,
  { data: { held } }: Training,
  tell: Tell,
): Promise<number | undefined> {
  const noted = notes.find((line) => line.step === 0 && typeof line[HELD_ACCURACY] === "number")?.[HELD_ACCURACY];
  if (typeof noted === "number" || held === undefined) return typeof noted === "number" ? noted : undefined;
  const { accuracyPercent, lossNats } = await judge.evaluate(held);
  await tell({ type: "finetune evaluation", step: 0, accuracyPercent, lossNats });
  return accuracyPercent;
}
