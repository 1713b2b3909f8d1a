/**
 * As much of an MLflow server as the client speaks to, in memory, with its limits and its write-once parameters, and with faults on
 * demand. What it does not do: authentication (but for one token), search filters other than one tag.
 */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export interface FakeRun {
  readonly id: string;
  readonly name: string;
  readonly metrics: Map<string, { timestamp: number; step: number; value: number }[]>;
  readonly params: Map<string, string>;
  readonly tags: Map<string, string>;
  /** By name, what `log-inputs` was told. */
  readonly inputs: Map<string, { digest: string; context: string }>;
  /** What `runs/log-model` was told (MLflow 2). */
  readonly described: unknown[];
  status: string;
  endTime?: number;
}

export interface FakeModel {
  readonly runId: string;
  readonly name: string;
  status: string;
  step?: number;
  /** Metrics that name it, as `key@step`, with their data sets. */
  readonly metrics: Map<string, string>;
}

export interface FakeMlflow {
  readonly uri: string;
  readonly runs: Map<string, FakeRun>;
  readonly artifacts: Map<string, Buffer>;
  readonly experiments: Map<string, { id: string; stage: string; tags?: Map<string, string> }>;
  /** Logged models by id; undefined makes it a server without them (MLflow 2). */
  models: Map<string, FakeModel> | undefined;
  /** Calls that it does not know, as the beginnings of their paths. */
  readonly unknown: Map<string, 404 | 405 | 501>;
  /** Sources of the versions of registered models, in order. */
  readonly registry: Map<string, { readonly source: string; readonly runId: string; readonly modelId?: string }[]>;
  readonly requests: string[];
  /** Answers of the next requests instead of the real ones; "hang up" closes the connection. */
  readonly faults: (number | "hang up" | "html")[];
  /** Requests that are answered before the faults begin. */
  passes: number;
  /** When set, requests without this bearer token get 401. */
  token: string | undefined;
  close(): Promise<void>;
}

const LIMITS = { metrics: 1000, params: 100, tags: 100 } as const;
const KEY = /^[A-Za-z0-9_./\- ]{1,250}$/;

