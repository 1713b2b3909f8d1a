/**
 * The folder of one run: what was asked, where it ran, how it went, what came out. It is always written and
 * complete in itself; other trackers only repeat it. Every file but the two logs (*.jsonl) is replaced atomically.
 *
 *     <root>/<experiment>/<name>/  config.yaml  environment.json  status.json  metrics.jsonl  trajectory.jsonl  checkpoints/
 *                                  coefficients.json  predictions.json  summary.json  README.md  model/
 *                                  task-vectors.json  report.html  figures/
 */
import { type FileHandle, lstat, open, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { formatConfig } from "../config/format.js";
import type { RunConfig } from "../config/schema.js";
import { assert, ConfigError } from "../errors.js";
import type { OutsideFamily } from "../model/families.js";
import type { StartEvent, TrainEvent } from "../optimize/events.js";
import { withAdvice, writeFileAtomic } from "../runtime/atomic-file.js";
import { acquireLock, type Lock, type LockOptions } from "../runtime/lock.js";
import { makeFolder } from "../runtime/make-folder.js";
import { MANIFEST, writeManifest } from "../runtime/own-files.js";
import { writeTrainCheckpoint } from "./checkpoints.js";
import { type CoefficientsRecord, coefficientsText } from "./coefficients-file.js";
import { metricsOf } from "./metrics.js";
import { DOCUMENTS, ownRunFiles, removeRun, requireNoStranger, requireRealFolder } from "./run-entries.js";

/** Held while a process writes into the folder. */
export const LOCK = "run.lock";
const CONFIG = "config.yaml";

/** How many `name-2`, `name-3`, ... are tried for a free name to suggest. */
const MAX_SUGGESTED_NAMES = 100;

export type RunState = "running" | "finished" | "interrupted" | "failed";

export interface RunStatus {
  readonly state: RunState;
  /** ISO 8601, UTC. */
  readonly started: string;
  readonly updated: string;
  /** The last step done. */
  readonly step: number;
  /** Why it failed, in one line. */
  readonly error?: string;
}

/** Where a run ran. Gathered by the caller: this folder looks at nothing but its own files. */
export interface EnvironmentRecord {
  readonly node: string;
  readonly os: string;
  readonly cpu: string;
  readonly engine: string;
  readonly device: string;
  /** What it learns from: "images", "texts". */
  readonly examples: string;
  /** Package name to version, adamerge's own included. */
  readonly versions: Readonly<Record<string, string>>;
  /** Of the checkout in which the run was begun. */
  readonly gitCommit?: string;
  readonly gitBranch?: string;
  readonly gitRepository?: string;
  readonly data?: readonly DataRecord[];
  /** Where the model's family is not one of the package. */
  readonly outsideFamily?: OutsideFamily;
}

/** What a run reads examples for. */
export const DATA_USES = ["adapted on", "judged", "adapted on and judged", "trained on", "held out"] as const;

/** The examples of a task that a run reads. */
export interface DataRecord {
  readonly task: string;
  /** As runs call it. */
  readonly split: string;
  readonly use: (typeof DATA_USES)[number];
  /** "image", "text". */
  readonly kind: string;
  readonly examples: number;
  /** Tells the examples from others, in 32 hex digits. */
  readonly digest: string;
  /** A path, or `hf://datasets/org/name@revision`. */
  readonly source: string;
}

/** environment.json, for whoever reads it: its keys have changed over time. */
export const environmentKind = {
  what: "the environment of a run",
  schema: z.record(z.string(), z.unknown()),
  advice: "put the file back, or delete it to do without",
} as const;

/** What a run with this environment.json learned from, for people; those that do not say are from when there were images alone. */
export function examplesOf({ examples }: Readonly<Record<string, unknown>>): string {
  return typeof examples === "string" ? examples : "images";
}

/** The predicted class of every example of a split, in the order of the data set. */
export interface PredictionsRecord {
  readonly split: string;
  /** method -> task -> class index of each example. */
  readonly methods: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>;
}

/** Fingerprints by what they are of: task vectors, heads, examples of a task; and settings by `SETTING` and their key. */
export type InputFingerprints = Readonly<Record<string, string>>;

/** In front of a setting's key. */
export const SETTING = "setting ";

export interface RunFolderOptions {
  /** Directory of all runs. */
  readonly root: string;
  readonly experiment: string;
  readonly name: string;
  /** Written as config.yaml: of a fit, or the text of another kind of run. */
  readonly config: RunConfig | string;
  /** Replaces what an earlier run of this name wrote. */
  readonly overwrite: boolean;
  /** Fingerprints of what the coefficients are learned from; kept with every checkpoint. */
  readonly inputs: InputFingerprints;
  readonly now?: () => Date;
  /** How a lock is waited for. */
  readonly lock?: LockOptions;
}

export interface RunFolder {
  /** Absolute path of the folder. */
  readonly path: string;
  writeEnvironment(environment: EnvironmentRecord): Promise<void>;
  /**
   * Appends the event's metrics to metrics.jsonl as one line, and what an evaluation judged (coefficients [K][L]) to
   * trajectory.jsonl; remembers the step, and writes checkpoints. Events must be recorded in order.
   */
  record(event: TrainEvent): Promise<void>;
  /** Appends values as a line of metrics.jsonl and remembers the step: for runs whose events are not a fit's. */
  note(step: number, values: Readonly<Record<string, number>>): Promise<void>;
  writeCoefficients(coefficients: CoefficientsRecord): Promise<void>;
  writePredictions(predictions: PredictionsRecord): Promise<void>;
  /** Writes summary.json; `summary` is plain JSON data. */
  writeSummary(summary: object): Promise<void>;
  /** Writes README.md, the model card. */
  writeReadme(text: string): Promise<void>;
  /** Sets the state people and other processes see; `error` is the reason of a failure. */
  setState(state: RunState, error?: string): Promise<void>;
  /** Flushes and closes metrics.jsonl and gives the folder free. Does not change the state. */
  close(): Promise<void>;
}

/**
 * Makes `<root>/<experiment>/<name>` and claims it: of two processes that ask for one name only one gets it.
 *
 * @throws ConfigError when a run of that name exists and `overwrite` is false; the message lists the choices
 */
export async function createRunFolder(options: RunFolderOptions): Promise<RunFolder> {
  const now = options.now ?? (() => new Date());
  const folder = folderOf(options);
  await requireRunPlace(options);
  await makeFolder(folder);
  const lock = await acquireLock(path.join(folder, LOCK), folder, { ...options.lock, now });
  try {
    await requireNoStranger(folder);
    const started = now().toISOString();
    const status: RunStatus = { state: "running", started, updated: started, step: 0 };
    await claim(folder, status, options);
    const { config } = options;
    await writeFileAtomic(path.join(folder, CONFIG), typeof config === "string" ? config : formatConfig(config));
    return await runFolderAt({ folder, status, inputs: options.inputs, lock, now });
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** A folder that is claimed and locked. */
export interface OpenFolder {
  readonly folder: string;
  readonly status: RunStatus;
  readonly inputs: InputFingerprints;
  readonly lock: Lock;
  readonly now: () => Date;
}

/** The handle of a claimed folder; metrics are appended. */
export async function runFolderAt({ folder, status: first, inputs, lock, now }: OpenFolder): Promise<RunFolder> {
  const file = (name: string) => path.join(folder, name);
  /** Only who has the lock writes what others may have written since. */
  const write = async (name: string, text: string): Promise<void> => {
    await lock.check();
    await writeFileAtomic(file(name), text);
  };
  // What it says is of what an earlier process left.
  await rm(file(MANIFEST), { force: true });
  const metrics = await open(file("metrics.jsonl"), "a");
  // Only a fit has one.
  let trajectory: FileHandle | undefined;
  const append = async (log: FileHandle, name: string, line: object): Promise<void> => {
    try {
      await log.appendFile(`${JSON.stringify(line)}\n`);
    } catch (error) {
      throw withAdvice(error, file(name));
    }
  };
  let status = first;
  let start: Pick<StartEvent, "tasks" | "objective"> | undefined;
  return {
    path: folder,
    writeEnvironment: (environment) => write("environment.json", jsonText(environment)),
    async record(event) {
      if (event.type === "start") start = event;
      else status = { ...status, step: event.step };
      if (event.type === "checkpoint") {
        await lock.check();
        // What the state has seen is on the disk before the state is.
        await metrics.sync();
        await trajectory?.sync();
        await writeTrainCheckpoint(file("checkpoints"), { state: event.state, inputs });
      }
      if (event.type === "evaluation") {
        const point: TrajectoryPoint = { step: event.step, values: event.coefficients };
        trajectory ??= await open(file("trajectory.jsonl"), "a");
        await append(trajectory, "trajectory.jsonl", point);
      }
      assert(start !== undefined, "an event of a fit before its start");
      const values = metricsOf(event, start);
      if (values === undefined) return;
      await append(metrics, "metrics.jsonl", { time: now().toISOString(), ...values });
    },
    async note(step, values) {
      status = { ...status, step };
      await append(metrics, "metrics.jsonl", { time: now().toISOString(), step, ...values });
    },
    writeCoefficients: (coefficients) => write("coefficients.json", coefficientsText(coefficients)),
    // One line: a reader is a program, and indented it would have a line per image.
    writePredictions: (record) => write("predictions.json", `${JSON.stringify(record)}\n`),
    writeSummary: (summary) => write("summary.json", jsonText(summary)),
    writeReadme: (text) => write("README.md", text),
    async setState(state, error) {
      status = { ...status, state, updated: now().toISOString(), ...(error === undefined ? {} : { error }) };
      await write("status.json", jsonText(status));
    },
    async close() {
      try {
        for (const log of [metrics, trajectory]) await log?.sync().finally(() => log.close());
        const names: string[] = [];
        for (const name of DOCUMENTS) if ((await lstat(file(name)).catch(() => undefined))?.isFile()) names.push(name);
        await lock.check().then(
          () => writeManifest(folder, { names, passing: [] }),
          // Another process has the folder; it notes what it leaves.
          () => undefined,
        );
      } finally {
        await lock.release();
      }
    },
  };
}

/** The coefficients of one evaluation: a line of trajectory.jsonl. */
export interface TrajectoryPoint {
  readonly step: number;
  /** [K][L], tasks and groups as in coefficients.json. */
  readonly values: readonly (readonly number[])[];
}

/**
 * Throws ConfigError when the run's folder cannot be had: another run has it (and is not to be overwritten), it is a link, or it holds what is not
 * a run's. Said before the work; `createRunFolder` asks again.
 */
export async function requireRunPlace(
  options: Pick<RunFolderOptions, "root" | "experiment" | "name" | "overwrite">,
): Promise<void> {
  const folder = folderOf(options);
  await requireRealFolder(folder);
  await requireNoStranger(folder);
  const statusFile = path.join(folder, "status.json");
  if (!(await hasEntry(statusFile))) return;
  if (options.overwrite) await ownRunFiles(folder);
  else if (await isBegun(folder)) throw await existing(folder, options);
}

/** Whether a run has its config: the file after status.json. One that was killed between the two can be neither read nor resumed, and has nothing to lose. */
const isBegun = (folder: string): Promise<boolean> => hasEntry(path.join(folder, CONFIG));

/** A link to nothing counts: a name is taken by it. */
async function hasEntry(file: string): Promise<boolean> {
  return (await lstat(file).catch(() => undefined)) !== undefined;
}

/** Absolute path of a run's folder. */
export function folderOf({ root, experiment, name }: Pick<RunFolderOptions, "root" | "experiment" | "name">): string {
  return path.resolve(root, experiment, name);
}

/**
 * Creates status.json, which must not exist: the file system decides which of two processes was first. One without a config was left by a process
 * that is gone, since the lock is ours.
 */
async function claim(folder: string, status: RunStatus, options: RunFolderOptions): Promise<void> {
  const statusFile = path.join(folder, "status.json");
  if (options.overwrite && (await hasEntry(statusFile))) await removeRun(folder, await ownRunFiles(folder));
  else if (!(await isBegun(folder))) await rm(statusFile, { force: true });
  try {
    const handle = await open(statusFile, "wx");
    await handle.writeFile(jsonText(status));
    await handle.close();
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "EEXIST")) throw cause;
    throw await existing(folder, options, cause);
  }
}

async function existing(
  folder: string,
  options: Pick<RunFolderOptions, "root" | "experiment" | "name">,
  cause?: unknown,
): Promise<ConfigError> {
  return new ConfigError(
    `${folder}: expected a new run, found one that is ${await stateOf(path.join(folder, "status.json"))}. ` +
      `Choose: name=${await freeName(options)} for a run beside it, --overwrite to replace it, ` +
      `or \`adamerge inspect ${folder}\` to look at it`,
    { cause },
  );
}

async function stateOf(statusFile: string): Promise<string> {
  try {
    const status: unknown = JSON.parse(await readFile(statusFile, "utf8"));
    if (typeof status === "object" && status !== null && "state" in status) return `${status.state}`;
  } catch {
    // An unreadable status.json is still somebody's run.
  }
  return "in an unknown state";
}

async function freeName({
  root,
  experiment,
  name,
}: Pick<RunFolderOptions, "root" | "experiment" | "name">): Promise<string> {
  for (let number = 2; number <= MAX_SUGGESTED_NAMES; number++) {
    const candidate = `${name}-${number}`;
    const handle = await open(path.join(root, experiment, candidate, "status.json")).catch(() => undefined);
    if (handle === undefined) return candidate;
    await handle.close();
  }
  return "ANOTHER";
}

/** JSON for people. */
export function jsonText(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
