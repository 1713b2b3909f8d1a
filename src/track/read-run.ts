/** A run by its folder: which kind it is, its settings, and how it stands. */
import { stat } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { type FinetuneConfig, isFinetune, parseFinetune } from "../config/finetune.js";
import { parseRunConfig } from "../config/load.js";
import type { RunConfig } from "../config/schema.js";
import { parseYaml } from "../config/strict-yaml.js";
import { ConfigError } from "../errors.js";
import { type JsonKind, readJsonFile } from "../runtime/json-file.js";
import { readText } from "../runtime/regular-file.js";
import type { RunStatus } from "./run-folder.js";

export const CONFIG_FILE = "config.yaml";
export const STATUS_FILE = "status.json";
/** A thousand times what one takes. */
const MOST_CONFIG_BYTES = 2 ** 24;

const statusKind: JsonKind<RunStatus> = {
  what: "the status of a run",
  schema: z.object({
    state: z.enum(["running", "finished", "interrupted", "failed"]),
    started: z.iso.datetime(),
    updated: z.iso.datetime(),
    step: z.int().min(0),
    error: z.string().exactOptional(),
  }),
  advice: "put the file back, or start a new run",
};

/** A fit's run. */
export interface FitRun {
  readonly kind: "fit";
  readonly config: RunConfig;
  readonly status: RunStatus;
}

/** A fine-tuning's. */
export interface FinetuneRun {
  readonly kind: "finetune";
  readonly config: FinetuneConfig;
  readonly status: RunStatus;
}

/** How a run stands. Throws ConfigError for a file that is none. */
export function readStatus(folder: string): Promise<RunStatus> {
  return readJsonFile(path.join(folder, STATUS_FILE), statusKind);
}

/** Kind, settings and status of a run. Throws ConfigError when the folder holds none. */
export async function readAnyRun(folder: string): Promise<FitRun | FinetuneRun> {
  const settings = await readSettings(folder);
  return { ...settings, status: await readStatus(folder) };
}

async function readSettings(folder: string): Promise<Omit<FitRun, "status"> | Omit<FinetuneRun, "status">> {
  const file = path.join(folder, CONFIG_FILE);
  const text = await readConfigText(folder);
  try {
    const { value } = parseYaml(text, file);
    return isFinetune(value)
      ? { kind: "finetune", config: parseFinetune(value) }
      : { kind: "fit", config: parseRunConfig(value) };
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause;
    const found = cause.message.startsWith(file) ? cause.message : `${file}: ${cause.message.trim()}`;
    throw new ConfigError(`${found}; put the file back, or start a new run`, { cause });
  }
}

/** Of a fit. Throws ConfigError when the folder holds none. */
export async function readRun(folder: string): Promise<FitRun> {
  const run = await readAnyRun(folder);
  if (run.kind === "fit") return run;
  throw new ConfigError(`${folder}: expected a run of \`adamerge fit\`, found one of \`adamerge finetune\``);
}

/** Of a fine-tuning. Throws ConfigError when the folder holds none. */
export async function readFinetuneRun(folder: string): Promise<FinetuneRun> {
  const run = await readAnyRun(folder);
  if (run.kind === "finetune") return run;
  throw new ConfigError(`${folder}: expected a run of \`adamerge finetune\`, found one of \`adamerge fit\``);
}

/** Whether a folder holds a run, which may be damaged: one that was claimed and described. */
export async function isRunFolder(folder: string): Promise<boolean> {
  for (const name of [CONFIG_FILE, STATUS_FILE])
    if ((await stat(path.join(folder, name)).catch(() => undefined)) === undefined) return false;
  return true;
}

async function readConfigText(folder: string): Promise<string> {
  if (!(await isRunFolder(folder)))
    throw new ConfigError(
      `${folder}: expected the folder of a run, with ${CONFIG_FILE} and ${STATUS_FILE}, found none; give one that \`adamerge fit\` or \`adamerge finetune\` wrote`,
    );
  return readText(path.join(folder, CONFIG_FILE), "the configuration of a run", MOST_CONFIG_BYTES, ConfigError);
}