export async function startFakeMlflow(): Promise<FakeMlflow> {
  const fake: Omit<FakeMlflow, "uri" | "close"> = {
    runs: new Map(),
    artifacts: new Map(),
    experiments: new Map(),
    models: new Map(),
    unknown: new Map(),
    registry: new Map(),
    requests: [],
    faults: [],
    passes: 0,
    token: undefined,
  };
  const server = createServer((request, response) => {
    void (async () => {
      const body = await bodyOf(request);
      fake.requests.push(`${request.method} ${request.url}`);
      const fault = fake.passes > 0 ? undefined : fake.faults.shift();
      fake.passes = Math.max(0, fake.passes - 1);
      if (fault === "hang up") return void request.socket.destroy();
      if (fault === "html") return void response.end("<html>a proxy's page</html>");
      if (typeof fault === "number") return void response.writeHead(fault, { "retry-after": "0" }).end("{}");
      if (fake.token !== undefined && request.headers.authorization !== `Bearer ${fake.token}`)
        return void response.writeHead(401).end("{}");
      const { status, answer } = respond(fake, request, body);
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(fake, {
    uri: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  });
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
}

const bad = (message: string, code = "INVALID_PARAMETER_VALUE") => ({
  status: 400,
  answer: { error_code: code, message },
});
const ok = (answer: object = {}) => ({ status: 200, answer });

function respond(
  fake: Omit<FakeMlflow, "uri" | "close">,
  request: IncomingMessage,
  body: Buffer,
): { status: number; answer: object } {
  const url = new URL(request.url ?? "", "http://x");
  if (url.pathname.startsWith("/api/2.0/mlflow-artifacts/artifacts/")) {
    fake.artifacts.set(decodeURIComponent(url.pathname.slice("/api/2.0/mlflow-artifacts/artifacts/".length)), body);
    return ok();
  }
  const data = body.length > 0 ? JSON.parse(body.toString()) : {};
  const asked = url.pathname.replace("/api/2.0/mlflow/", "");
  for (const [call, status] of fake.unknown) if (asked.startsWith(call)) return { status, answer: {} };
  switch (asked) {
    case "experiments/get-by-name": {
      const found = fake.experiments.get(url.searchParams.get("experiment_name") ?? "");
      if (found === undefined) return { status: 404, answer: { error_code: "RESOURCE_DOES_NOT_EXIST" } };
      const tags = [...(found.tags ?? [])].map(([key, value]) => ({ key, value }));
      return ok({ experiment: { experiment_id: found.id, lifecycle_stage: found.stage, tags } });
    }
    case "experiments/create": {
      if (fake.experiments.has(data.name)) return bad("exists", "RESOURCE_ALREADY_EXISTS");
      const id = String(fake.experiments.size + 1);
      fake.experiments.set(data.name, { id, stage: "active", tags: tagsOf(data.tags ?? []) });
      return ok({ experiment_id: id });
    }
    case "experiments/set-experiment-tag": {
      const experiment = [...fake.experiments.values()].find(({ id }) => id === data.experiment_id);
      if (experiment === undefined) return bad("no experiment");
      experiment.tags = new Map([...(experiment.tags ?? []), [data.key, data.value]]);
      return ok();
    }
    case "runs/create": {
      const id = `run${fake.runs.size + 1}`;
      const empty = { metrics: new Map(), params: new Map(), inputs: new Map(), described: [] };
      fake.runs.set(id, { id, name: data.run_name, ...empty, tags: tagsOf(data.tags), status: "RUNNING" });
      return ok({ run: { info: info(id) } });
    }
    case "runs/search": {
      const [, key = "", value = ""] = /^tags\.`(.*)` = '(.*)'$/.exec(data.filter) ?? [];
      const found = [...fake.runs.values()].filter(({ tags }) => tags.get(key) === value);
      return ok({ runs: found.map(({ id }) => ({ info: info(id) })) });
    }
    case "runs/get": {
      const run = fake.runs.get(url.searchParams.get("run_id") ?? "");
      if (run === undefined) return { status: 404, answer: { error_code: "RESOURCE_DOES_NOT_EXIST" } };
      const tags = [...run.tags].map(([key, value]) => ({ key, value }));
      return ok({ run: { info: info(run.id), data: { tags } } });
    }
    case "runs/log-batch":
      return logBatch(fake.runs.get(data.run_id), data, fake.models);
    case "runs/log-inputs": {
      const run = fake.runs.get(data.run_id);
      if (run === undefined) return { status: 404, answer: { error_code: "RESOURCE_DOES_NOT_EXIST" } };
      for (const { tags, dataset } of data.datasets) {
        if (dataset.digest.length > 36) return bad("digest too long");
        run.inputs.set(dataset.name, { digest: dataset.digest, context: tags[0].value });
      }
      return ok();
    }
    case "runs/log-model":
      fake.runs.get(data.run_id)?.described.push(JSON.parse(data.model_json));
      return ok();
    case "registered-models/create":
      if (fake.registry.has(data.name)) return bad("exists", "RESOURCE_ALREADY_EXISTS");
      fake.registry.set(data.name, []);
      return ok({ registered_model: { name: data.name } });
    case "model-versions/search": {
      const [, name = "", run = ""] =
        /^name='(.*)' and run_id='(.*)'$/.exec(url.searchParams.get("filter") ?? "") ?? [];
      const versions = (fake.registry.get(name) ?? []).flatMap(({ runId }, index) =>
        runId === run ? [{ version: String(index + 1) }] : [],
      );
      return ok({ model_versions: versions });
    }
    case "model-versions/create": {
      const versions = fake.registry.get(data.name);
      if (versions === undefined) return { status: 404, answer: { error_code: "RESOURCE_DOES_NOT_EXIST" } };
      versions.push({ source: data.source, runId: data.run_id, ...(data.model_id ? { modelId: data.model_id } : {}) });
      return ok({ model_version: { name: data.name, version: String(versions.length) } });
    }
    case "runs/update": {
      const run = fake.runs.get(data.run_id);
      if (run === undefined) return bad("no run");
      run.status = data.status;
      run.endTime = data.end_time;
      return ok();
    }
    default:
      return respondToModels(fake, `${request.method} ${url.pathname.replace("/api/2.0/mlflow/", "")}`, data);
  }
}

function respondToModels({ models }: Pick<FakeMlflow, "models">, call: string, data: Record<string, unknown>) {
  const modelInfo = (id: string) => ({
    info: { model_id: id, artifact_uri: `mlflow-artifacts:/1/models/${id}/artifacts`, status: models?.get(id)?.status },
  });
  if (models === undefined) return { status: 404, answer: { error_code: "ENDPOINT_NOT_FOUND" } };
  if (call === "POST logged-models/search") {
    const [, run = ""] = /^source_run_id = '(.*)'$/.exec(String(data.filter)) ?? [];
    return ok({ models: [...models].filter(([, { runId }]) => runId === run).map(([id]) => modelInfo(id)) });
  }
  if (call === "POST logged-models") {
    const id = `m-${models.size + 1}`;
    const own = { runId: String(data.source_run_id), name: String(data.name), metrics: new Map() };
    models.set(id, { ...own, status: "LOGGED_MODEL_PENDING" });
    return ok({ model: modelInfo(id) });
  }
  const model = models.get(/^PATCH logged-models\/(.*)$/.exec(call)?.[1] ?? "");
  if (model !== undefined) {
    model.status = String(data.status);
    return ok();
  }
  if (call !== "POST runs/outputs") return { status: 404, answer: {} };
  for (const { model_id, step } of data.models as { model_id: string; step: number }[]) {
    const linked = models.get(model_id);
    if (linked === undefined) return bad("no such model");
    linked.step = step;
  }
  return ok();
}

const tagsOf = (tags: readonly { key: string; value: string }[]) =>
  new Map<string, string>(tags.map(({ key, value }) => [key, value]));
const info = (id: string) => ({ run_id: id, artifact_uri: `mlflow-artifacts:/1/${id}/artifacts` });

interface Batch {
  readonly metrics?: readonly {
    readonly key: string;
    readonly value: number;
    readonly timestamp: number;
    readonly step: number;
    readonly model_id?: string;
    readonly dataset_name?: string;
  }[];
  readonly params?: readonly { key: string; value: string }[];
  readonly tags?: readonly { key: string; value: string }[];
}

function logBatch(run: FakeRun | undefined, batch: Batch, models: FakeMlflow["models"]) {
  if (run === undefined) return bad("no run");
  for (const kind of ["metrics", "params", "tags"] as const) {
    if ((batch[kind]?.length ?? 0) > LIMITS[kind]) return bad(`too many ${kind}`);
    const wrong = batch[kind]?.find(({ key }) => !KEY.test(key));
    if (wrong !== undefined) return bad(`bad key ${wrong.key}`);
  }
  for (const { key, value, timestamp, step, model_id, dataset_name = "" } of batch.metrics ?? []) {
    if (typeof value !== "number") return bad(`metric ${key} is no number`);
    const points = run.metrics.get(key) ?? [];
    run.metrics.set(key, points);
    if (model_id !== undefined) models?.get(model_id)?.metrics.set(`${key}@${step}`, dataset_name);
    // The SQL store's primary key: the same point again is the same row.
    if (!points.some((point) => point.timestamp === timestamp && point.step === step && point.value === value))
      points.push({ timestamp, step, value });
  }
  for (const { key, value } of batch.params ?? []) {
    const before = run.params.get(key);
    if (before !== undefined && before !== value) return bad(`param ${key} was ${before}`);
    run.params.set(key, value);
  }
  for (const { key, value } of batch.tags ?? []) run.tags.set(key, value);
  return ok();
}
