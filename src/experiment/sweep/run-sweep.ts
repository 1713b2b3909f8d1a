/**
 * Runs a sweep: gives trials to processes until nothing is left, and writes the ranked table as it fills. Everything is read back
 * from the trials' folders, so that the same command goes on after an interruption; a failed trial is recorded and stops no other.
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { openSweep, type Sweep } from "../../config/sweep.js";
import { ConfigError } from "../../errors.js";
import { createProcessPool, threadsOfEach } from "../../launch/process-pool.js";
import { arrayScript, requireScriptable, submit, waitForJob } from "../../launch/slurm.js";
import { familyModules } from "../../model/family-modules.js";
import { writeSweepReport } from "../../report/sweep-report.js";
import type { Tracking } from "../../run/records/tracking.js";
import type { SessionOptions } from "../../run/session/session.js";
import { writeFileAtomic } from "../../runtime/atomic-file.js";
import { requireResultsPlace } from "../../runtime/output-place.js";
import { fitTrial, type TrialJob, type TrialOutcome } from "./fit-trial.js";
import { nextTrial, type TrialProgress } from "./schedule.js";
import { type SweepTable, sweepTable, writeSweepTable } from "./sweep-table.js";
import { endOf, openTracking } from "./track-sweep.js";
import { type LoadedTrial, loadTrials, NEW_TRIAL, readTrial, type TrialState } from "./trials.js";

export interface SweepOptions extends SessionOptions {
  /** The sweep file. */
  readonly file: string;
  readonly presetsDir: string;
  readonly cwd: string;
  readonly overrides: readonly string[];
  /** Directory of all runs, absolute. */
  readonly output: string;
  /** `local`: processes of this machine; `slurm`: a job array. */
  readonly launcher: "local" | "slurm";
  /** Trials at the same time; on this machine each has its share of the cores. */
  readonly jobs: number;
  /** What runs one trial, its index appended, on another machine. */
  readonly trialCommand: readonly string[];
  readonly dryRun: boolean;
  /** Begin failed trials anew. */
  readonly retryFailed: boolean;
  readonly tracking?: Tracking;
}

/** What `sweep` made: its trials, ranked, and where they lie. */
export interface SweepResult {
  readonly directory: string;
  readonly table: SweepTable;
  /** Trials that have not reached where they could; 0 when the sweep is over. */
  readonly missing: number;
}

/** What is written beside the folders of the trials. */
const SWEEP_FILES = ["sweep.json", "sweep.csv", "sweep.txt", "report.html", "array.sh"];
const TRIAL_PROCESS = new URL("./trial-process.js", import.meta.url);

/** Runs what is missing and returns the table. @throws ConfigError when the sweep or a trial's config is wrong, before anything runs */
export async function runSweep(options: SweepOptions): Promise<SweepResult> {
  const sweep = await openSweep(options.file, options.cwd);
  const trials = await loadTrials(sweep, { ...options, threads: threadsOf(sweep, options) });
  const directory = path.join(options.output, sweep.name);
  if (options.launcher === "slurm") requireScriptable({ name: sweep.name, directory });
  await requireResultsPlace(directory, SWEEP_FILES, async (name, text) => {
    // A job array writes its script before any trial has a folder.
    if (name === "array.sh") return (await text()).startsWith("#!/bin/bash\n#SBATCH ");
    return /^t\d{3,}-[0-9a-f]{8}$/.test(name);
  });
  const found = await Promise.all(trials.map((trial) => readTrial(trial, sweep.metric, options.log)));
  const states = found.map((state) => (options.retryFailed && state.state === "failed" ? NEW_TRIAL : state));
  const done = states.filter(({ state }) => state === "finished" || state === "failed").length;
  options.log(
    `${sweep.name}: ${trials.length} trials (${sweep.search}), ${done} done, up to ${options.jobs} at a time`,
  );
  warnOfTest(trials, options.log);
  if (options.dryRun)
    return { directory, table: sweepTable(sweep, trials, states), missing: states.filter(isOpen).length };
  const tracked = await openTracking(sweep, directory, options);
  const work = tracked === undefined ? options : { ...options, tracking: tracked.tracking };
  if (options.launcher === "slurm") await runArray(sweep, trials, states, directory, work);
  else await runTrials(sweep, trials, states, directory, work);
  const table = sweepTable(sweep, trials, states);
  await writeSweepTable(directory, table);
  await report(sweep, directory, table);
  await tracked?.end(await endOf(directory, table, options.signal.aborted));
  const missing = options.signal.aborted ? states.filter(isOpen).length : 0;
  return { directory, table, missing };
}

