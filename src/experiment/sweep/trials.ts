/** The trials of a sweep on disk: where each stands, read from its run folder, so that a sweep that was interrupted knows. */
import { createHash } from "node:crypto";
import path from "node:path";
import { requireEvalSplit } from "../../config/judged-split.js";
import { type LoadOptions, loadRunConfig } from "../../config/load.js";
import type { RunConfig } from "../../config/schema.js";
import { type Sweep, sweepTrials, type Trial, trialOverrides } from "../../config/sweep.js";
import { ConfigError, UserError } from "../../errors.js";
import { readJsonLines } from "../../runtime/json-file.js";
import { isRunFolder, readRun } from "../../track/read-run.js";
import { type Rungs, rungsOf } from "./schedule.js";

export interface LoadedTrial extends Trial {
  /** Folder of its run, and its name in tables. */
  readonly name: string;
  readonly folder: string;
  readonly config: RunConfig;
  readonly rungs: Rungs;
}

/** Where a trial stands. */
export interface TrialState {
  readonly state: "new" | "paused" | "finished" | "failed";
  /** The metric at each rung reached, as it is in metrics.jsonl. */
  readonly values: readonly number[];
  /** The last evaluation: metric name to value. */
  readonly metrics: Readonly<Record<string, unknown>>;
  readonly step: number;
  readonly seconds: number | undefined;
  readonly error: string | undefined;
}

export interface LoadTrialsOptions extends LoadOptions {
  readonly overrides: readonly string[];
  /** Directory of all runs, absolute. */
  readonly output: string;
  /** Threads of a trial whose config leaves them open (0); 0 for all cores. Part of what a run repeats with. */
  readonly threads: number;
}

/** Every trial with its resolved config. @throws ConfigError when one has none, before anything runs */
export async function loadTrials(sweep: Sweep, options: LoadTrialsOptions): Promise<LoadedTrial[]> {
  return Promise.all(
    sweepTrials(sweep).map(async (trial) => {
      const rungSteps = sweep.halving === undefined ? [] : [`data.eval_every=${sweep.halving.first_steps}`];
      const overrides = [...sweep.settings, ...rungSteps, ...options.overrides, ...trialOverrides(trial)];
      const { config: own } = await loadRunConfig(sweep.config, overrides, options);
      requireEvalSplit(own, "a sweep");
      const threads = own.threads === 0 ? options.threads : own.threads;
      // Where results go does not name a trial.
      const { output: _1, experiment: _2, name: _3, register_model: _4, ...settings } = { ...own, threads };
      const hash = createHash("sha256").update(JSON.stringify(settings)).digest("hex").slice(0, 8);
      const name = `t${String(trial.index).padStart(3, "0")}-${hash}`;
      const quiet = { save_model: false, log_model: false, register_model: null, save_report: false };
      const config = { ...own, ...quiet, threads, output: options.output, experiment: sweep.name, name };
      const rungs = rungsOf(config.steps, sweep.halving);
      if (sweep.halving !== undefined && rungs.length < 2)
        throw new ConfigError(
          `${sweep.path}: halving.first_steps: expected below the ${config.steps} steps of trial ${name}, found ${sweep.halving.first_steps}`,
        );
      return { ...trial, name, folder: path.join(options.output, sweep.name, name), config, rungs };
    }),
  );
}

export const NEW_TRIAL: TrialState = {
  state: "new",
  values: [],
  metrics: {},
  step: 0,
  seconds: undefined,
  error: undefined,
};

/**
 * Reads where a trial stands. One without a run is new, and so is one whose files are damaged, as a kill at its beginning leaves them: `log` is
 * told that it begins anew.
 */
export async function readTrial(
  { folder, rungs, config }: LoadedTrial,
  metric: string,
  log: (line: string) => void,
): Promise<TrialState> {
  if (!(await isRunFolder(folder))) return NEW_TRIAL;
  const run = await readRun(folder).catch((error: unknown) => {
    if (!(error instanceof UserError)) throw error;
    log(`warning: ${error.message}. This trial begins anew`);
    return undefined;
  });
  if (run === undefined) return NEW_TRIAL;
  const evaluations = await readEvaluations(folder, log);
  const found = rungs.map((rung) => evaluations.find(({ step }) => step === rung)?.[metric]);
  const reached = found.indexOf(undefined);
  const values = found.slice(0, reached < 0 ? undefined : reached).map(Number);
  const { status } = run;
  if (status.state === "finished" && values.length < rungs.length)
    throw new ConfigError(
      `${folder}: expected the metric ${metric} after step ${config.steps}, found ${Object.keys(evaluations.at(-1) ?? {}).join(", ")}`,
    );
  const state = status.state === "finished" || status.state === "failed" ? status.state : "paused";
  const seconds = (Date.parse(status.updated) - Date.parse(status.started)) / 1000;
  return { state, values, metrics: evaluations.at(-1) ?? {}, step: status.step, seconds, error: status.error };
}

async function readEvaluations(
  folder: string,
  log: (line: string) => void,
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const lines = await readJsonLines(path.join(folder, "metrics.jsonl"), "a log of a run", log);
  return lines.filter((line) => "eval/acc" in line);
}
