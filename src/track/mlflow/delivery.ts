/**
 * Delivers a run folder to an MLflow server, as far as it has got, each point once: during a fit again and again, afterwards by
 * `adamerge sync`. How far it is stands in `mlflow.json` in the folder; what a crash leaves unsaved is sent again with the same
 * timestamp, which the server's store recognises.
 */
import path from "node:path";
import { splitAddress } from "../../runtime/credentials.js";
import { readJsonLines } from "../../runtime/json-file.js";
import { storeArtifact, unreachableStore } from "./artifact-store.js";
import type { MlflowClient, MlflowMetric, MlflowText } from "./client.js";
import { newState, readState, type DeliveryState as State, writeState } from "./delivery-state.js";
import { deliverModel, registerModel } from "./logged-model.js";
import { artifactPaths, datasetsOf, pointsOf, readArtifact, runKey, STATUS, sourceTags } from "./run-data.js";
import { type PointPlace, readToldRun, type ToldRun } from "./told-run.js";

export const RUN_KEY_TAG = "adamerge.run_key";
/** The tag that MLflow shows as the description of a run. */
export const DESCRIPTION = "mlflow.note.content";

export interface DeliveryOptions {
  readonly client: MlflowClient;
  readonly uri: string;
  /** Experiment on the server; null for the run's own. */
  readonly experiment: string | null;
  /** Deliver the merged model, also when the run's config does not ask for it. */
  readonly withModel: boolean;
  /** Register the merged model under this name, also when the run's config does not ask for it. */
  readonly register?: string | undefined;
  /** Who delivers, and in most cases has run it. */
  readonly user?: string | undefined;
  /** The run on the server that this one is part of. */
  readonly parentRunId?: string | undefined;
  readonly log: (line: string) => void;
}

/** What `sync` delivered of one run. */
export interface Delivered {
  readonly runId: string;
  /** The run's page. */
  readonly url: string;
  /** Points sent now. */
  readonly points: number;
  /** Files sent now. */
  readonly files: number;
}

type Saved = (changes: Partial<State>) => Promise<State>;

/** Sends what the server does not have yet; files and the final status only once the run has ended. Throws TrackerError. */
export async function deliver(folder: string, options: DeliveryOptions): Promise<Delivered> {
  const run = await readToldRun(folder);
  const { status } = run;
  const { client } = options;
  let state = (await readState(folder, options.uri)) ?? (await createRun(run, options));
  const save: Saved = async (changes) => {
    state = { ...state, ...changes };
    await writeState(folder, state);
    return state;
  };
  await save({});
  await describe(run, state, save, options);
  const sent = await sendPoints(folder, state, options);
  await save(sent.state);
  if (status.state === "running") return { ...addressOf(state), points: sent.points, files: 0 };
  const compared = await sendComparison(run, state, save, options);
  const { files, ...delivered } = await sendFiles(folder, state, options);
  state = delivered.state;
  const modelFiles = await sendModel(run, state, save, options);
  await client.updateRun(state.runId, { status: STATUS[status.state], endTime: Date.parse(status.updated) });
  return { ...addressOf(state), points: sent.points + compared, files: files + modelFiles };
}

/** MLflow 3 has two sets of pages, and shows those for traces and prompts unless the address says which. */
function addressOf({ uri, experimentId, runId }: State): Pick<Delivered, "runId" | "url"> {
  const base = uri.replace(/\/+$/, "");
  return { runId, url: `${base}/#/experiments/${experimentId}/runs/${runId}?workflowType=machine_learning` };
}

async function createRun({ folder, experiment, name, status }: ToldRun, options: DeliveryOptions): Promise<State> {
  const { client, parentRunId } = options;
  const { url: uri } = splitAddress(options.uri);
  const experimentId = await client.experimentId(options.experiment ?? experiment);
  const key = { key: RUN_KEY_TAG, value: runKey(folder, status) };
  // A crash between creating the run and noting it must not make a second one.
  const [known] = await client.findRuns(experimentId, key);
  const tags: MlflowText[] = [key, { key: "mlflow.runName", value: name }, ...parentTag(parentRunId)];
  const run = known ?? (await client.createRun({ experimentId, name, startTime: Date.parse(status.started), tags }));
  return newState({ uri, experimentId, ...run, parent: known === undefined ? (parentRunId ?? null) : null });
}

function parentTag(runId: string | undefined): MlflowText[] {
  return runId === undefined ? [] : [{ key: "mlflow.parentRunId", value: runId }];
}

/** What is known when a run begins: parameters, tags, what it reads and what it is a part of. */
async function describe(
  { params, tags, environment }: ToldRun,
  state: State,
  save: Saved,
  { client, log, user, parentRunId }: DeliveryOptions,
): Promise<void> {
  if (!state.described) {
    await client.log(state.runId, { params, tags: [...tags, ...sourceTags(environment, user)] });
    await save({ described: true });
  }
  if (parentRunId !== undefined && state.parent !== parentRunId) {
    await client.log(state.runId, { tags: parentTag(parentRunId) });
    await save({ parent: parentRunId });
  }
  if (state.inputs) return;
  const datasets = datasetsOf(environment);
  if (datasets.length > 0 && !(await client.logInputs(state.runId, datasets)))
    log("mlflow: this server knows no data sets as inputs (MLflow 2.4 and later do); the run goes without them");
  await save({ inputs: true });
}

