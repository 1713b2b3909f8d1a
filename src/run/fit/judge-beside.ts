/**
 * A fit's evaluations on a second split too, for those who compare splits: a table's search is chosen on one and shows what choosing on the
 * other would have given. The fit learns, records and shows nothing of it.
 */
import { mean } from "../../report/statistics.js";
import { evaluateOne } from "../judge/evaluate-weights.js";
import { scoredEvaluations } from "../judge/judge-models.js";
import { loadLabelled } from "../session/inputs.js";
import type { Session } from "../session/session.js";

export interface Beside {
  /** A labelled split of the judged tasks. */
  readonly split: string;
  /** After which steps, of those with an evaluation. */
  readonly steps: readonly number[];
  /** Average over the tasks, in percent; before the event of the same evaluation on the config's split. */
  onJudged(step: number, averagePercent: number): void;
}

/** Judges merged weights, every tensor of the bundle, if the step is one of those. */
export type JudgeBeside = (step: number, weights: () => Promise<ReadonlyMap<string, Float32Array>>) => Promise<void>;

/** Throws DataError for a split without labels. */
export async function openBeside(
  { split, steps, onJudged }: Beside,
  { inputs, evaluation }: Session,
  cacheDir: string,
): Promise<JudgeBeside> {
  const examples = await loadLabelled(inputs, inputs.judged, split, cacheDir, evaluation.signal);
  const names = inputs.judged.map(({ name }) => name);
  return async (step, weights) => {
    if (!steps.includes(step)) return;
    const evaluations = await evaluateOne(`${split} too`, names, weights, { ...evaluation, examples });
    const percents = [...scoredEvaluations(evaluations).values()].map(({ accuracyPercent }) => accuracyPercent);
    onJudged(step, mean(percents));
  };
}
