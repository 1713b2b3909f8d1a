/** A fine-tuning in its run's folder: the loop, what is noted and kept on the way, and what it ends with. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { NumericError } from "../../errors.js";
import type { Head } from "../../model/heads.js";
import { fineTune } from "../../optimize/fine-tune/fine-tune.js";
import type { FineTuned, FineTunedWeights, FineTuneStepEvent } from "../../optimize/fine-tune/options.js";
import { removeFineTuneState } from "../../optimize/fine-tune/state.js";
import { gitCheckout } from "../../runtime/git-checkout.js";
import { asPiece, inParts } from "../../runtime/progress.js";
import { type FinetuneEvent, finetuneMetrics, HELD_ACCURACY } from "../../track/finetune-events.js";
import type { MetricsLine } from "../../track/reopen-run.js";
import type { RunFolder } from "../../track/run-folder.js";
import { environmentRecord } from "../records/records.js";
import { finishTracking, trackRun } from "../records/tracking.js";
import { BEST_FILE, type BestWeights, bestWeights, createJudge, type Judge } from "./held-out.js";
import { type JudgedPart, reportFinetune, trainingRecords } from "./report-run.js";
import { planSaving, type SavedFinetuned, saveFinetuned } from "./save-finetuned.js";
import { type FinetuneOptions, type Training, tuningOf } from "./training.js";
import type { ExampleSource, TrainingData } from "./training-data.js";

/** Of the run, while it has not finished: what it resumes from, and the head that it began with. */
export const STATE_FILE = "state.safetensors";
export const HEAD_FILE = "start-head.safetensors";

/** Lines about a training that nothing is held out in. */
const LOGGED = 10;

/** Accuracies in percent; undefined where there were no examples. */
export interface FinetuneAccuracies {
  /** On what was held out: of the model before the training, with the head that it began with, and of the saved one. */
  readonly before: number | undefined;
  readonly held: number | undefined;
  /** On the data's own test split, of the saved model. */
  readonly test: number | undefined;
}

/** What a fine-tuning left. */
export interface FinetuneResult {
  readonly runPath: string;
  /** "interrupted" after an abort: resuming takes up where it stopped. */
  readonly reason: "finished" | "interrupted";
  readonly task: string;
  readonly classes: readonly string[];
  /** The step whose weights were saved; of an interrupted training the last one done. */
  readonly step: number;
  readonly steps: number;
  /** Of all steps, over all interruptions. */
  readonly seconds: number;
  /** In nats, the mean of the training loss over about fifty steps. */
  readonly lossNats: number;
  readonly accuracyPercent: FinetuneAccuracies;
  /** Folders; none when interrupted. */
  readonly saved: SavedFinetuned | undefined;
}

/** A run's folder that is open. */
export interface OpenRun {
  readonly run: RunFolder;
  /** Where it goes on. */
  readonly step: number;
  /** Lines of metrics.jsonl up to there. */
  readonly notes: readonly MetricsLine[];
}

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
    const learned = await train({ ...open, head, judge, best, tell }, training, options);
    if (learned.reason === "interrupted") {
      await run.setState("interrupted");
      await judge.close();
      return resultOf(run.path, training, learned, { before, held: undefined, test: undefined }, undefined);
    }
    const { result, judged } = await finish({ run, judge, best, before }, learned, training, options);
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

/** Notes an event in metrics.jsonl, and tells it to who follows the run. */
type Tell = (event: FinetuneEvent) => Promise<void>;

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

interface Loop extends OpenRun {
  readonly head: Head;
  readonly judge: Judge;
  readonly best: BestWeights;
  readonly tell: Tell;
}

async function train(loop: Loop, training: Training, options: FinetuneOptions): Promise<FineTuned> {
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

interface Finishing extends Pick<Loop, "run" | "judge" | "best"> {
  readonly before: number | undefined;
}

/** Chooses the weights, judges and saves them. */
async function finish(
  { run, judge, best, before }: Finishing,
  learned: FineTuned,
  training: Training,
  options: FinetuneOptions,
): Promise<{ readonly result: FinetuneResult; readonly judged: JudgedPart | undefined }> {
  const { config, base, data } = training;
  const kept = config.eval.keep === "best" ? await best.record() : undefined;
  const chosen: FineTunedWeights = kept === undefined ? learned : await best.read();
  const on = async (part: string, store: TrainingData["held"], source: ExampleSource | undefined) =>
    store === undefined || source === undefined
      ? undefined
      : { part, source, labels: store.labels, evaluation: await judge.evaluate(store, chosen) };
  const held = await on("held-out", data.held, data.sources.held);
  const test = await on("test", data.test, data.sources.test);
  const percent = (judged: JudgedPart | undefined) => judged?.evaluation.accuracyPercent;
  const accuracies = { before, held: percent(held), test: percent(test) };
  const saved = await saveFinetuned(chosen, {
    ...{ ...base, runPath: run.path, config, classes: data.classes, log: options.log },
    saved: await planSaving(config.base, base.model),
    trainedOn: data.assumed,
    accuracies: accuracyRows(accuracies),
  });
  const result = resultOf(run.path, training, { ...learned, step: kept?.step ?? learned.step }, accuracies, saved);
  const { runPath: _, saved: folders, classes, ...summary } = result;
  await run.writeSummary({ ...summary, classes, folders: Object.keys(folders ?? {}) });
  return { result, judged: held ?? test };
}

function accuracyRows({ before, held, test }: FinetuneAccuracies): string[][] {
  const rows = [
    ["held out, before the training", before],
    ["held out", held],
    ["test", test],
  ] as const;
  const measured = rows.flatMap(([name, value]) => (value === undefined ? [] : [[name, value.toFixed(2)]]));
  return [["examples", "accuracy %"], ...measured];
}

function resultOf(
  runPath: string,
  { task, data, chosen }: Training,
  { step, reason, seconds, loss }: Pick<FineTuned, "step" | "reason" | "seconds" | "loss">,
  accuracyPercent: FinetuneAccuracies,
  saved: SavedFinetuned | undefined,
): FinetuneResult {
  const { steps } = chosen.schedule;
  return {
    ...{ runPath, reason, task, classes: data.classes, step, steps, seconds, lossNats: loss },
    ...{ accuracyPercent, saved },
  };
}
