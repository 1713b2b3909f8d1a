/** What MLflow is told of a run, read from its folder: params, tags, data sets, points of the curves, files. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { parseUri } from "../../checkpoint/hub/reference.js";
import { flatSettings } from "../../config/flat.js";
import type { ConfigKey } from "../../config/keys.js";
import { DOCUMENTS } from "../run-entries.js";
import { DATA_USES, type DataRecord, type RunStatus } from "../run-folder.js";
import type { MlflowDataset, MlflowMetric, MlflowStatus, MlflowText } from "./client.js";
import type { LocalFile } from "./request.js";

/** mlflow/utils/validation.py: MAX_PARAM_VAL_LENGTH; longer values are in the artifact config.yaml. */
const MAX_PARAM_CHARACTERS = 6000;
/** Names MLflow takes; others would be refused. */
const UNSAFE = /[^A-Za-z0-9_./\- ]/g;

/** The resolved configuration, one parameter per key of its schema. */
export function paramsOf(config: object, keys: ReadonlyMap<string, ConfigKey>): MlflowText[] {
  return [...flatSettings(config, keys)].map(([key, value]) => ({ key, value: value.slice(0, MAX_PARAM_CHARACTERS) }));
}

/** Tags that say where a run ran, who ran it and from which source. */
export function sourceTags(environment: Readonly<Record<string, unknown>>, user: string | undefined): MlflowText[] {
  const text = (key: string, name = `adamerge.${key}`): MlflowText[] => {
    const value = environment[key];
    return typeof value === "string" ? [{ key: name, value }] : [];
  };
  return [
    ...(user === undefined ? [] : [{ key: "mlflow.user", value: user }]),
    { key: "mlflow.source.name", value: "adamerge" },
    { key: "mlflow.source.type", value: "LOCAL" },
    ...text("gitCommit", "mlflow.source.git.commit"),
    ...text("gitBranch", "mlflow.source.git.branch"),
    ...text("gitRepository", "mlflow.source.git.repoURL"),
    ...["engine", "device"].flatMap((key) => text(key)),
  ];
}

const dataSchema = z.array(
  z.object({
    task: z.string(),
    split: z.string(),
    use: z.enum(DATA_USES),
    kind: z.string(),
    examples: z.int(),
    digest: z.string(),
    source: z.string(),
  }),
);

/** The data sets that a run's environment.json names; none for runs of before it did. */
export function datasetsOf({ data }: Readonly<Record<string, unknown>>): MlflowDataset[] {
  const parsed = dataSchema.safeParse(data);
  return (parsed.success ? parsed.data : []).map(datasetOf);
}

/** The names of MLflow's own clients for what a data set is there for. */
const CONTEXTS: Readonly<Record<DataRecord["use"], string>> = {
  "adapted on": "adaptation",
  judged: "evaluation",
  "adapted on and judged": "adaptation and evaluation",
  "trained on": "training",
  "held out": "validation",
};

/** As many as MLflow's own digests have: its pages show them behind the name. */
const DIGEST_DIGITS = 8;

function datasetOf({ task, split, use, kind, examples, digest, source }: DataRecord): MlflowDataset {
  const reference = parseUri(source);
  const place = reference === undefined ? { uri: source } : { path: reference.id, revision: reference.revision };
  const column = kind === "text" ? { type: "string", name: "text" } : { type: "binary", name: kind };
  return {
    name: datasetName(task, split),
    digest: digest.slice(0, DIGEST_DIGITS),
    sourceType: reference === undefined ? "local" : "hugging_face",
    source: JSON.stringify(place),
    schema: JSON.stringify({ mlflow_colspec: [{ ...column, required: true }] }),
    profile: JSON.stringify({ num_rows: examples }),
    context: CONTEXTS[use],
  };
}

/** What the data set of a task is called. */
export const datasetName = (task: string, split: string): string => `${task}/${split}`;

/** Names a run across repeated deliveries: when and where it was begun, not what it is called. */
export function runKey(folder: string, status: RunStatus): string {
  return createHash("sha256").update(`${status.started} ${folder}`).digest("hex").slice(0, 32);
}

export const STATUS: Readonly<Record<RunStatus["state"], MlflowStatus>> = {
  running: "RUNNING",
  finished: "FINISHED",
  failed: "FAILED",
  interrupted: "KILLED",
};

/** One line of metrics.jsonl as points; what is not finite is named apart, since servers cannot store it. */
export interface Points {
  readonly step: number;
  /** Whether the line is of an evaluation: a step may have one of each. */
  readonly isEvaluation: boolean;
  readonly metrics: readonly MlflowMetric[];
  readonly nonFinite: readonly string[];
}

/** A name as MLflow takes it. */
export const metricName = (name: string): string => name.replace(UNSAFE, "_");

/** Undefined for a line of something else. */
export function pointsOf(values: Readonly<Record<string, unknown>>): Points | undefined {
  const { time, step, ...numbers } = values;
  if (typeof step !== "number" || typeof time !== "string") return undefined;
  const timestamp = Date.parse(time);
  const metrics: MlflowMetric[] = [];
  const nonFinite: string[] = [];
  for (const [name, value] of Object.entries(numbers)) {
    const key = metricName(name);
    // JSON has no NaN: what was not finite is null in the file.
    if (typeof value === "number" && Number.isFinite(value)) metrics.push({ key, value, timestamp, step });
    else nonFinite.push(key);
  }
  return { step, isEvaluation: Object.keys(numbers).some((name) => name.startsWith("eval/")), metrics, nonFinite };
}

/** Directory of the model in a run folder. */
export const MODEL_DIRECTORY = "model";

/** Files of a finished run that are delivered, relative to the folder, without the model. */
export async function artifactPaths(folder: string): Promise<string[]> {
  const wanted = [...DOCUMENTS, "metrics.jsonl", "trajectory.jsonl", "task-vectors.json", "report.html"];
  const found: string[] = [];
  for (const name of wanted)
    if ((await stat(path.join(folder, name)).catch(() => undefined))?.isFile()) found.push(name);
  for (const directory of ["checkpoints", "figures"]) found.push(...(await filesBelow(folder, directory)));
  return found.sort();
}

/** Files below a directory of the folder, relative to the folder, with `/`; none when there is no such directory. */
export async function filesBelow(folder: string, directory: string): Promise<string[]> {
  const entries = await readdir(path.join(folder, directory), { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).split(path.sep).join("/"))
    .sort();
}

/** A file of the run and its hash. Read in pieces: a merged model may be larger than memory should be. */
export async function readArtifact(folder: string, name: string): Promise<LocalFile & { readonly sha256: string }> {
  const file = path.join(folder, name);
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const piece of createReadStream(file)) {
    hash.update(piece);
    bytes += piece.length;
  }
  return { path: file, bytes, sha256: hash.digest("hex") };
}
