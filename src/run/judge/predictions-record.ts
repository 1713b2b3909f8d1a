/** What a run keeps of its evaluations. */
import type { PredictionsRecord } from "../../track/run-folder.js";
import type { Judged } from "./judge-models.js";

/** The predicted class of every example, by method and task, so that two methods can be compared example by example. */
export function predictionsRecord(split: string, judged: readonly Judged[]): PredictionsRecord {
  const methods = judged.map(({ row, evaluations }): [string, Record<string, number[]>] => [
    row.method,
    Object.fromEntries([...evaluations].map(([task, { predictions }]) => [task, [...predictions]])),
  ]);
  return { split, methods: Object.fromEntries(methods) };
}
