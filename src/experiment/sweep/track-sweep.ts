/** A sweep on an MLflow server: one run for it, which its trials name as their parent. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { Sweep } from "../../config/sweep.js";
import { type Tracking, trackSweep } from "../../run/records/tracking.js";
import type { ParentEnd } from "../../track/mlflow/parent.js";
import type { SweepTable } from "./sweep-table.js";

const FILES = ["sweep.csv", "sweep.json", "report.html"];

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
  const key = createHash("sha256").update(`sweep ${directory}`).digest("hex").slice(0, 32);
  const parent = { experiment: sweep.name, name: sweep.name, key, started: Date.now() };
  const run = await trackSweep(tracking, parent, log);
  return run === undefined ? undefined : { tracking: { ...tracking, parentRunId: run.runId }, end: run.end };
}

/** What is said of a sweep at its end: the best trial and the sweep's files. */
export async function endOf(directory: string, { rows, metric }: SweepTable, signal: AbortSignal): Promise<ParentEnd> {
  const [best] = rows;
  const files = await Promise.all(
    FILES.map(async (name) => ({ name, bytes: await readFile(path.join(directory, name)) })),
  );
  return {
    status: signal.aborted ? "KILLED" : "FINISHED",
    ended: Date.now(),
    params: Object.entries(best?.parameters ?? {}).map(([key, value]) => ({ key, value: JSON.stringify(value) ?? "" })),
    metrics: best?.value === null || best === undefined ? {} : { [`best/${metric}`]: best.value },
    files,
  };
}
