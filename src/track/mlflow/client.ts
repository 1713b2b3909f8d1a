/**
 * A thin client of MLflow's REST API (2.0 paths, as served by MLflow 2 and 3) over fetch: experiments, runs, batches, artifacts, models.
 * Source: mlflow/protos/service.proto and mlflow_artifacts.proto; limits from mlflow/utils/validation.py.
 * Retries what may pass (network, 429, 5xx), never what cannot (400, 401, 404). Credentials never appear in messages.
 */
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { z } from "zod";
import { TrackerError } from "../../errors.js";
import { BodyBoundError, readBody } from "../../runtime/bounded-body.js";
import { parseBoundedJson } from "../../runtime/bounded-json.js";
import { shownAddress, splitAddress, withoutSecrets } from "../../runtime/credentials.js";
import { printable } from "../../runtime/printable.js";

export interface MlflowOptions {
  /** http(s)://host[:port][/prefix]. */
  readonly uri: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly token?: string | undefined;
  readonly fetch: typeof fetch;
  readonly sleep: (ms: number) => Promise<void>;
  /** Uniform in [0, 1), for jitter. */
  readonly random: () => number;
  /** Attempts per request, the first included. */
  readonly attempts?: number;
  /** The directory below which the server may have artifacts put on this machine; undefined: nowhere. */
  readonly artifactRoot?: string | undefined;
}

export interface MlflowMetric {
  readonly key: string;
  readonly value: number;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  readonly step: number;
}

export interface MlflowText {
  readonly key: string;
  readonly value: string;
}

export interface MlflowRun {
  readonly runId: string;
  readonly artifactUri: string;
}

/** A model as an entity of its own (MLflow 3). */
export interface MlflowModel {
  readonly modelId: string;
  readonly artifactUri: string;
  readonly isReady: boolean;
}

/** A file of this machine, sent in pieces. */
export interface LocalFile {
  readonly path: string;
  readonly bytes: number;
}

export type MlflowStatus = "RUNNING" | "FINISHED" | "FAILED" | "KILLED";

export interface MlflowClient {
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
  /** Sends everything, in as many requests as the limits ask for, in order. */
  log(
    runId: string,
    data: { metrics?: readonly MlflowMetric[]; params?: readonly MlflowText[]; tags?: readonly MlflowText[] },
  ): Promise<void>;
  updateRun(runId: string, update: { status: MlflowStatus; endTime?: number }): Promise<void>;
  /** Stores a file of a run or model whose artifacts go through the server (`mlflow-artifacts:`). */
  uploadArtifact(artifactUri: string, path: string, content: Uint8Array | LocalFile): Promise<void>;
  /** The model that came out of a run, created when it is not there; undefined from a server without models (MLflow 2). */
  model(model: { experimentId: string; runId: string; name: string }): Promise<MlflowModel | undefined>;
  /** Says that all files of a model are there, and that the run made it. */
  finishModel(modelId: string, runId: string, step: number): Promise<void>;
}

/** mlflow/utils/validation.py: MAX_METRICS_PER_BATCH, MAX_PARAMS_TAGS_PER_BATCH, MAX_ENTITIES_PER_BATCH. */
const MAX_METRICS = 1000;
const MAX_TEXTS = 100;
const ATTEMPTS = 5;
const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 20_000;
const TIMEOUT_MS = 30_000;
/** Answers have some hundred bytes; a list of runs with thousands of parameters each some megabytes. */
const MAX_ANSWER_BYTES = 16_000_000;
/** Slower than this an upload counts as stuck. */
const LEAST_BYTES_PER_MS = 500;
/** A proxy adds a slash or a prefix; more is a circle. */
const MAX_REDIRECTS = 3;
const MODEL_READY = "LOGGED_MODEL_READY";
const ARTIFACT_SCHEME = "mlflow-artifacts:";

const runSchema = z.object({ run: z.object({ info: z.object({ run_id: z.string(), artifact_uri: z.string() }) }) });
const experimentSchema = z.object({
  experiment: z.object({ experiment_id: z.string(), lifecycle_stage: z.string().optional() }),
});
const foundSchema = z.object({ runs: z.array(runSchema.shape.run).optional() });
const modelSchema = z.object({
  info: z.object({ model_id: z.string(), artifact_uri: z.string(), status: z.string() }),
});
const errorSchema = z.object({ error_code: z.string(), message: z.string().optional() });

/** What a request carries; opened anew for every attempt. */
interface Payload {
  readonly type: "application/json" | "application/octet-stream";
  readonly bytes: number;
  open(): string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;
}

interface Reply {
  readonly status: number;
  readonly body: unknown;
}

