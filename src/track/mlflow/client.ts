/**
 * A thin client of MLflow's REST API (2.0 paths, as served by MLflow 2 and 3) over fetch: experiments, runs, batches, inputs, artifacts. Models
 * and the registry are in models-client.ts, requests and their retries in request.ts.
 * Source: mlflow/protos/service.proto and mlflow_artifacts.proto; limits from mlflow/utils/validation.py.
 */
import { z } from "zod";
import { TrackerError } from "../../errors.js";
import { type ModelsClient, modelsClient } from "./models-client.js";
import {
  call,
  connect,
  errorText,
  isUnknownCall,
  type LocalFile,
  type MlflowOptions,
  raw,
  read,
  refused,
  UNKNOWN_CALL,
} from "./request.js";

export interface MlflowMetric {
  readonly key: string;
  readonly value: number;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  readonly step: number;
  /** The logged model that it was measured of (MLflow 3). */
  readonly model_id?: string;
  /** The data set that it was measured on, as it was logged as an input (MLflow 3). */
  readonly dataset_name?: string;
  readonly dataset_digest?: string;
}

export interface MlflowText {
  readonly key: string;
  readonly value: string;
}

/** A data set that a run has read: names and texts as in MLflow's `Dataset`. */
export interface MlflowDataset {
  readonly name: string;
  /** What tells its contents from others' of the same name. */
  readonly digest: string;
  /** A kind of source that MLflow knows: local, hugging_face, ... */
  readonly sourceType: string;
  /** JSON in the form of the source type. */
  readonly source: string;
  /** JSON. */
  readonly schema?: string;
  /** JSON: counts. */
  readonly profile: string;
  /** What the run did with it. */
  readonly context: string;
}

export interface MlflowRun {
  readonly runId: string;
  readonly artifactUri: string;
}

export type MlflowStatus = "RUNNING" | "FINISHED" | "FAILED" | "KILLED";

export interface MlflowClient extends ModelsClient {
  readonly artifactRoot: string | undefined;
  /** Id of the experiment, created when it is not there. Throws TrackerError for a deleted one. */
  experimentId(name: string): Promise<string>;
  createRun(run: {
    experimentId: string;
    name: string;
    startTime: number;
    tags: readonly MlflowText[];
  }): Promise<MlflowRun>;
  /** The runs of an experiment that carry a tag. */
  findRuns(experimentId: string, tag: MlflowText): Promise<MlflowRun[]>;
  /** What a tag of a run says; undefined where it has none. */
  tagOf(runId: string, key: string): Promise<string | undefined>;
  /** Sends everything, in as many requests as the limits ask for, in order. */
  log(
    runId: string,
    data: { metrics?: readonly MlflowMetric[]; params?: readonly MlflowText[]; tags?: readonly MlflowText[] },
  ): Promise<void>;
  /** Says what a run has read; false from a server that knows no inputs (before 2.4). */
  logInputs(runId: string, datasets: readonly MlflowDataset[]): Promise<boolean>;
  updateRun(runId: string, update: { status: MlflowStatus; endTime?: number }): Promise<void>;
  /** Stores a file of a run or model whose artifacts go through the server (`mlflow-artifacts:`). */
  uploadArtifact(artifactUri: string, path: string, content: Uint8Array | LocalFile): Promise<void>;
}

/** mlflow/utils/validation.py: MAX_METRICS_PER_BATCH, MAX_PARAMS_TAGS_PER_BATCH, MAX_DATASETS_PER_BATCH. */
const MAX_METRICS = 1000;
const MAX_TEXTS = 100;
const MAX_DATASETS = 1000;
const ARTIFACT_SCHEME = "mlflow-artifacts:";
/** What decides with which pages MLflow 3 opens an experiment; without it a new one may be taken for one of traces and prompts. */
const KIND = { key: "mlflow.experimentKind", value: "custom_model_development" };

const infoSchema = z.object({ run_id: z.string(), artifact_uri: z.string() });
const runSchema = z.object({ run: z.object({ info: infoSchema }) });
const textSchema = z.object({ key: z.string(), value: z.string() });
const taggedSchema = z.object({ run: z.object({ data: z.object({ tags: z.array(textSchema).optional() }) }) });
const experimentSchema = z.object({
  experiment: z.object({
    experiment_id: z.string(),
    lifecycle_stage: z.string().optional(),
    tags: z.array(textSchema.partial()).optional(),
  }),
});
const foundSchema = z.object({ runs: z.array(runSchema.shape.run).optional() });

