/** `report`, `compareRuns` and `sync` for programs: the page of a run or of several, and delivery to an MLflow server. */
import path from "node:path";
import { ConfigError } from "../errors.js";
import { syncSweepIn } from "../experiment/sweep/track-sweep.js";
import { compareFinetunes } from "../report/compare-finetunes.js";
import { writeFinetuneReport } from "../report/finetune-report.js";
import { GENERATOR } from "../report/page/page.js";
import { writeComparison } from "../report/write-comparison.js";
import { writeRunReport } from "../report/write-report.js";
import { syncRuns, type Tracking } from "../run/records/tracking.js";
import { requireFilePlace } from "../runtime/output-place.js";
import { readText } from "../runtime/regular-file.js";
import type { Delivered } from "../track/mlflow/delivery.js";
import { readAnyRun } from "../track/read-run.js";
import { runFolders } from "./run-folders.js";
import { type LightWork, resolveLightWork, type WorkOptions } from "./work-options.js";

/**
 * Writes report.html and the figures of a run anew, also of one that goes on. Returns the page's path. Throws ConfigError for a folder that is no
 * run.
 */
export async function report(runPath: string, options: WorkOptions = {}): Promise<string> {
  const { cwd, log } = resolveLightWork(options);
  const folder = path.resolve(cwd, runPath);
  const { kind } = await readAnyRun(folder);
  return kind === "finetune" ? writeFinetuneReport(folder, log) : writeRunReport(folder, log);
}

export interface CompareOptions extends WorkOptions {
  /** Where the page goes; default: `comparison.html` in the folder that all runs have in common. */
  readonly file?: string | undefined;
}

/** Reports have at most 3 MB; what is larger is not ours. */
const MAX_PAGE_BYTES = 16 * 1024 * 1024;

/** Writes one page that compares runs, finished or not. Returns its path. Throws ConfigError unless there are two or more of one kind, each given once. */
export async function compareRuns(runs: readonly string[], options: CompareOptions = {}): Promise<string> {
  const { cwd, log } = resolveLightWork(options);
  const folders = [...new Set(runs.map((run) => path.resolve(cwd, run)))];
  const [first, ...others] = folders;
  if (first === undefined || others.length === 0)
    throw new ConfigError(`expected two or more runs to compare, found ${folders.length}`);
  const target =
    options.file === undefined ? path.join(commonFolder(first, others), COMPARISON) : path.resolve(cwd, options.file);
  const inputs = folders.map((folder) => ({ path: folder, what: "a run" }));
  const kinds = await Promise.all(folders.map(async (folder) => (await readAnyRun(folder)).kind));
  const other = kinds.findIndex((kind) => kind !== kinds[0]);
  if (other > 0)
    throw new ConfigError(
      `expected runs of one kind to compare, found ${first} of \`adamerge ${kinds[0]}\` and ${folders[other]} of \`adamerge ${kinds[other]}\``,
    );
  await requireFilePlace(target, { shown: target, inputs, overwrite: await isPage(target) });
  return kinds[0] === "finetune" ? compareFinetunes(target, folders, log) : writeComparison(target, folders, log);
}

const COMPARISON = "comparison.html";

/** The innermost folder that holds all of them. */
function commonFolder(first: string, others: readonly string[]): string {
  let folder = path.dirname(first);
  while (others.some((other) => path.relative(folder, other).startsWith(".."))) folder = path.dirname(folder);
  return folder;
}

/** Whether a page of ours is there, which a new one may replace. */
async function isPage(file: string): Promise<boolean> {
  const text = await readText(file, "a report", MAX_PAGE_BYTES, ConfigError).catch(() => "");
  return text.includes(`<meta name="generator" content="${GENERATOR}">`);
}

export interface SyncOptions extends WorkOptions {
  /** Experiment on the server; default: the run's. */
  readonly experiment?: string | undefined;
  /** Deliver the merged models too; default: false. */
  readonly model?: boolean | undefined;
  /** Register the merged models under this name, each a version of it; delivers them. Default: as each run's register_model says. */
  readonly register?: string | undefined;
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
  const there = {
    ...server,
    experiment: options.experiment ?? own,
    withModel: options.model ?? false,
    register: options.register,
  };
  // Runs of one folder may be the trials of a sweep.
  const groups = new Map<string, string[]>();
  for (const folder of folders) {
    const directory = path.dirname(folder);
    groups.set(directory, [...(groups.get(directory) ?? []), folder]);
  }
  const delivered: Delivered[] = [];
  for (const [directory, runs] of groups)
    delivered.push(...((await syncSweepIn(directory, runs, there, log)) ?? (await syncRuns(runs, there, log))));
  return delivered;
}

/** Throws ConfigError unless it is a server. */
export function requireServer(tracking: LightWork["tracking"], verb: string): Tracking {
  if (tracking !== undefined && "uri" in tracking) return tracking;
  const found = tracking === undefined ? "none" : "a tracker of the program's";
  throw new ConfigError(`${verb}: expected an MLflow server (tracking, or MLFLOW_TRACKING_URI), found ${found}`);
}
