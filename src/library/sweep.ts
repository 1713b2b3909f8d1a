/** `sweep` for programs: many fits over values of config keys, ranked, as `adamerge sweep` does. Trials run in processes of their own. */
import path from "node:path";
import { execPath } from "node:process";
import { findShipped } from "../config/shipped-files.js";
import {
  type SweepResult as Ranked,
  type SweepOptions as RunOptions,
  runSweep,
  runTrial,
} from "../experiment/sweep/run-sweep.js";
import { sweepText } from "../experiment/sweep/sweep-table.js";
import { familyModules } from "../model/family-modules.js";
import { type Overrides, overrideTexts } from "./load-config.js";
import { requireHere, requireJobs } from "./other-processes.js";
import { commandLine, presetsFolder } from "./package-files.js";
import { requireServer } from "./runs.js";
import { resolveWork, type WorkOptions } from "./work-options.js";

export interface SweepOptions extends WorkOptions {
  /** Settings over those of all trials. */
  readonly overrides?: Overrides | undefined;
  /** Trials at the same time; default: 1. */
  readonly jobs?: number | undefined;
  /** Where trials run: processes of this machine (default), or a Slurm job array. */
  readonly launcher?: "local" | "slurm" | undefined;
  /** Run nothing: the table has the trials. */
  readonly dryRun?: boolean | undefined;
  /** Begin failed trials anew. */
  readonly retryFailed?: boolean | undefined;
  /** Of the terminal that `text` is for; default: as many as it takes. */
  readonly columns?: number | undefined;
}

/** The trials of a sweep, ranked. */
export interface SweepResult extends Ranked {
  /** The table as a terminal shows it. */
  readonly text: string;
}

/**
 * Runs the trials of a sweep file that are missing below `output` (default `runs`); an aborted sweep goes on with the same call. Throws ConfigError
 * for the file's mistakes; a trial that fails is a row of the table.
 */
export async function sweep(file: string, options: SweepOptions = {}): Promise<SweepResult> {
  const work = await sweepWork(file, options);
  requireHere("sweep");
  const ranked = await runSweep(work);
  return { ...ranked, text: sweepText(ranked.table, { columns: options.columns }) };
}

/**
 * Runs one trial of a sweep in this process, or goes on with it, and ranks nothing: what a task of a job array does. `trial`: its place in the list
 * of trials, from 0. Throws what its fit throws.
 */
export async function sweepTrial(
  file: string,
  trial: number,
  options: SweepOptions = {},
): Promise<{ readonly reason: "finished" | "interrupted" }> {
  return runTrial(await sweepWork(file, options), trial);
}

async function sweepWork(file: string, options: SweepOptions): Promise<RunOptions> {
  const { overrides = [], jobs = 1, launcher = "local", dryRun = false, retryFailed = false } = options;
  const work = resolveWork(options);
  const { cwd, output = path.join(cwd, "runs"), cacheDir, signal, log, hub, tracking } = work;
  requireJobs(jobs, work);
  const texts = overrideTexts(overrides);
  return {
    ...{ file, presetsDir: presetsFolder, cwd, output, cacheDir, signal, log, hub },
    ...{ jobs, launcher, dryRun, retryFailed, overrides: texts },
    trialCommand: trialCommand(await findShipped(file, cwd, ["sweep"]), texts, output),
    ...(tracking === undefined ? {} : { tracking: requireServer(tracking, "sweep") }),
  };
}

/** The command line on one trial; the trial's number follows. */
export function trialCommand(file: string, overrides: readonly string[], output: string): string[] {
  const families = familyModules().flatMap((module) => ["--family", module]);
  return [
    ...[execPath, commandLine, "sweep", file, ...overrides, ...families],
    ...["--output", output, "--launcher", "slurm", "--trial"],
  ];
}