/** Throws TrackerError for a URI that is not http(s). */
export function createMlflowClient(given: MlflowOptions): MlflowClient {
  const connection = connect(given);
  const { options, base, ask } = connection;
  const post = async (path: string, body: Readonly<Record<string, unknown>>): Promise<unknown> =>
    (await ask("POST", path, body)).body;

  const getExperiment = async (name: string): Promise<string | undefined> => {
    const path = `experiments/get-by-name?experiment_name=${encodeURIComponent(name)}`;
    const { status, body } = await ask("GET", path, undefined, [404]);
    if (status === 404) return undefined;
    const { experiment_id, lifecycle_stage, tags = [] } = read(experimentSchema, body, path).experiment;
    if (lifecycle_stage === "deleted")
      throw new TrackerError(
        `${options.uri}: experiment ${name}: expected one in use, found a deleted one. Restore it (mlflow experiments restore -x ${experiment_id}) or use another name`,
      );
    // Whoever has chosen a kind has chosen it.
    if (!tags.some(({ key }) => key === KIND.key))
      await ask("POST", "experiments/set-experiment-tag", { experiment_id, ...KIND }, UNKNOWN_CALL);
    return experiment_id;
  };

  return {
    artifactRoot: options.artifactRoot,
    async experimentId(name) {
      const known = await getExperiment(name);
      if (known !== undefined) return known;
      const path = "experiments/create";
      const { status, body } = await ask("POST", path, { name, tags: [KIND] }, [400]);
      if (status !== 400) return read(z.object({ experiment_id: z.string() }), body, path).experiment_id;
      // Another process created it between the two requests.
      const other = await getExperiment(name);
      if (other !== undefined) return other;
      throw new TrackerError(`${options.uri}: experiment ${name}: could not be created: ${errorText(body)}`);
    },
    async createRun({ experimentId, name, startTime, tags }) {
      const body = await post("runs/create", {
        experiment_id: experimentId,
        run_name: name,
        start_time: startTime,
        tags,
      });
      return runOf(read(runSchema, body, "runs/create").run);
    },
    async findRuns(experimentId, { key, value }) {
      const filter = `tags.\`${key}\` = '${value.replaceAll("'", "")}'`;
      const body = await post("runs/search", { experiment_ids: [experimentId], filter, max_results: 10 });
      return (read(foundSchema, body, "runs/search").runs ?? []).map(runOf);
    },
    async tagOf(runId, wanted) {
      const path = `runs/get?run_id=${encodeURIComponent(runId)}`;
      const { tags = [] } = read(taggedSchema, (await ask("GET", path)).body, path).run.data;
      return tags.find(({ key }) => key === wanted)?.value;
    },
    async log(runId, { metrics = [], params = [], tags = [] }) {
      for (const some of chunks(params, MAX_TEXTS)) await post("runs/log-batch", { run_id: runId, params: some });
      for (const some of chunks(tags, MAX_TEXTS)) await post("runs/log-batch", { run_id: runId, tags: some });
      for (const some of chunks(metrics, MAX_METRICS)) await post("runs/log-batch", { run_id: runId, metrics: some });
    },
    async logInputs(runId, datasets) {
      for (const some of chunks(datasets, MAX_DATASETS)) {
        const inputs = some.map(({ context, sourceType, ...dataset }) => ({
          tags: [{ key: "mlflow.data.context", value: context }],
          dataset: { ...dataset, source_type: sourceType },
        }));
        const reply = await ask("POST", "runs/log-inputs", { run_id: runId, datasets: inputs }, UNKNOWN_CALL);
        if (isUnknownCall(reply)) return false;
        if (reply.status >= 400) throw refused(options, reply);
      }
      return true;
    },
    async updateRun(runId, { status, endTime }) {
      await post("runs/update", { run_id: runId, status, ...(endTime === undefined ? {} : { end_time: endTime }) });
    },
    async uploadArtifact(artifactUri, path, content) {
      await call(options, "PUT", artifactUrl(base, artifactUri, path), raw(content));
    },
    ...modelsClient(connection),
  };
}

/** Whether artifacts of this URI are stored through the server. */
export function isProxied(artifactUri: string): boolean {
  return artifactUri.startsWith(ARTIFACT_SCHEME);
}

function artifactUrl(base: string, artifactUri: string, path: string): string {
  // mlflow-artifacts:/<root> or mlflow-artifacts://<host>/<root>: the host is the server that is asked anyway.
  const root = artifactUri.slice(ARTIFACT_SCHEME.length).replace(/^\/\/[^/]*/, "");
  const full = `${root}/${path}`.split("/").filter(Boolean).map(encodeURIComponent).join("/");
  return `${base}/api/2.0/mlflow-artifacts/artifacts/${full}`;
}

function runOf({ info }: z.output<typeof runSchema>["run"]): MlflowRun {
  return { runId: info.run_id, artifactUri: info.artifact_uri };
}

function* chunks<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let first = 0; first < items.length; first += size) yield items.slice(first, first + size);
}
