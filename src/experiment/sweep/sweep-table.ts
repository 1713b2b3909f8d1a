/** The ranked table of a sweep, as text, CSV and JSON. */
import path from "node:path";
import type { Sweep } from "../../config/sweep.js";
import { csvText } from "../../report/csv.js";
import { fittedText, type TableSpace } from "../../report/results-text.js";
import type { Cells } from "../../report/table.js";
import { writeFileAtomic } from "../../runtime/atomic-file.js";
import type { LoadedTrial, TrialState } from "./trials.js";

/** One trial of a sweep. */
export interface SweepRow {
  readonly trial: string;
  readonly state: TrialState["state"];
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly step: number;
  /** The metric at the highest rung reached; null before the first. */
  readonly value: number | null;
  /** The last evaluation. */
  readonly metrics: Readonly<Record<string, unknown>>;
  readonly seconds: number | null;
  readonly error: string | null;
}

/** The trials of a sweep, ranked. */
export interface SweepTable {
  readonly sweep: string;
  readonly metric: string;
  readonly goal: "maximize" | "minimize";
  /** Best first: by rung reached, then by value; failed and new ones last. */
  readonly rows: readonly SweepRow[];
}

/** The table of what is known; `states` in the order of `trials`. */
export function sweepTable(
  { name, metric, goal }: Sweep,
  trials: readonly LoadedTrial[],
  states: readonly TrialState[],
): SweepTable {
  const sign = goal === "maximize" ? 1 : -1;
  const ranked = trials
    .flatMap((trial, index) => {
      const state = states[index];
      return state === undefined ? [] : [{ trial, state }];
    })
    .sort((a, b) => {
      const [left, right] = [rankOf(a.state), rankOf(b.state)];
      return right - left || sign * ((b.state.values.at(-1) ?? 0) - (a.state.values.at(-1) ?? 0));
    });
  const rows = ranked.map(({ trial, state }) => ({
    trial: trial.name,
    state: state.state,
    parameters: trial.parameters,
    step: state.step,
    value: state.values.at(-1) ?? null,
    metrics: state.metrics,
    seconds: state.seconds ?? null,
    error: state.error ?? null,
  }));
  return { sweep: name, metric, goal, rows };
}

const rankOf = ({ state, values }: TrialState): number => (state === "failed" ? -1 : values.length);

/** What a terminal shows. */
export function sweepText(table: SweepTable, space: TableSpace = {}): string {
  return `${fittedText(sweepCells(table), space)}\n`;
}

/** The parameters and the metric of each trial, best first. */
export function sweepCells(table: SweepTable): Cells {
  const keys = [...new Set(table.rows.flatMap(({ parameters }) => Object.keys(parameters)))];
  const body = table.rows.map((row) => [
    row.trial,
    ...keys.map((key) => shown(row.parameters[key])),
    String(row.step),
    row.value === null ? "-" : row.value.toFixed(2),
    row.state,
  ]);
  return [["trial", ...keys, "step", table.metric, "state"], ...body];
}

/** As CSV: one line per trial, every parameter and every metric of its last evaluation. */
export function sweepCsv({ rows, metric }: SweepTable): string {
  const keys = [...new Set(rows.flatMap(({ parameters }) => Object.keys(parameters)))];
  const metrics = [...new Set(rows.flatMap((row) => Object.keys(row.metrics)))].filter((key) =>
    key.startsWith("eval/"),
  );
  const heading = ["trial", "state", ...keys, "step", `ranked by ${metric}`, ...metrics, "seconds", "error"];
  const lines = rows.map((row) => [
    row.trial,
    row.state,
    ...keys.map((key) => shown(row.parameters[key])),
    String(row.step),
    row.value === null ? "" : String(row.value),
    ...metrics.map((key) => String(row.metrics[key] ?? "")),
    row.seconds === null ? "" : row.seconds.toFixed(1),
    row.error ?? "",
  ]);
  return csvText([heading, ...lines]);
}

const shown = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value) ?? ""));

/** Writes sweep.json, sweep.csv and sweep.txt. */
export async function writeSweepTable(directory: string, table: SweepTable): Promise<void> {
  await writeFileAtomic(path.join(directory, "sweep.json"), `${JSON.stringify(table, undefined, 2)}\n`);
  await writeFileAtomic(path.join(directory, "sweep.csv"), sweepCsv(table));
  await writeFileAtomic(path.join(directory, "sweep.txt"), sweepText(table));
}
