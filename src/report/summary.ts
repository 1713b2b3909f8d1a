/** What a run comes down to: accuracies by method and task. Percent everywhere, as in the papers' tables. */

/** Accuracies of one merged (or single) model. */
export interface ResultRow {
  /** As shown in tables: `pretrained`, `task arithmetic 0.3`, `adamerging layer-wise`, ... */
  readonly method: string;
  /** Mean over the tasks, percent. */
  readonly average: number;
  /** Percent by task, in the order of the suite. */
  readonly tasks: Readonly<Record<string, number>>;
}

/** The content of summary.json. */
export interface Summary {
  /** Name of the suite. */
  readonly suite: string;
  readonly engine: string;
  readonly device: string;
  /** Wall-clock time of the whole run. */
  readonly seconds: number;
  readonly rows: readonly ResultRow[];
}

/** A row from accuracies in percent, in the order of `tasks`; the average is their plain mean. */
export function resultRow(method: string, tasks: readonly string[], accuracyPercent: readonly number[]): ResultRow {
  const average = accuracyPercent.reduce((sum, value) => sum + value, 0) / accuracyPercent.length;
  const entries = tasks.map((task, index): [string, number] => [task, accuracyPercent[index] ?? Number.NaN]);
  return { method, average, tasks: Object.fromEntries(entries) };
}

/** One thing `adamerge doctor` looked at. */
export interface DoctorCheck {
  readonly name: string;
  readonly ok: boolean;
  /** What was found. */
  readonly detail: string;
  /** What to do about it, when something is wrong or could be better. */
  readonly advice?: string;
}

export type DoctorReport = readonly DoctorCheck[];
