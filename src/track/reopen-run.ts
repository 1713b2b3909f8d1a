/**
 * Going on with a run that stopped: its config and status, the newest sound checkpoint, and the logs cut to that step, so that
 * the run's files end up as if it had not stopped.
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { parseRunConfig } from "../config/load.js";
import type { RunConfig } from "../config/schema.js";
import { parseYaml } from "../config/strict-yaml.js";
import { ConfigError } from "../errors.js";
import type { TrainState } from "../optimize/train.js";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import { acquireLock, type LockOptions } from "../runtime/lock.js";
import { readTrainCheckpoint } from "./checkpoints.js";
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
    await cutLog(path.join(folder, "metrics.jsonl"), (line) => {
      const last = "eval/acc" in line ? evaluatedStep : step;
      return Number(line.step) <= last;
    });
    await cutLog(path.join(folder, "trajectory.jsonl"), (line) => Number(line.step) <= evaluatedStep);
    const status: RunStatus = { state: "running", started: found.started, updated: now().toISOString(), step };
    await writeFileAtomic(path.join(folder, "status.json"), jsonText(status));
    return { state: checkpoint?.state, folder: await runFolderAt({ folder, status, inputs, lock, now }) };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Config and status of a run. @throws ConfigError when the folder holds none */
export async function readRun(folder: string): Promise<{ config: RunConfig; status: RunStatus }> {
  const file = path.join(folder, "config.yaml");
  try {
    const config = parseRunConfig(parseYaml(await readFile(file, "utf8"), file).value);
    const status: RunStatus = JSON.parse(await readFile(path.join(folder, "status.json"), "utf8"));
    return { config, status };
  } catch (cause) {
    if (cause instanceof ConfigError)
      throw cause.message.startsWith(file) ? cause : new ConfigError(`${file}: ${cause.message}`, { cause });
    throw new ConfigError(
      `${folder}: expected the folder of a run, with config.yaml and status.json, found none that can be read`,
      { cause },
    );
  }
}

function refuseOtherInputs(folder: string, before: InputFingerprints, after: InputFingerprints): void {
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

/** Keeps the lines that `keep` wants; a last line that a kill cut off is dropped. */
async function cutLog(file: string, keep: (line: Readonly<Record<string, unknown>>) => boolean): Promise<void> {
  const text = await readFile(file, "utf8").catch(() => "");
  const kept = text.split("\n").filter((line) => {
    try {
      return keep({ ...JSON.parse(line) }) && line !== "";
    } catch {
      return false;
    }
  });
  await writeFileAtomic(file, kept.map((line) => `${line}\n`).join(""));
}
