/**
 * What a run comes down to: accuracies by method and task, in percent as in the papers' tables; where no example has a label, the entropies of the
 * predictions instead, and the rows say so.
 */
import { z } from "zod";
import type { OutsideFamily } from "../model/families.js";
import type { Collapse } from "../optimize/predicted-classes.js";
import type { StoppingOutcome } from "../optimize/stopping.js";
import type { JsonKind } from "../runtime/json-file.js";
import { EXPERTS, gainsSchema, number, resultRowSchema } from "../track/result-rows.js";
import type { LearnedGain } from "./learned-gain.js";

export { AVERAGING, EXPERTS, START } from "../track/result-rows.js";

/** Accuracies of one merged (or single) model, or entropies. */
export interface ResultRow {
  /** As shown in tables: `pretrained`, `task arithmetic 0.3`, `adamerging layer-wise`, ... */
  readonly method: string;
  /** What the numbers are when they are not accuracies in percent: mean entropies of the predictions, in nats, on examples without labels. */
  readonly measure?: "entropy_nats";
  /** Mean over the tasks. */
  readonly average: number;
  /** By task, in the order of the suite. */
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
  /** Where the model's family is not one of the package. */
  readonly outsideFamily?: OutsideFamily;
  /** How the fit ended, where it had a rule to stop by. */
  readonly stopping?: StoppingOutcome;
  /** Tasks whose predictions by the learned model fall into few classes; none: absent. */
  readonly collapsed?: readonly Collapse[];
  /** What the learned model gains over weight averaging and over where it started; absent without labels, and in runs of earlier versions. */
  readonly gains?: readonly LearnedGain[];
  readonly rows: readonly ResultRow[];
}

/** summary.json, for whoever reads it. */
export const summaryKind: JsonKind<Summary> = {
  what: "the summary of a run",
  schema: z.object({
    suite: z.string(),
    engine: z.string(),
    device: z.string(),
    seconds: z.number(),
    outsideFamily: z
      .object({ name: z.string(), path: z.string().exactOptional(), sha256: z.string().exactOptional() })
      .exactOptional(),
    stopping: z
      .object({ step: z.number(), bestStep: z.number(), bestScore: number, isEarly: z.boolean() })
      .exactOptional(),
    collapsed: z
      .array(
        z.object({
          task: z.string(),
          classes: z.number(),
          expected: z.number(),
          reference: z.enum(["expert", "start"]),
        }),
      )
      .exactOptional(),
    gains: gainsSchema.exactOptional(),
    rows: z.array(resultRowSchema),
  }),
  advice: "put the file back; `adamerge eval --coefficients RUN` measures again",
};

/** A row from accuracies in percent (or what `measure` says), in the order of `tasks`; the average is their plain mean. */
export function resultRow(
  method: string,
  tasks: readonly string[],
  values: readonly number[],
  measure?: ResultRow["measure"],
): ResultRow {
  const average = values.reduce((sum, value) => sum + value, 0) / values.length;
  const entries = tasks.map((task, index): [string, number] => [task, values[index] ?? Number.NaN]);
  return { method, ...(measure === undefined ? {} : { measure }), average, tasks: Object.fromEntries(entries) };
}

/** Whether rows hold entropies: no example had a label. */
export function isEntropy(rows: readonly ResultRow[]): boolean {
  return rows.some(({ measure }) => measure === "entropy_nats");
}

/** Rows of models that were not merged, by their names. */
const REFERENCES: ReadonlySet<string> = new Set(["pretrained", EXPERTS, "multi_task"]);

/** Whether a row is there to be compared with, and is no merged model. */
export function isReference(method: string): boolean {
  return REFERENCES.has(method);
}

export function rowOf(rows: readonly ResultRow[], method: string): ResultRow | undefined {
  return rows.find((row) => row.method === method);
}

/** Mean over the tasks that have an expert of accuracy over the expert's, in percent; undefined where the experts were not judged. */
export function shareOfExperts(row: ResultRow, rows: readonly ResultRow[]): number | undefined {
  const experts = rowOf(rows, EXPERTS);
  if (experts === undefined || isEntropy(rows)) return undefined;
  const shares = Object.entries(row.tasks).flatMap(([task, value]) => {
    const expert = Object.hasOwn(experts.tasks, task) ? experts.tasks[task] : undefined;
    return expert === undefined || !(expert > 0) || !Number.isFinite(value) ? [] : [(100 * value) / expert];
  });
  return shares.length === 0 ? undefined : shares.reduce((sum, share) => sum + share, 0) / shares.length;
}

/** The task with the lowest value; undefined for a row without tasks. */
export function worstTask({
  tasks,
}: Pick<ResultRow, "tasks">): { readonly task: string; readonly value: number } | undefined {
  const known = Object.entries(tasks).filter(([, value]) => Number.isFinite(value));
  const [first, ...others] = known.map(([task, value]) => ({ task, value }));
  return first === undefined
    ? undefined
    : others.reduce((worst, each) => (each.value < worst.value ? each : worst), first);
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

/** What `doctor` found, in the order in which it is shown. */
export type DoctorReport = readonly DoctorCheck[];
