/** The folder that a fit writes into: a new one, or that of a run that stopped. */
import path from "node:path";
import type { RunConfig } from "../../config/schema.js";
import type { TrainState } from "../../optimize/events.js";
import { type Summary, summaryKind } from "../../report/summary.js";
import { readJsonFile } from "../../runtime/json-file.js";
import { requireApart } from "../../runtime/output-place.js";
import { readRun } from "../../track/read-run.js";
import { reopenRunFolder } from "../../track/reopen-run.js";
import {
  createRunFolder,
  folderOf,
  type InputFingerprints,
  type RunFolder,
  requireRunPlace,
} from "../../track/run-folder.js";
import { requireFamily } from "../records/outside-family.js";
import { type SuitePlaceOptions, suiteInputs } from "../suite/suite-place.js";

interface OpenOptions {
  readonly overwrite: boolean;
  readonly resume?: string;
  readonly log: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** `state` is where the fit goes on; undefined at the beginning. */
export async function openFolder(
  config: RunConfig,
  { overwrite, resume, log, signal }: OpenOptions,
  inputs: InputFingerprints,
): Promise<{ readonly folder: RunFolder; readonly state: TrainState | undefined }> {
  const lock = { onWait: log, ...(signal === undefined ? {} : { signal }) };
  if (resume === undefined) {
    const { output: root, experiment, name } = config;
    const folder = await createRunFolder({ root, experiment, name, config, overwrite, inputs, lock });
    return { folder, state: undefined };
  }
  const { folder, state } = await reopenRunFolder(resume, { inputs, log, lock });
  const ofStage = state?.stage === undefined ? "" : ` (stage ${state.stage + 1} of ${config.stages?.length})`;
  log(`${resume}: goes on after step ${state?.step ?? 0} of ${config.steps}${ofStage}`);
  return { folder, state };
}

/** Throws ConfigError when the run's folder cannot be had, or touches what the fit reads. Nothing is opened but names. */
export async function requireFitPlace(
  config: RunConfig,
  options: SuitePlaceOptions & { readonly overwrite: boolean },
): Promise<void> {
  const { output: root, experiment, name } = config;
  const place = { root, experiment, name };
  await requireApart(folderOf(place), folderOf(place), await suiteInputs(config, options));
  await requireRunPlace({ ...place, overwrite: options.overwrite });
}

/** The config of a run to go on with and, when there is nothing left to do, its table. Throws ConfigError when there is no run, or its family is not here. */
export async function stoppedRun(
  runPath: string,
): Promise<{ readonly config: RunConfig; readonly finished: Summary | undefined }> {
  const { config, status } = await readRun(runPath);
  if (status.state !== "finished") {
    await requireFamily(runPath);
    return { config, finished: undefined };
  }
  return { config, finished: await readJsonFile(path.join(runPath, "summary.json"), summaryKind) };
}