/** Threads of a trial: its share of this machine, or the cores it is given by Slurm. */
function threadsOf({ slurm }: Sweep, { launcher, jobs }: Pick<SweepOptions, "launcher" | "jobs">): number {
  if (launcher === "slurm") return slurm.cpus;
  return jobs > 1 ? threadsOfEach(jobs) : 0;
}

/** Runs one trial of a sweep here, or goes on with it: the task of an array. Throws what its fit throws. */
export async function runTrial(options: SweepOptions, index: number): Promise<TrialOutcome> {
  const sweep = await openSweep(options.file, options.cwd);
  const trials = await loadTrials(sweep, { ...options, threads: threadsOf(sweep, options) });
  const trial = trials[index];
  if (trial === undefined) throw new ConfigError(`--trial: expected 0 to ${trials.length - 1}, found ${index}`);
  const { state } = await readTrial(trial, sweep.metric, options.log);
  if (state === "finished") return { reason: "finished" };
  const resume = state === "paused" ? trial.folder : undefined;
  const tracked = await openTracking(sweep, path.join(options.output, sweep.name), options);
  const { cacheDir, signal, log, tracking = undefined } = { ...options, ...tracked };
  const job = { config: trial.config, resume, untilStep: trial.config.steps, cacheDir, cwd: options.cwd, tracking };
  return fitTrial({ ...job, families: familyModules() }, signal, log);
}

/** Submits the open trials as an array and waits for its end. Fills `states` in place. */
async function runArray(
  sweep: Sweep,
  trials: readonly LoadedTrial[],
  states: TrialState[],
  directory: string,
  { jobs, signal, log, trialCommand }: SweepOptions,
): Promise<void> {
  if (sweep.halving !== undefined)
    throw new ConfigError(
      `${sweep.path}: search: expected grid or random with --launcher slurm, since the tasks of an array do not wait for each other; found halving`,
    );
  const tasks = trials.flatMap(({ index }) => {
    const state = states[index];
    return state !== undefined && isOpen(state) ? [index] : [];
  });
  if (tasks.length > 0) {
    const script = path.join(directory, "array.sh");
    const job = { name: sweep.name, directory, tasks, parallel: jobs, command: trialCommand, settings: sweep.slurm };
    await writeFileAtomic(script, arrayScript(job));
    const id = await submit(script);
    log(`slurm: job ${id}, ${tasks.length} tasks; logs in ${directory}`);
    await waitForJob(id, signal);
    if (signal.aborted) log(`slurm: job ${id} goes on; scancel ${id} ends it, the same command looks again`);
  }
  for (const [index, trial] of trials.entries()) {
    const state = await readTrial(trial, sweep.metric, log);
    const log_ = `a log in ${directory}/slurm-*_${index}.log`;
    states[index] =
      isOpen(state) && !signal.aborted && tasks.includes(index)
        ? { ...state, state: "failed", error: `its task ended after step ${state.step}; ${log_}` }
        : state;
  }
}

