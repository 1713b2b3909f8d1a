/** One trial: a fit, begun or gone on with, up to the step at which trials are compared. */
import { parseRunConfig } from "../../config/load.js";
import { addFamilyModules } from "../../model/family-modules.js";
import { fit } from "../../run/fit/fit.js";
import { stoppedRun } from "../../run/fit/fit-folder.js";
import type { Tracking } from "../../run/records/tracking.js";

/** Plain JSON data: it is sent to another process. */
export interface TrialJob {
  /** RunConfig. */
  readonly config: unknown;
  /** The trial's folder when it has been begun. */
  readonly resume: string | undefined;
  /** Pause when this step has been evaluated; the fit's last step ends it anyway. */
  readonly untilStep: number;
  readonly cacheDir: string;
  /** Where the sweep was begun. */
  readonly cwd: string;
  readonly tracking: Tracking | undefined;
  /** Modules with families of models. */
  readonly families: readonly string[];
}

export interface TrialOutcome {
  /** `interrupted` also when it paused. */
  readonly reason: "finished" | "interrupted";
}

/** Runs the job. Throws what a fit throws; the reason is in the trial's folder too. */
export async function fitTrial(
  job: TrialJob,
  signal: AbortSignal,
  log: (line: string) => void = () => {},
): Promise<TrialOutcome> {
  const { resume, untilStep, cacheDir, cwd, tracking } = job;
  await addFamilyModules(job.families);
  const pause = new AbortController();
  const config = resume === undefined ? parseRunConfig(job.config) : (await stoppedRun(resume)).config;
  const { reason } = await fit(config, {
    ...{ cacheDir, cwd },
    signal: AbortSignal.any([signal, pause.signal]),
    overwrite: resume === undefined,
    ...(resume === undefined ? {} : { resume }),
    ...(tracking === undefined ? {} : { tracking }),
    compared: [],
    onEvent: (event) => {
      if (event.type === "evaluation" && event.step >= untilStep && event.step < config.steps) pause.abort();
    },
    log,
  });
  return { reason };
}