/** Throws TrackerError for a URI that is not http(s). */
export function createMlflowClient(given: MlflowOptions): MlflowClient {
  // A user in the address goes before the others, as in MLflow's client.
  const { url, username, password } = splitAddress(given.uri);
  const options = { ...given, uri: url, ...(username === undefined ? {} : { username, password, token: undefined }) };
  const base = parseUri(url);
  const api = (path: string): string => `${base}/api/2.0/mlflow/${path}`;
  const post = async (path: string, body: Readonly<Record<string, unknown>>): Promise<unknown> =>
    (await call(options, "POST", api(path), json(body))).body;

  const getExperiment = async (name: string): Promise<string | undefined> => {
    const url = `${api("experiments/get-by-name")}?experiment_name=${encodeURIComponent(name)}`;
    const { status, body } = await call(options, "GET", url, undefined, [404]);
    if (status === 404) return undefined;
    const { experiment_id, lifecycle_stage } = read(experimentSchema, body, url).experiment;
    if (lifecycle_stage === "deleted")
      throw new TrackerError(
        `${options.uri}: experiment ${name}: expected one in use, found a deleted one. Restore it (mlflow experiments restore -x ${experiment_id}) or use another name`,
      );
    return experiment_id;
  };

  return {
    artifactRoot: options.artifactRoot,
    async experimentId(name) {
      const known = await getExperiment(name);
      if (known !== undefined) return known;
      const url = api("experiments/create");
      const { status, body } = await call(options, "POST", url, json({ name }), [400]);
      if (status !== 400) return read(z.object({ experiment_id: z.string() }), body, url).experiment_id;
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
    async log(runId, { metrics = [], params = [], tags = [] }) {
      for (const some of chunks(params, MAX_TEXTS)) await post("runs/log-batch", { run_id: runId, params: some });
      for (const some of chunks(tags, MAX_TEXTS)) await post("runs/log-batch", { run_id: runId, tags: some });
      for (const some of chunks(metrics, MAX_METRICS)) await post("runs/log-batch", { run_id: runId, metrics: some });
    },
    async updateRun(runId, { status, endTime }) {
      await post("runs/update", { run_id: runId, status, ...(endTime === undefined ? {} : { end_time: endTime }) });
    },
    async uploadArtifact(artifactUri, path, content) {
      await call(options, "PUT", artifactUrl(base, artifactUri, path), raw(content));
    },
    async model({ experimentId, runId, name }) {
      const search = { experiment_ids: [experimentId], filter: `source_run_id = '${runId}'`, max_results: 1 };
      const url = api("logged-models/search");
      const { status, body } = await call(options, "POST", url, json(search), [404]);
      if (status === 404) return undefined;
      const [known] = read(z.object({ models: z.array(modelSchema).optional() }), body, url).models ?? [];
      if (known !== undefined) return modelOf(known);
      const created = await post("logged-models", { experiment_id: experimentId, source_run_id: runId, name });
      return modelOf(read(z.object({ model: modelSchema }), created, "logged-models").model);
    },
    async finishModel(modelId, runId, step) {
      const status = { model_id: modelId, status: MODEL_READY };
      await call(options, "PATCH", api(`logged-models/${modelId}`), json(status));
      await post("runs/outputs", { run_id: runId, models: [{ model_id: modelId, step }] });
    },
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

function modelOf({ info }: z.output<typeof modelSchema>): MlflowModel {
  return { modelId: info.model_id, artifactUri: info.artifact_uri, isReady: info.status === MODEL_READY };
}

function parseUri(uri: string): string {
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol) || url.search !== "" || url.hash !== "")
    throw new TrackerError(
      `tracking server: expected http://host:port or https://..., found ${shownAddress(uri)}. Start one with \`mlflow server\`, or leave MLFLOW_TRACKING_URI unset: the run folder is complete without it`,
    );
  return uri.replace(/\/+$/, "");
}

/** The headers of one who may ask. */
export function authorization({
  username,
  password,
  token,
}: Pick<MlflowOptions, "username" | "password" | "token">): Headers {
  const headers = new Headers();
  if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
  else if (username !== undefined)
    headers.set("authorization", `Basic ${Buffer.from(`${username}:${password ?? ""}`).toString("base64")}`);
  return headers;
}

/** One request with retries; a status in `accepted` is returned, any other error is thrown. */
async function call(
  options: MlflowOptions,
  method: string,
  url: string,
  payload?: Payload,
  accepted: readonly number[] = [],
): Promise<Reply> {
  const attempts = options.attempts ?? ATTEMPTS;
  let problem = "";
  for (let attempt = 1; attempt <= attempts; attempt++) {
    let waitMs = Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempt - 1)) * (0.5 + options.random());
    try {
      const response = await answered(options, url, () => request(options, method, payload));
      const text = await answerText(response);
      const reply = { status: response.status, body: parseJson(text) };
      if (response.ok || accepted.includes(response.status)) return reply;
      if (!isPassing(response.status)) throw refused(options, reply);
      problem = `HTTP ${response.status}`;
      const after = Number(response.headers.get("retry-after"));
      if (after > 0) waitMs = Math.min(MAX_WAIT_MS, after * 1000);
    } catch (error) {
      if (error instanceof TrackerError) throw error;
      if (error instanceof BodyBoundError)
        throw new TrackerError(`${url}: expected MLflow's answer, found ${error.message}. Is this an MLflow server?`);
      problem = failureText(error);
    }
    if (attempt < attempts) await options.sleep(waitMs);
  }
  throw new TrackerError(
    `${options.uri}: the tracking server did not answer after ${attempts} attempts (${problem}). Check that it runs and can be reached`,
  );
}