async function report(sweep: Sweep, directory: string, table: SweepTable): Promise<void> {
  const { metric, goal, rows } = table;
  const points = rows.flatMap(({ trial, parameters, value }) => (value === null ? [] : [{ trial, parameters, value }]));
  const count = (state: TrialState["state"]): number => rows.filter((row) => row.state === state).length;
  await writeSweepReport(directory, {
    name: sweep.name,
    figures: { metric, goal, points },
    trials: rows,
    file: await readFile(sweep.path, "utf8"),
    state: `${rows.length} trials (${sweep.search}): ${count("finished")} finished, ${count("paused")} paused, ${count("failed")} failed, ${count("new")} not begun; ranked by ${metric}`,
  });
}

const isOpen = ({ state }: TrialState): boolean => state === "new" || state === "paused";

/** Fills `states` in place. */
async function runTrials(
  sweep: Sweep,
  trials: readonly LoadedTrial[],
  states: TrialState[],
  directory: string,
  options: SweepOptions,
): Promise<void> {
  const { jobs, signal, log } = options;
  const pool = createProcessPool<TrialJob, TrialOutcome>({
    module: fileURLToPath(TRIAL_PROCESS),
    processes: jobs,
    signal,
  });
  const running = new Map<number, Promise<void>>();
  const sign = sweep.goal === "maximize" ? 1 : -1;
  const rungs = trials[0]?.rungs ?? [];
  const runOne = async (index: number, rung: number): Promise<void> => {
    const trial = trials[index];
    if (trial === undefined) return;
    const resume = states[index]?.state === "paused" ? trial.folder : undefined;
    const untilStep = trial.rungs[rung] ?? trial.config.steps;
    const { cacheDir, cwd, tracking } = options;
    let died: string | undefined;
    try {
      await pool.run({ config: trial.config, resume, untilStep, cacheDir, cwd, tracking, families: familyModules() });
    } catch (error) {
      died = error instanceof Error ? error.message : String(error);
    }
    const state = await readTrial(trial, sweep.metric, options.log);
    // What ends early for no reason that is known would be given out again and again.
    const isShort = state.values.length <= rung && !signal.aborted;
    const error = died ?? (isShort ? `it stopped after step ${state.step}, before step ${untilStep}` : undefined);
    states[index] = error === undefined ? state : { ...state, state: "failed", error };
    log(progressLine(sweep, trial, states[index], states));
    await writeSweepTable(directory, sweepTable(sweep, trials, states));
  };
  try {
    for (;;) {
      const progress = states.map((state, index): TrialProgress => {
        const scores = state.values.map((value) => sign * value);
        return { scores, isTaken: running.has(index) || state.state === "failed" };
      });
      const job = signal.aborted ? undefined : nextTrial(progress, rungs, sweep.halving?.factor ?? 2);
      if (job !== undefined && running.size < jobs) {
        const run = runOne(job.trial, job.rung).finally(() => running.delete(job.trial));
        running.set(job.trial, run);
      } else if (running.size > 0) await Promise.race(running.values());
      else break;
    }
  } finally {
    await Promise.allSettled(running.values());
    await pool.close();
  }
}

function progressLine(
  { metric }: Sweep,
  { name, parameters, config }: LoadedTrial,
  { state, step, values, error }: TrialState,
  all: readonly TrialState[],
): string {
  const over = all.filter((each) => each.state === "finished" || each.state === "failed").length;
  const value = values.at(-1);
  const what =
    state === "failed"
      ? `failed: ${error ?? "no reason is known"}`
      : `${value === undefined ? "" : `${metric} ${value.toFixed(2)} `}after step ${step}/${config.steps}`;
  return `[${over}/${all.length}] ${name}  ${textOf(parameters)}: ${what}`;
}

/** `optimizer.learning_rate=0.001 granularity=layer-wise` */
function textOf(parameters: Readonly<Record<string, unknown>>): string {
  return Object.entries(parameters)
    .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
}

function warnOfTest(trials: readonly LoadedTrial[], log: (line: string) => void): void {
  if (trials.some(({ config }) => config.data.eval_split === "test"))
    log("these trials are ranked on test; choose settings with data.eval_split=val and judge the chosen one on test");
}
