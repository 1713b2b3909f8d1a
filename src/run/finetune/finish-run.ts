/** The end of a fine-tuning: which weights it leaves, how good they are, and what is told of it. */
import type { FineTuned, FineTunedWeights } from "../../optimize/fine-tune/options.js";
import type { RunFolder } from "../../track/run-folder.js";
import type { BestWeights, Judge } from "./held-out.js";
import type { JudgedPart } from "./report-run.js";
import { planSaving, type SavedFinetuned, saveFinetuned } from "./save-finetuned.js";
import type { FinetuneOptions, Training } from "./training.js";
import type { ExampleSource, TrainingData } from "./training-data.js";

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

interface Finishing {
  readonly run: RunFolder;
  readonly judge: Judge;
  readonly best: BestWeights;
  readonly before: number | undefined;
}

/** Chooses the weights, judges and saves them. */
export async function finishRun(
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
  for (const notice of lossNotices(accuracies, config.eval.keep)) options.log(`notice: ${notice}`);
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

/** What is said of an expert that is worse than what it began as: a merge can gain nothing from it. */
export function lossNotices({ before, held }: FinetuneAccuracies, keep: "best" | "last"): readonly string[] {
  if (before === undefined || held === undefined || held >= before) return [];
  const cause = keep === "best" ? "no step was better" : "eval.keep=best saves the best weights on the way instead";
  return [
    `the training made it worse: ${before.toFixed(1)} % of what is held out were right before, ${held.toFixed(1)} % are now; ${cause}, a lower optimizer.learning_rate or more examples may help`,
  ];
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

/** What is told of a run after these steps. */
export function resultOf(
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
