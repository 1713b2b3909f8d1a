/** `reproduce` for programs: the table of an experiment, computed as far as it is not there yet, as `adamerge reproduce` does. */
import path from "node:path";
import { suitePath } from "../config/shipped-files.js";
import { type Reproduction, reproduce as run } from "../experiment/reproduce.js";
import { fittedTextOf } from "../experiment/table-files.js";
import { type Overrides, overrideTexts } from "./load-config.js";
import { requireHere, requireJobs } from "./other-processes.js";
import { experimentsFolder, presetsFolder } from "./package-files.js";
import { resolveWork, type WorkOptions } from "./work-options.js";

export interface ReproduceOptions extends WorkOptions {
  /** Settings over those of all rows. */
  readonly overrides?: Overrides | undefined;
  /** A suite with tasks of the same names for all rows, instead of the experiment's own. */
  readonly suite?: string | undefined;
  /** Models at the same time, in processes that share the cores; default: 1, in this process. */
  readonly jobs?: number | undefined;
  /** Compute nothing: `missing` says what would be computed. */
  readonly dryRun?: boolean | undefined;
  /** Search the settings on val again, instead of taking those that came with the experiment. */
  readonly search?: boolean | undefined;
  /** Of the terminal that `text` is for; default: as many as it takes. */
  readonly columns?: number | undefined;
}

/** The table of an experiment, and how much of it is there. */
export interface ReproduceResult extends Reproduction {
  /** The table as a terminal shows it. */
  readonly text: string;
}

/**
 * Makes the table of an experiment: a name of those that ship, or a file's path. Results are kept below `output` (default `runs`), and an aborted
 * reproduction goes on with them. Throws ConfigError for the file's mistakes, and what the fits and evaluations of its cells throw.
 */
export async function reproduce(experiment: string, options: ReproduceOptions = {}): Promise<ReproduceResult> {
  const { overrides = [], suite, jobs = 1, dryRun = false, search = false } = options;
  const work = resolveWork(options);
  const { cwd, output = path.join(cwd, "runs"), cacheDir, signal, log, detail, onProgress, hub } = work;
  requireJobs(jobs, work);
  if (jobs > 1) requireHere("reproduce with jobs above 1");
  const made = await run({
    ...{ experiment, experimentsDir: experimentsFolder, presetsDir: presetsFolder, cwd, output },
    ...{ cacheDir, signal, log, detail, onProgress, hub, jobs, dryRun, search },
    overrides: overrideTexts(overrides),
    ...(suite === undefined ? {} : { suite: await suitePath(suite, cwd) }),
  });
  return { ...made, text: fittedTextOf(made.table, { columns: options.columns }) };
}
