/**
 * The folder of one run: what was asked, where it ran, how it went, what came out. It is always written and
 * complete in itself; other trackers only repeat it. Every file but metrics.jsonl is replaced atomically.
 *
 *     <root>/<experiment>/<name>/  config.yaml  environment.json  status.json  metrics.jsonl
 *                                  coefficients.json  summary.json  README.md  model/
 */
import { mkdir, open, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { formatConfig } from "../config/format.js";
import type { RunConfig } from "../config/schema.js";
import { ConfigError } from "../errors.js";
import type { TrainEvent } from "../optimize/events.js";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import { type CoefficientsRecord, coefficientsText } from "./coefficients-file.js";
import { metricsOf } from "./metrics.js";

/** Everything a run writes; `--overwrite` removes these and nothing else, whatever a person put beside them. */
const RUN_ENTRIES = [
  "config.yaml",
  "environment.json",
  "metrics.jsonl",
  "coefficients.json",
  "summary.json",
  "README.md",
  "model",
] as const;

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
  /** Package name to version, adamerge's own included. */
  readonly versions: Readonly<Record<string, string>>;
  readonly gitCommit?: string;
}

export interface RunFolderOptions {
  /** Directory of all runs. */
  readonly root: string;
  readonly experiment: string;
  readonly name: string;
  readonly config: RunConfig;
  /** Replaces what an earlier run of this name wrote. */
  readonly overwrite: boolean;
  readonly now?: () => Date;
}

export interface RunFolder {
  /** Absolute path of the folder. */
  readonly path: string;
  writeEnvironment(environment: EnvironmentRecord): Promise<void>;
  /** Appends the event's metrics to metrics.jsonl as one line and remembers the step. Events must be recorded in order. */
  record(event: TrainEvent): Promise<void>;
  writeCoefficients(coefficients: CoefficientsRecord): Promise<void>;
  /** Writes summary.json; `summary` is plain JSON data. */
  writeSummary(summary: object): Promise<void>;
  /** Writes README.md, the model card. */
  writeReadme(text: string): Promise<void>;
  /** Sets the state people and other processes see; `error` is the reason of a failure. */
  setState(state: RunState, error?: string): Promise<void>;
  /** Flushes and closes metrics.jsonl. Does not change the state. */
  close(): Promise<void>;
}

/**
 * Makes `<root>/<experiment>/<name>` and claims it: of two processes that ask for one name only one gets it.
 *
 * @throws ConfigError when a run of that name exists and `overwrite` is false; the message lists the choices
 */
export async function createRunFolder(options: RunFolderOptions): Promise<RunFolder> {
  const now = options.now ?? (() => new Date());
  const folder = path.resolve(options.root, options.experiment, options.name);
  const file = (name: string) => path.join(folder, name);
  await mkdir(folder, { recursive: true });
  const started = now().toISOString();
  let status: RunStatus = { state: "running", started, updated: started, step: 0 };
  await claim(folder, status, options);
  await writeFileAtomic(file("config.yaml"), formatConfig(options.config));
  const metrics = await open(file("metrics.jsonl"), "a");
  let tasks: readonly string[] = [];

  return {
    path: folder,
    writeEnvironment: (environment) => writeFileAtomic(file("environment.json"), jsonText(environment)),
    async record(event) {
      if (event.type === "start") tasks = event.tasks;
      else status = { ...status, step: event.step };
      const values = metricsOf(event, tasks);
      if (values === undefined) return;
      await metrics.appendFile(`${JSON.stringify({ time: now().toISOString(), ...values })}\n`);
    },
    writeCoefficients: (coefficients) => writeFileAtomic(file("coefficients.json"), coefficientsText(coefficients)),
    writeSummary: (summary) => writeFileAtomic(file("summary.json"), jsonText(summary)),
    writeReadme: (text) => writeFileAtomic(file("README.md"), text),
    async setState(state, error) {
      status = { ...status, state, updated: now().toISOString(), ...(error === undefined ? {} : { error }) };
      await writeFileAtomic(file("status.json"), jsonText(status));
    },
    async close() {
      await metrics.sync();
      await metrics.close();
    },
  };
}

/** Creates status.json, which must not exist: the file system decides which of two processes was first. */
async function claim(folder: string, status: RunStatus, options: RunFolderOptions): Promise<void> {
  const statusFile = path.join(folder, "status.json");
  if (options.overwrite) {
    for (const entry of RUN_ENTRIES) await rm(path.join(folder, entry), { recursive: true, force: true });
    await writeFileAtomic(statusFile, jsonText(status));
    return;
  }
  try {
    const handle = await open(statusFile, "wx");
    await handle.writeFile(jsonText(status));
    await handle.close();
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "EEXIST")) throw cause;
    throw new ConfigError(
      `${folder}: expected a new run, found one that is ${await stateOf(statusFile)}. ` +
        `Choose: name=${await freeName(options)} for a run beside it, --overwrite to replace it, ` +
        `or \`adamerge inspect ${folder}\` to look at it`,
      { cause },
    );
  }
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

async function freeName({ root, experiment, name }: RunFolderOptions): Promise<string> {
  for (let number = 2; number <= MAX_SUGGESTED_NAMES; number++) {
    const candidate = `${name}-${number}`;
    const handle = await open(path.join(root, experiment, candidate, "status.json")).catch(() => undefined);
    if (handle === undefined) return candidate;
    await handle.close();
  }
  return "ANOTHER";
}

function jsonText(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
