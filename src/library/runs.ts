/** `report` and `sync` for programs: the page of a run, and its delivery to an MLflow server. */
import path from "node:path";
import { ConfigError } from "../errors.js";
import { writeRunReport } from "../report/write-report.js";
import { syncRuns, type Tracking } from "../run/records/tracking.js";
import type { Delivered } from "../track/mlflow/delivery.js";
import { runFolders } from "./run-folders.js";
import { type LightWork, resolveLightWork, type WorkOptions } from "./work-options.js";

/** Writes report.html and the figures of a run anew, also of one that goes on. Returns the page's path. */
export function report(runPath: string, options: WorkOptions = {}): Promise<string> {
  const { cwd, log } = resolveLightWork(options);
  return writeRunReport(path.resolve(cwd, runPath), log);
}

export interface SyncOptions extends WorkOptions {
  /** Experiment on the server; default: the run's. */
  readonly experiment?: string | undefined;
  /** Deliver the merged models too; default: false. */
  readonly model?: boolean | undefined;
}

/**
 * Delivers runs, or the runs in folders, to the MLflow server of `tracking`, each point and file once. Throws TrackerError when it cannot be reached,
 * and ConfigError without a server or a run.
 */
export async function sync(runs: string | readonly string[], options: SyncOptions = {}): Promise<readonly Delivered[]> {
  const { cwd, tracking, log } = resolveLightWork(options);
  const given = typeof runs === "string" ? [runs] : runs;
  const server = requireServer(tracking, "sync");
  const folders = (await Promise.all(given.map((run) => runFolders(path.resolve(cwd, run))))).flat();
  if (folders.length === 0)
    throw new ConfigError(
      `${given.join(", ")}: expected folders of runs (with config.yaml and status.json), found none`,
    );
  // A name from the environment is for fits, which have none of their own yet.
  const own = typeof options.tracking === "object" ? server.experiment : null;
  return syncRuns(
    folders,
    { ...server, experiment: options.experiment ?? own, withModel: options.model ?? false },
    log,
  );
}

/** Throws ConfigError unless it is a server. */
export function requireServer(tracking: LightWork["tracking"], verb: string): Tracking {
  if (tracking !== undefined && "uri" in tracking) return tracking;
  const found = tracking === undefined ? "none" : "a tracker of the program's";
  throw new ConfigError(`${verb}: expected an MLflow server (tracking, or MLFLOW_TRACKING_URI), found ${found}`);
}