/**
 * The answer, redirects within the server followed. One that leads elsewhere is an error: neither credentials nor what is delivered go to
 * another host than the one that was named.
 */
async function answered({ uri, fetch }: MlflowOptions, first: string, open: () => RequestInit): Promise<Response> {
  let url = first;
  for (let redirects = 0; ; redirects++) {
    const response = await fetch(url, { ...open(), redirect: "manual" });
    const location = response.headers.get("location");
    if (response.status < 300 || response.status >= 400 || location === null) return response;
    const next = URL.canParse(location, url) ? new URL(location, url) : undefined;
    if (next?.origin !== new URL(first).origin || redirects >= MAX_REDIRECTS)
      throw new TrackerError(
        `${uri}: the tracking server sends requests on to ${printable(next?.origin ?? location)}, which is not followed: credentials are for the server that was named. If that one is meant, set MLFLOW_TRACKING_URI to it`,
      );
    await response.body?.cancel();
    url = next.href;
  }
}

async function answerText({ body }: Response): Promise<string> {
  if (body === null) return "";
  return (await readBody(body, { mostBytes: MAX_ANSWER_BYTES, mostMs: TIMEOUT_MS })).toString("utf8");
}

function request(options: MlflowOptions, method: string, payload: Payload | undefined): RequestInit {
  const headers = authorization(options);
  const signal = AbortSignal.timeout(TIMEOUT_MS + Math.ceil((payload?.bytes ?? 0) / LEAST_BYTES_PER_MS));
  if (payload === undefined) return { method, headers, signal };
  headers.set("content-type", payload.type);
  // Without a length a stream is sent in chunks, which not every proxy in front of a server takes.
  headers.set("content-length", String(payload.bytes));
  // `duplex` is what fetch asks for with a stream, and what the DOM's types do not know yet.
  return Object.assign({ method, headers, signal, body: payload.open() }, { duplex: "half" as const });
}

function json(value: Readonly<Record<string, unknown>>): Payload {
  const text = JSON.stringify(value);
  return { type: "application/json", bytes: Buffer.byteLength(text), open: () => text };
}

function raw(content: Uint8Array | LocalFile): Payload {
  const type = "application/octet-stream";
  if (content instanceof Uint8Array) return { type, bytes: content.length, open: () => Uint8Array.from(content) };
  const open = () => Readable.toWeb(createReadStream(content.path)) as ReadableStream<Uint8Array>;
  return { type, bytes: content.bytes, open };
}

/** Statuses that a later attempt may not meet. 500 too: MLflow answers so while its database is locked. */
function isPassing(status: number): boolean {
  return status === 429 || status >= 500;
}

function refused({ uri, password, token }: MlflowOptions, { status, body }: Reply): TrackerError {
  if (status === 401 || status === 403)
    return new TrackerError(
      `${uri}: the tracking server refused the credentials (HTTP ${status}). Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN`,
    );
  // A server may repeat what it was sent.
  const said = withoutSecrets(
    errorText(body),
    [password, token].flatMap((secret) => (secret ? [secret] : [])),
  );
  const hint = status === 404 ? ". Is this an MLflow server, with this path prefix?" : "";
  return new TrackerError(`${uri}: the tracking server answered HTTP ${status}: ${said}${hint}`);
}

function errorText(body: unknown): string {
  const parsed = errorSchema.safeParse(body);
  return parsed.success
    ? `${parsed.data.error_code}: ${parsed.data.message ?? ""}`.slice(0, 300)
    : "no MLflow error in the answer";
}

/** Messages of fetch hide the cause one level down. */
export function failureText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}

function read<T>(schema: z.ZodType<T>, body: unknown, what: string): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new TrackerError(`${what}: expected MLflow's answer, found something else. Is this an MLflow server?`);
}

function parseJson(text: string): unknown {
  try {
    return parseBoundedJson(text);
  } catch {
    return undefined;
  }
}

function* chunks<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let first = 0; first < items.length; first += size) yield items.slice(first, first + size);
}
