/**
 * Going on with a run that stopped: its config and status, the newest sound checkpoint, and the logs cut to that step, so that
 * the run's files end up as if it had not stopped.
 */
import path from "node:path";
import { decisiveSettings } from "../config/flat.js";
import { parseRunConfig } from "../config/load.js";
import { ConfigError } from "../errors.js";
import type { TrainState } from "../optimize/events.js";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import { readJsonLines } from "../runtime/json-file.js";
import { acquireLock, type LockOptions } from "../runtime/lock.js";
import { readTrainCheckpoint } from "./checkpoints.js";
import { readRun, readStatus, STATUS_FILE } from "./read-run.js";
import {
  type InputFingerprints,
  jsonText,
  LOCK,
  type RunFolder,
  type RunStatus,
  runFolderAt,
  SETTING,
} from "./run-folder.js";

export interface StoppedRun {
  /** Its state at the last checkpoint; undefined when it was stopped before the first. */
  readonly state: TrainState | undefined;
  readonly folder: RunFolder;
}

/**
 * Opens the folder of a run that stopped, to go on: takes its lock, finds the newest sound checkpoint and cuts the logs
 * to its step. `inputs` are the fingerprints of what the config names now.
 *
 * @throws ConfigError when there is no run, or what it learned from is not what it was
 */
export async function reopenRunFolder(
  folder: string,
  {
    inputs,
    log,
    now = () => new Date(),
    lock: lockOptions = {},
  }: {
    readonly inputs: InputFingerprints;
    readonly log: (line: string) => void;
    readonly now?: () => Date;
    readonly lock?: LockOptions;
  },
): Promise<StoppedRun> {
  const { status: found } = await readRun(folder);
  const lock = await acquireLock(path.join(folder, LOCK), folder, { ...lockOptions, now });
  try {
    const checkpoint = await readTrainCheckpoint(path.join(folder, "checkpoints"), log);
    if (checkpoint !== undefined) refuseOtherInputs(folder, checkpoint.inputs, inputs);
    const step = checkpoint?.state.step ?? 0;
    const evaluatedStep = checkpoint?.state.evaluatedStep ?? -1;
    await cutLog(path.join(folder, "metrics.jsonl"), log, (line) => {
      const last = "eval/acc" in line ? evaluatedStep : step;
      return Number(line.step) <= last;
    });
    await cutLog(path.join(folder, "trajectory.jsonl"), log, (line) => Number(line.step) <= evaluatedStep);
    const status: RunStatus = { state: "running", started: found.started, updated: now().toISOString(), step };
    await writeFileAtomic(path.join(folder, STATUS_FILE), jsonText(status));
    return { state: checkpoint?.state, folder: await runFolderAt({ folder, status, inputs, lock, now }) };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/**
 * The same for a run that is no fit: `stepAt` says how far it is, asked with the lock held, and metrics.jsonl is cut
 * to there. The lines that stay come along.
 */
export async function reopenNotedRun(
  folder: string,
  { stepAt, log, now = () => new Date(), lock: lockOptions = {} }: ReopenNotedOptions,
): Promise<{ readonly folder: RunFolder; readonly step: number; readonly notes: readonly MetricsLine[] }> {
  const { started } = await readStatus(folder);
  const lock = await acquireLock(path.join(folder, LOCK), folder, { ...lockOptions, now });
  try {
    const step = await stepAt();
    const notes = await cutLog(path.join(folder, "metrics.jsonl"), log, (line) => Number(line.step) <= step);
    const status: RunStatus = { state: "running", started, updated: now().toISOString(), step };
    await writeFileAtomic(path.join(folder, STATUS_FILE), jsonText(status));
    return { folder: await runFolderAt({ folder, status, inputs: {}, lock, now }), step, notes };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

interface ReopenNotedOptions {
  readonly stepAt: () => Promise<number>;
  readonly log: (line: string) => void;
  readonly now?: () => Date;
  readonly lock?: LockOptions;
}

/** A line of metrics.jsonl. */
export type MetricsLine = Readonly<Record<string, unknown>>;

function refuseOtherInputs(folder: string, recorded: InputFingerprints, found: InputFingerprints): void {
  const [before, after] = [withDefaults(recorded), withDefaults(found)];
  const changed = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (key) => before[key] !== after[key],
  );
  const advice = "put them back, or start a new run with another name";
  const settings = changed.filter((key) => key.startsWith(SETTING));
  const others = changed.filter((key) => !key.startsWith(SETTING));
  if (others.length > 0)
    throw new ConfigError(
      `${folder}: expected the ${others.join(", ")} that the run began with, found others; ${advice}`,
    );
  if (settings.length === 0) return;
  const shown = settings.map((key) => `${key.slice(SETTING.length)}: ${after[key]} (was ${before[key]})`);
  throw new ConfigError(
    `${path.join(folder, "config.yaml")}: expected the settings that the run began with, found ${shown.join(", ")}; ${advice}`,
  );
}

/** A key that is younger than the run had its default, whatever the run did. */
function withDefaults(recorded: InputFingerprints): InputFingerprints {
  const defaults = [...decisiveSettings(parseRunConfig({ suite: "." }))].map(([key, text]) => [SETTING + key, text]);
  const hasSettings = Object.keys(recorded).some((key) => key.startsWith(SETTING));
  return hasSettings ? { ...Object.fromEntries(defaults), ...recorded } : recorded;
}

/** Keeps the lines that `keep` wants; a last line that a kill cut off is dropped. */
async function cutLog(
  file: string,
  log: (line: string) => void,
  keep: (line: MetricsLine) => boolean,
): Promise<readonly MetricsLine[]> {
  const kept = (await readJsonLines(file, "a log of a run", log)).filter(keep);
  await writeFileAtomic(file, kept.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return kept;
}
