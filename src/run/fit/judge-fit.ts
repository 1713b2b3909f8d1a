/** The end of a fit: the learned model beside what it is read against, and what the run leaves for its readers. */
import { judgedSplit } from "../../config/judged-split.js";
import type { RunConfig } from "../../config/schema.js";
import { mergedTensors } from "../../merge/merged-weights.js";
import type { Head } from "../../model/heads.js";
import { evaluationEvent } from "../../optimize/events.js";
import type { StoppingOutcome } from "../../optimize/stopping.js";
import type { LearnedGain } from "../../report/learned-gain.js";
import { noticesOf } from "../../report/notices.js";
import { AVERAGING, START } from "../../report/summary.js";
import { asPiece } from "../../runtime/progress.js";
import type { CoefficientsRecord } from "../../track/coefficients-file.js";
import type { RunFolder } from "../../track/run-folder.js";
import { writeMergedModel } from "../coefficients/merge-to-directory.js";
import { cardOf } from "../coefficients/merged-model-card.js";
import { collect } from "../judge/evaluate-weights.js";
import { gainsOver } from "../judge/gains.js";
import { judgeComparisons } from "../judge/judge-comparisons.js";
import { type Judged, judgeLearned, judgeWeights, scoresOf } from "../judge/judge-models.js";
import { predictionsRecord } from "../judge/predictions-record.js";
import { familyRecord } from "../records/outside-family.js";
import type { Session } from "../session/session.js";
import { collapsedTasks } from "./collapse.js";
import type { FitOptions } from "./fit.js";
import type { JudgeBeside } from "./judge-beside.js";
import { withHeads } from "./judge-heads.js";

/** What a fit has learned. */
export interface Learned {
  readonly record: CoefficientsRecord;
  /** The last step. */
  readonly step: number;
  /** One coefficient per tensor and task, [N, K], or every tensor of the bundle where something else was learned. */
  readonly merged: { readonly coefficientsNK: Float32Array } | { readonly weights: ReadonlyMap<string, Float32Array> };
  /** At the last step, where it was looked at. */
  readonly gradientCosine: number | undefined;
  /** How it ended, of a finished fit with a rule to stop by. */
  readonly stopping: StoppingOutcome | undefined;
  /** Of the merged tasks, where heads were learned too. */
  readonly heads?: readonly Head[];
}

/** Nothing of an aborted one. */
export interface JudgedFit {
  /** What the learned model is read against, and the learned model last. */
  readonly judged: readonly Judged[];
  /** Of the learned model over averaging and over its start; none without labels. */
  readonly gains: readonly LearnedGain[];
}

/**
 * Evaluates the merged model, after those that it is compared with, and writes predictions, table, model card and model.
 * Nothing when aborted. `started` is when the run began, as of performance.now.
 */
export async function judgeFit(
  config: RunConfig,
  session: Session,
  { signal, compared, onProgress, log }: Pick<FitOptions, "signal" | "compared" | "onProgress" | "log">,
  folder: RunFolder,
  { record, step, merged, gradientCosine, stopping, heads }: Learned,
  started: number,
  beside?: JudgeBeside,
): Promise<JudgedFit> {
  const { engine, evaluation } = session;
  const weights = "weights" in merged ? merged.weights : undefined;
  const judged: Judged[] = [];
  try {
    signal.throwIfAborted();
    await withHeads(session, heads, async () =>
      beside?.(step, async () =>
        "weights" in merged ? merged.weights : collect(mergedTensors(session.inputs.bundle, merged.coefficientsNK)),
      ),
    );
    judged.push(...(compared ?? (await judgeComparisons(config, session.inputs, evaluation))));
    const learned = await withHeads(session, heads, () =>
      "weights" in merged
        ? judgeWeights(config, session.inputs, merged.weights, evaluation)
        : judgeLearned(config, session.inputs, merged.coefficientsNK, evaluation),
    );
    judged.push(learned);
    await folder.record(evaluationEvent(step, scoresOf(learned), record.values, gradientCosine));
  } catch (error) {
    if (signal.aborted) return { judged: [], gains: [] };
    throw error;
  }
  const seconds = (performance.now() - started) / 1000;
  const rows = judged.map(({ row }) => row);
  await folder.writePredictions(predictionsRecord(judgedSplit(config), judged));
  const inputs = heads === undefined ? session.inputs : { ...session.inputs, heads };
  const { name: suite } = inputs.suite;
  const where = { engine: engine.name, device: engine.device, ...familyRecord(inputs) };
  const collapsed = collapsedTasks(judged);
  const ending = {
    ...(stopping === undefined ? {} : { stopping }),
    ...(collapsed.length === 0 ? {} : { collapsed }),
  };
  const gains = [AVERAGING, START].flatMap((over) => gainsOver(over, judged, judged.slice(-1)));
  await folder.writeSummary({ suite, ...where, seconds, ...ending, ...(gains.length === 0 ? {} : { gains }), rows });
  const notices = noticesOf(ending, config);
  for (const notice of notices) log(`notice: ${notice}`);
  const saved = config.save_model ? inputs.saved : undefined;
  await folder.writeReadme(await cardOf(inputs, config, record, { rows, notices, saved, folder: "model" }));
  if (config.save_model) {
    const path = `${folder.path}/coefficients.json`;
    await asPiece(onProgress, "writing the merged model", () =>
      writeMergedModel(`${folder.path}/model`, inputs, config, { record, path, weights }, rows),
    );
  }
  return { judged, gains };
}
