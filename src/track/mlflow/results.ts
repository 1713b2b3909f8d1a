/**
 * What a run came to, from its summary.json, as metrics: the models that the learned one is read against, and what it gains over averaging. Every
 * metric has one point, at the run's last step. MLflow's pages have a section for what stands before the last slash of a name, in the order of the
 * alphabet: these are few, and those of the baselines (`versus`) come behind the run's own curves.
 */
import path from "node:path";
import { z } from "zod";
import { readJsonFileIfThere } from "../../runtime/json-file.js";
import { AVERAGING, EXPERTS, gainsSchema, resultRowSchema, START } from "../result-rows.js";
import type { MlflowMetric } from "./client.js";
import { metricName } from "./run-data.js";
import type { PointPlace } from "./told-run.js";

const resultsSchema = z.object({
  suite: z.string(),
  seconds: z.number(),
  gains: gainsSchema.exactOptional(),
  rows: z.array(resultRowSchema),
});

/** The part of summary.json that servers are told of. */
export type Results = z.output<typeof resultsSchema>;
export type ResultsRow = Results["rows"][number];

/** Undefined for a run that has no summary. */
export function readResults(folder: string): Promise<Results | undefined> {
  return readJsonFileIfThere(path.join(folder, "summary.json"), {
    what: "the summary of a run",
    schema: resultsSchema,
    advice: "put the file back; `adamerge eval --coefficients RUN` measures again",
  });
}

/** The learned model is the last row; those that it is read against come before. */
export function learnedOf({ rows }: Results): { learned: ResultsRow | undefined; others: readonly ResultsRow[] } {
  return { learned: rows.at(-1), others: rows.slice(0, -1) };
}

/** Metrics of the models beside the learned one. */
export function baselineMetrics(results: Results, at: PointPlace): MlflowMetric[] {
  return learnedOf(results).others.flatMap((row) => {
    const measure = row.measure === undefined ? "acc" : "entropy";
    const names = { average: `versus/${measure}/${row.method}`, tasks: `versus/${row.method}` };
    return perTask(names, row, (value) => value, at);
  });
}

/** Metrics of the learned model that compare it: points over averaging, and what share of the experts' accuracy it keeps. */
export function comparisonMetrics(results: Results, at: PointPlace): MlflowMetric[] {
  const { learned, others } = learnedOf(results);
  if (learned === undefined || learned.measure !== undefined) return [];
  const compared = (name: string, method: string, compare: (own: number, other: number) => number): MlflowMetric[] => {
    const row = others.find((each) => each.method === method);
    if (row === undefined) return [];
    const shown = (own: number, task?: string) =>
      compare(own, task === undefined ? row.average : (row.tasks[task] ?? Number.NaN));
    return perTask({ average: name, tasks: name }, learned, shown, at);
  };
  return [
    ...compared("gain/acc", AVERAGING, (own, other) => own - other),
    ...compared("gain/start", START, (own, other) => own - other),
    ...compared("kept/acc", EXPERTS, (own, other) => (100 * own) / other),
  ];
}

function perTask(
  names: { readonly average: string; readonly tasks: string },
  { average, tasks }: ResultsRow,
  shown: (value: number, task?: string) => number,
  at: PointPlace,
): MlflowMetric[] {
  const all: [string, number][] = [
    [names.average, shown(average)],
    ...Object.entries(tasks).map(([task, value]): [string, number] => [`${names.tasks}/${task}`, shown(value, task)]),
  ];
  // Servers cannot store what is not finite.
  return all.flatMap(([key, value]) => (Number.isFinite(value) ? [{ key: metricName(key), value, ...at }] : []));
}