/** Of a run that has ended: what it came to, once, and its description. Returns the points sent now. */
async function sendComparison(
  run: ToldRun,
  state: State,
  save: Saved,
  { client, log }: DeliveryOptions,
): Promise<number> {
  const { status, description } = run;
  const results = status.state === "finished" ? run.results : undefined;
  let points = 0;
  if (results !== undefined && !state.compared) {
    const metrics = results(endOf(run, state)).run;
    await client.log(state.runId, { metrics });
    points = metrics.length;
    await save({ compared: true });
  }
  if (state.description === description) return points;
  // What a person has written there stays.
  const there = (await client.tagOf(state.runId, DESCRIPTION)) ?? "";
  if (there === "" || there === state.description)
    await client.log(state.runId, { tags: [{ key: DESCRIPTION, value: description }] });
  else log(`mlflow: run ${state.runId} has a description of its own, which stays`);
  await save({ description });
  return points;
}

/** The step and time of figures about the whole run. */
function endOf({ status }: ToldRun, { lastTimestamp }: State): PointPlace {
  return { timestamp: Math.max(lastTimestamp, Date.parse(status.updated)), step: status.step };
}

/** The model where it is asked for, and its place in the registry. Returns the files sent now. */
async function sendModel(run: ToldRun, first: State, save: Saved, options: DeliveryOptions): Promise<number> {
  const { folder, name, status, environment, params, tags, model: own } = run;
  const isWanted = status.state === "finished" && own.isWanted;
  const register = options.register ?? (isWanted ? own.register : null);
  let [state, files] = [first, 0];
  if ((options.withModel || options.register !== undefined || isWanted) && !state.modelReady) {
    const model = await deliverModel(
      folder,
      {
        ...{ ...state, name, type: own.type, step: status.step, params },
        tags: [
          ...tags,
          ...sourceTags(environment, options.user),
          ...(state.description === null ? [] : [{ key: DESCRIPTION, value: state.description }]),
        ],
        metrics: [
          ...(await lastEvaluation(run, state, options)),
          ...(run.results === undefined ? [] : run.results(endOf(run, state)).model),
        ],
        isOutside: environment.outsideFamily !== undefined,
      },
      options,
    );
    files = model.files;
    const { modelId, source } = model;
    if (model.isReady)
      state = await save({
        modelReady: true,
        model: { ...(modelId === undefined ? {} : { modelId }), ...(source === undefined ? {} : { source }) },
      });
  }
  if (register !== null && state.modelReady && state.registered?.startsWith(`${register}/`) !== true) {
    const version = await registerModel(state, register, { files: 0, isReady: true, ...state.model }, options);
    if (version !== undefined) await save({ registered: `${register}/${version}` });
  }
  return files;
}

/** The points of the last evaluation, as they were sent, with what they were measured on. */
async function lastEvaluation(
  { folder, environment, isMeasuredOn }: ToldRun,
  { lastEvaluation: step, evaluationTimestamp: timestamp }: State,
  { log }: DeliveryOptions,
): Promise<MlflowMetric[]> {
  const lines = await readJsonLines(path.join(folder, "metrics.jsonl"), "a log of a run", log);
  const points = lines
    .map(pointsOf)
    .findLast((found) => found?.isEvaluation === true && found.step === step && timestamp > 0);
  const datasets = datasetsOf(environment);
  return (points?.metrics ?? []).map((metric) => {
    const dataset = datasets.find(
      ({ name, context }) => /evaluation|validation/.test(context) && isMeasuredOn(metric.key, name),
    );
    const measured = dataset === undefined ? {} : { dataset_name: dataset.name, dataset_digest: dataset.digest };
    return { ...metric, timestamp, ...measured };
  });
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
  let { lastStep, lastEvaluation, lastTimestamp, evaluationTimestamp } = state;
  for (const line of lines) {
    const found = pointsOf(line);
    if (found === undefined || found.step <= (found.isEvaluation ? lastEvaluation : lastStep)) continue;
    for (const metric of found.metrics) {
      // The server shows the value with the latest timestamp as the current one, so time must not go back.
      lastTimestamp = Math.max(lastTimestamp, metric.timestamp);
      metrics.push({ ...metric, timestamp: lastTimestamp });
    }
    for (const name of found.nonFinite) tags.push({ key: `nonfinite.${name}`, value: `step ${found.step}` });
    if (found.isEvaluation) [lastEvaluation, evaluationTimestamp] = [found.step, lastTimestamp];
    else lastStep = found.step;
  }
  if (metrics.length > 0 || tags.length > 0) await client.log(state.runId, { metrics, tags });
  return {
    state: { ...state, lastStep, lastEvaluation, lastTimestamp, evaluationTimestamp },
    points: metrics.length,
  };
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
