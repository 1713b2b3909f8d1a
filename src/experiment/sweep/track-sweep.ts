/** A sweep on an MLflow server: one run for it, which its trials name as their parent. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import type { Sweep } from "../../config/sweep.js";
import { markdownText } from "../../report/table.js";
import { syncSweep, type Tracking, trackSweep } from "../../run/records/tracking.js";
import { readJsonFileIfThere } from "../../runtime/json-file.js";
import type { Delivered } from "../../track/mlflow/delivery.js";
import { type ParentEnd, type ParentRun, SWEEP_TITLE } from "../../track/mlflow/parent.js";
import { type SweepTable, sweepCells } from "./sweep-table.js";

const FILES = ["sweep.csv", "sweep.json", "report.html"];
/** In a description; all are in sweep.csv. */
const MOST_ROWS = 30;
/** Of a value in a tag, which older servers cut or refuse beyond. */
const MOST_CHARACTERS = 500;

export interface TrackedTrials {
  /** What trials are tracked with. */
  readonly tracking: Tracking;
  end(end: ParentEnd): Promise<void>;
}

/** Undefined without a server, or when it does not answer. */
export async function openTracking(
  sweep: Sweep,
  directory: string,
  { tracking, log }: { readonly tracking?: Tracking; readonly log: (line: string) => void },
): Promise<TrackedTrials | undefined> {
  if (tracking === undefined) return undefined;
  const run = await trackSweep(tracking, parentOf(sweep.name, directory, tracking), log);
  return run === undefined ? undefined : { tracking: { ...tracking, parentRunId: run.runId }, end: run.end };
}

function parentOf(name: string, directory: string, { user }: Tracking): ParentRun {
  const key = createHash("sha256").update(`sweep ${directory}`).digest("hex").slice(0, 32);
  return { experiment: name, name, key, started: Date.now(), user };
}

const tableSchema = z.object({
  sweep: z.string(),
  metric: z.string(),
  goal: z.enum(["maximize", "minimize"]),
  rows: z.array(
    z.object({
      trial: z.string(),
      state: z.enum(["new", "paused", "finished", "failed"]),
      parameters: z.record(z.string(), z.unknown()),
      step: z.number(),
      value: z.number().nullable(),
      metrics: z.record(z.string(), z.unknown()),
      seconds: z.number().nullable(),
      error: z.string().nullable(),
    }),
  ),
});

/** Delivers the sweep in `directory`, whose trials are in `folders`; undefined where there is none. Throws TrackerError. */
export async function syncSweepIn(
  directory: string,
  folders: readonly string[],
  tracking: Tracking,
  log: (line: string) => void,
): Promise<readonly Delivered[] | undefined> {
  const table = await readJsonFileIfThere(path.join(directory, "sweep.json"), {
    what: "the table of a sweep",
    schema: tableSchema,
    advice: "run the sweep again: it writes it anew from its trials",
  });
  if (table === undefined) return undefined;
  const parent = parentOf(table.sweep, directory, tracking);
  return syncSweep(folders, parent, await endOf(directory, table, false), tracking, log);
}

/** What is said of a sweep at its end: the best trial, the table and the sweep's files. One whose trials have all failed has no best. */
export async function endOf(directory: string, table: SweepTable, isStopped: boolean): Promise<ParentEnd> {
  const { rows, metric, goal } = table;
  const best = rows.find(({ state, value }) => (state === "finished" || state === "paused") && value !== null);
  const areFailed = rows.length > 0 && rows.every(({ state }) => state === "failed");
  const files = await Promise.all(
    FILES.map(async (name) => ({ name, bytes: await readFile(path.join(directory, name)) })),
  );
  const keys = [...new Set(rows.flatMap(({ parameters }) => Object.keys(parameters)))];
  const tags = [
    { key: "sweep.metric", value: metric },
    { key: "sweep.goal", value: goal },
    ...keys.map((key) => {
      const values = new Set(rows.map(({ parameters }) => shown(parameters[key])));
      return { key: `sweep.${key}`, value: [...values].join(", ").slice(0, MOST_CHARACTERS) };
    }),
    ...(best === undefined ? [] : [{ key: "best.trial", value: best.trial }]),
    ...Object.entries(best?.parameters ?? {}).map(([key, value]) => ({ key: `best.${key}`, value: shown(value) })),
  ];
  const value = best?.value ?? undefined;
  return {
    status: areFailed ? "FAILED" : isStopped ? "KILLED" : "FINISHED",
    ended: Date.now(),
    tags,
    description: descriptionOf(table, best),
    metrics: value === undefined ? {} : { [`best/${metric}`]: value },
    files,
  };
}

function descriptionOf(table: SweepTable, best: SweepTable["rows"][number] | undefined): string {
  const { rows, metric, goal } = table;
  const settings = Object.entries(best?.parameters ?? {}).map(([key, value]) => `\`${key}=${shown(value)}\``);
  const result =
    best === undefined || best.value === null
      ? `no trial has come to a value of ${metric}${rows[0]?.error ? `: ${rows[0].error}` : ""}`
      : `the best has ${metric} **${best.value.toFixed(2)}** with ${settings.join(", ")} (${best.trial})`;
  const count = (state: string): number => rows.filter((row) => row.state === state).length;
  const failed = count("failed") > 0 ? `, ${count("failed")} failed` : "";
  const [heading = [], ...trials] = sweepCells(table);
  // MLflow's pages set the columns of a table side by side without a gap; the second line is the rule.
  const spaced = markdownText([heading, ...trials.slice(0, MOST_ROWS)])
    .split("\n")
    .map((line, index) => (index === 1 ? line : line.replaceAll(" | ", " | &emsp;")));
  const more = trials.length > MOST_ROWS ? `\n\nThe other ${trials.length - MOST_ROWS} are in sweep.csv.` : "";
  return `${SWEEP_TITLE} of ${rows.length} trials (${count("finished")} finished${failed}), to ${goal} ${metric}: ${result}.\n\n${spaced.join("\n")}${more}`;
}

const shown = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value) ?? ""));
