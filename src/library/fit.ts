/** `fit`, `resume` and `planFit` for programs: what `adamerge fit` does, with the same results. How a fit goes is in run/fit/fit.ts. */
import path from "node:path";
import type { RunConfig } from "../config/schema.js";
import type { LearnedGain } from "../report/learned-gain.js";
import type { ResultRow } from "../report/summary.js";
import { fit as runFit } from "../run/fit/fit.js";
import { stoppedRun } from "../run/fit/fit-folder.js";
import { type FitPlan, planFit as plan } from "../run/fit/plan-fit.js";
import { type CoefficientsRecord, readCoefficients } from "../track/coefficients-file.js";
import { type ConfigSource, resolveConfig } from "./load-config.js";
import { resolveWork, type Work, type WorkOptions } from "./work-options.js";

export { planLines } from "../run/fit/plan-fit.js";

/** What a fit left: its folder, its table and its coefficients. */
export interface FitResult {
  /** The folder with config, metrics, coefficients, report and the merged model. */
  readonly runPath: string;
  /** "interrupted" after an abort: `resume(runPath)` takes up where it stopped. */
  readonly reason: "finished" | "interrupted";
  /** Pretrained model, weight averaging, experts, the model before the first step (`start`) and the learned model; none when interrupted. */
  readonly rows: readonly ResultRow[];
  /** What the learned model gains over weight averaging and over the row `start` in points, paired by example, with its 95 % interval; none without labels. */
  readonly gains: readonly LearnedGain[];
  /** Those of the last step. */
  readonly coefficients: CoefficientsRecord;
}

export interface FitOptions extends WorkOptions {
  /** Whether the rows also have the models that the learned one is read against; default: true. */
  readonly baselines?: boolean | undefined;
}

/**
 * Learns merging coefficients and writes the merged model into a new run folder, `<output>/<experiment>/<name>`. An abort of `signal` ends it as
 * interrupted. Throws UserErrors for what a person can put right; the run is then marked as failed and keeps its last state.
 */
export async function fit(config: ConfigSource, options: FitOptions = {}): Promise<FitResult> {
  const work = resolveWork(options);
  const { config: resolved } = await resolveConfig(config, work);
  return run(resolved, work, { baselines: options.baselines });
}

/**
 * Takes up a run that was stopped or killed, with its own settings, and ends with the bits of one that was not. Of a finished run the results. Throws
 * ConfigError for a folder that is no run, CheckpointError for one whose files are damaged or whose models have changed.
 */
export async function resume(runPath: string, options: WorkOptions = {}): Promise<FitResult> {
  const work = resolveWork(options);
  const folder = path.resolve(work.cwd, runPath);
  const { config, finished } = await stoppedRun(folder);
  if (finished === undefined) return run(config, work, { resume: folder });
  work.log("this run is finished; nothing to do");
  const { rows, gains = [] } = finished;
  return { runPath: folder, reason: "finished", rows, gains, coefficients: await coefficientsIn(folder) };
}

/**
 * What a fit would need: bytes of memory and disk, seconds of time. Everything is checked and one step is timed; no run is begun. Throws what a fit
 * would throw before its first step.
 */
export async function planFit(config: ConfigSource, options: WorkOptions = {}): Promise<FitPlan> {
  const work = resolveWork(options);
  return plan((await resolveConfig(config, work)).config, work);
}

interface RunOptions {
  readonly resume?: string;
  readonly baselines?: boolean | undefined;
}

async function run(
  config: RunConfig,
  work: Work,
  { resume: folder, baselines = true }: RunOptions,
): Promise<FitResult> {
  const { runPath, table, gains, reason } = await runFit(config, {
    ...work,
    ...(folder === undefined ? {} : { resume: folder }),
    ...(baselines ? {} : { compared: [] }),
  });
  return { runPath, reason, rows: table, gains, coefficients: await coefficientsIn(runPath) };
}

function coefficientsIn(runPath: string): Promise<CoefficientsRecord> {
  return readCoefficients(path.join(runPath, "coefficients.json"));
}
