/**
 * Delivers a run folder to an MLflow server, as far as it has got, each point once: during a fit again and again, afterwards by
 * `adamerge sync`. How far it is stands in `mlflow.json` in the folder; what a crash leaves unsaved is sent again with the same
 * timestamp, which the server's store recognises.
 */
import path from "node:path";
import { z } from "zod";
import type { RunConfig } from "../../config/schema.js";
import { writeFileAtomic } from "../../runtime/atomic-file.js";
import { splitAddress } from "../../runtime/credentials.js";
import { readJsonFileIfThere, readJsonLines } from "../../runtime/json-file.js";
import { readRun } from "../reopen-run.js";
import { environmentKind, type RunStatus } from "../run-folder.js";
import { storeArtifact, unreachableStore } from "./artifact-store.js";
import type { MlflowClient, MlflowMetric, MlflowText } from "./client.js";
import { deliverModel } from "./logged-model.js";
import { artifactPaths, paramsOf, pointsOf, readArtifact, runKey, STATUS, tagsOf } from "./run-data.js";

export const RUN_KEY_TAG = "adamerge.run_key";
const STATE_FILE = "mlflow.json";

const stateSchema = z.object({
  uri: z.string(),
  experimentId: z.string(),
  runId: z.string(),
  artifactUri: z.string(),
  /** Params and tags are on the server. */
  described: z.boolean(),
  /** The last step whose points of each kind are on the server. */
  lastStep: z.int(),
  lastEvaluation: z.int(),
  lastTimestamp: z.number(),
  /** SHA-256 of each delivered file. */
  artifacts: z.record(z.string(), z.string()),
  /** The model on the server has all its files. */
  modelReady: z.boolean(),
});
type State = z.output<typeof stateSchema>;

export interface DeliveryOptions {
  readonly client: MlflowClient;
  readonly uri: string;
  /** Experiment on the server; null for the run's own. */
  readonly experiment: string | null;
  /** Deliver the merged model, also when the run's config does not ask for it. */
  readonly withModel: boolean;
  /** The run on the server that this one is part of. */
  readonly parentRunId?: string | undefined;
  readonly log: (line: string) => void;
}

export interface Delivered {
  readonly runId: string;
  /** Points sent now. */
  readonly points: number;
  /** Files sent now. */
  readonly files: number;
}

/** Sends what the server does not have yet; files and the final status only once the run has ended. Throws TrackerError. */
export async function deliver(folder: string, options: DeliveryOptions): Promise<Delivered> {
  const { config, status } = await readRun(folder);
  let state = await readState(folder, options.uri);
  if (state === undefined) {
    state = await createRun(folder, config, status, options);
    await writeState(folder, state);
  }
  if (!state.described) {
    await options.client.log(state.runId, {
      params: paramsOf(config),
      tags: tagsOf(config, (await readJsonFileIfThere(path.join(folder, "environment.json"), environmentKind)) ?? {}),
    });
    state = { ...state, described: true };
    await writeState(folder, state);
  }
  const sent = await sendPoints(folder, state, options);
  state = sent.state;
  await writeState(folder, state);
  let files = 0;
  if (status.state !== "running") {
    ({ state, files } = await sendFiles(folder, state, options));
    const withModel = options.withModel || (config.log_model && status.state === "finished");
    if (withModel && !state.modelReady) {
      const model = await deliverModel(folder, { ...state, name: config.name, step: status.step }, options);
      files += model.files;
      if (model.isReady) state = { ...state, modelReady: true };
      await writeState(folder, state);
    }
    await options.client.updateRun(state.runId, { status: STATUS[status.state], endTime: Date.parse(status.updated) });
  }
  return { runId: state.runId, points: sent.points, files };
}

async function createRun(
  folder: string,
  config: RunConfig,
  status: RunStatus,
  options: DeliveryOptions,
): Promise<State> {
  const { client } = options;
  const { url: uri } = splitAddress(options.uri);
  const experimentId = await client.experimentId(options.experiment ?? config.experiment);
  const key = { key: RUN_KEY_TAG, value: runKey(folder, status) };
  // A crash between creating the run and noting it must not make a second one.
  const [known] = await client.findRuns(experimentId, key);
  const tags: MlflowText[] = [key, { key: "mlflow.runName", value: config.name }];
  if (options.parentRunId !== undefined) tags.push({ key: "mlflow.parentRunId", value: options.parentRunId });
  const run =
    known ?? (await client.createRun({ experimentId, name: config.name, startTime: Date.parse(status.started), tags }));
  const points = { lastStep: -1, lastEvaluation: -1, lastTimestamp: 0 };
  return { uri, experimentId, ...run, ...points, described: false, artifacts: {}, modelReady: false };
}

/** Points of the lines that are new. A resumed run writes lines again that were sent: their values are the same, and they are passed over. */
async function sendPoints(
  folder: string,
  state: State,
  { client, log }: DeliveryOptions,
): Promise<{ state: State; points: number }> {
  const lines = await readJsonLines(path.join(folder, "metrics.jsonl"), "a log of a run", log);
  const metrics: MlflowMetric[] = [];
  const tags: MlflowText[] = [];
  let { lastStep, lastEvaluation, lastTimestamp } = state;
  for (const line of lines) {
    const found = pointsOf(line);
    if (found === undefined || found.step <= (found.isEvaluation ? lastEvaluation : lastStep)) continue;
    for (const metric of found.metrics) {
      // The server shows the value with the latest timestamp as the current one, so time must not go back.
      lastTimestamp = Math.max(lastTimestamp, metric.timestamp);
      metrics.push({ ...metric, timestamp: lastTimestamp });
    }
    for (const name of found.nonFinite) tags.push({ key: `nonfinite.${name}`, value: `step ${found.step}` });
    if (found.isEvaluation) lastEvaluation = found.step;
    else lastStep = found.step;
  }
  if (metrics.length > 0 || tags.length > 0) await client.log(state.runId, { metrics, tags });
  return { state: { ...state, lastStep, lastEvaluation, lastTimestamp }, points: metrics.length };
}

async function sendFiles(
  folder: string,
  first: State,
  { client, log }: DeliveryOptions,
): Promise<{ state: State; files: number }> {
  let state = first;
  let files = 0;
  for (const name of await artifactPaths(folder)) {
    const file = await readArtifact(folder, name);
    if (state.artifacts[name] === file.sha256) continue;
    const why = await storeArtifact(client, state.artifactUri, name, file, state.artifacts[name]);
    if (why !== undefined) {
      log(unreachableStore(state.artifactUri, folder, why));
      return { state, files };
    }
    files += 1;
    state = { ...state, artifacts: { ...state.artifacts, [name]: file.sha256 } };
    await writeState(folder, state);
  }
  return { state, files };
}

/** How far the delivery to this server is; another server begins anew. */
async function readState(folder: string, uri: string): Promise<State | undefined> {
  const state = await readJsonFileIfThere(path.join(folder, STATE_FILE), {
    what: "how far the run is delivered",
    schema: stateSchema,
    advice: "delete it, and the server is asked which run it has; points that it has are sent again",
  });
  if (state === undefined) return undefined;
  // Earlier versions kept a user and password that were in the address.
  const server = splitAddress(state.uri).url;
  return server === splitAddress(uri).url ? { ...state, uri: server } : undefined;
}

async function writeState(folder: string, state: State): Promise<void> {
  await writeFileAtomic(path.join(folder, STATE_FILE), `${JSON.stringify(state, undefined, 2)}\n`);
}
