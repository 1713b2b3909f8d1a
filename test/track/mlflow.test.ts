/** Delivery of run folders to a server: every point once, whatever fails on the way. */

import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { parseRunConfig } from "../../src/config/load.js";
import { TrackerError } from "../../src/errors.js";
import { initAdam } from "../../src/optimize/adam.js";
import type { TrainEvent } from "../../src/optimize/events.js";
import { createMlflowClient } from "../../src/track/mlflow/client.js";
import { deliver } from "../../src/track/mlflow/delivery.js";
import { createLiveTracker } from "../../src/track/mlflow/live.js";
import type { MlflowOptions } from "../../src/track/mlflow/request.js";
import { reopenRunFolder } from "../../src/track/reopen-run.js";
import { createRunFolder, type RunFolder } from "../../src/track/run-folder.js";
import { type FakeMlflow, startFakeMlflow } from "../support/fake-mlflow.js";

let server: FakeMlflow;
let root: string;
let time = 0;

beforeEach(async () => {
  server = await startFakeMlflow();
  root = await mkdtemp(path.join(tmpdir(), "adamerge-mlflow-"));
  time = Date.parse("2026-01-02T03:04:05Z");
});
afterEach(async () => {
  await server.close();
  await rm(root, { recursive: true });
});

const now = () => {
  time += 1000;
  return new Date(time);
};
const config = parseRunConfig({ suite: "/suite", steps: 4, experiment: "e", name: "n", output: "/runs", seed: 7 });

async function startRun(): Promise<RunFolder> {
  const folder = await createRunFolder({ root, experiment: "e", name: "n", config, overwrite: false, inputs: {}, now });
  const environment = { node: "20", os: "linux", cpu: "x", engine: "onnx", device: "cpu", versions: {} };
  await folder.writeEnvironment({ ...environment, examples: "images" });
  const start: TrainEvent = {
    type: "start",
    objective: "entropy",
    tasks: ["a", "b"],
    groups: ["g"],
    steps: 4,
    trainableCoefficients: 2,
    examples: "images",
    imagesPerStep: 8,
    passesPerStep: 1,
  };
  await folder.record(start);
  return folder;
}

const step = (number: number, loss = 1 / number): TrainEvent => ({
  type: "step",
  step: number,
  loss,
  taskLosses: [0.25, 0.75],
  gradientNorm: 0.5,
  learningRate: 1e-3,
  coefficientMeans: [0.3, 0.3],
  imagesPerSecond: 100,
  secondsLeft: 1,
});
const evaluation = (number: number): TrainEvent => ({
  type: "evaluation",
  step: number,
  tasks: ["a", "b"],
  entropyNats: [1, 2],
  labelled: { accuracyPercent: [50, 70], averagePercent: 60, lossNats: [1, 3] },
  coefficients: [[0.3], [0.4]],
});
const checkpoint = (number: number): TrainEvent => ({
  type: "checkpoint",
  step: number,
  state: { step: number, rawKL: Float64Array.of(0.3, 0.4), adam: initAdam(2), evaluatedStep: 0 },
});

const client = (changes: Partial<MlflowOptions> = {}) => {
  const waits: number[] = [];
  const sleep = async (ms: number): Promise<void> => void waits.push(ms);
  return Object.assign(createMlflowClient({ uri: server.uri, fetch, sleep, random: () => 0.5, ...changes }), { waits });
};
const lines: string[] = [];
const send = (folder: string, through = client(), withModel = false) => {
  lines.length = 0;
  return deliver(folder, {
    client: through,
    uri: server.uri,
    experiment: null,
    withModel,
    log: (line) => lines.push(line),
  });
};
const theRun = () => {
  expect(server.runs.size).toBe(1);
  const [run] = server.runs.values();
  if (run === undefined) throw new Error("no run");
  return run;
};
const steps = (key: string) =>
  theRun()
    .metrics.get(key)
    ?.map((point) => point.step) ?? [];

describe("delivery", () => {
  it("of a run while it goes on and when it has ended: params, tags, points, files, status", async () => {
    const folder = await startRun();
    await folder.record(step(1));
    await folder.record(step(2));
    expect(await send(folder.path)).toMatchObject({ points: 16, files: 0 });
    expect(theRun()).toMatchObject({ name: "n", status: "RUNNING" });
    await folder.record(evaluation(2));
    await folder.record(step(3));
    await folder.setState("finished");
    await folder.close();
    expect(await send(folder.path)).toMatchObject({ points: 15 });
    expect(await send(folder.path)).toMatchObject({ points: 0, files: 0 });

    const run = theRun();
    expect(steps("train/loss")).toEqual([1, 2, 3]);
    expect(run.metrics.get("train/loss")?.map(({ value }) => value)).toEqual([1, 1 / 2, 1 / 3]);
    expect(steps("eval/acc/a")).toEqual([2]);
    expect(run.params.get("optimizer.learning_rate")).toBe("0.001");
    expect(run.params.get("seed")).toBe("7");
    expect(run.tags.get("adamerge.adaptation")).toMatch(/^transductive/);
    expect(run.tags.get("adamerge.engine")).toBe("onnx");
    expect(run.status).toBe("FINISHED");
    const sent = server.artifacts.get(`1/${run.id}/artifacts/metrics.jsonl`);
    expect(sent?.equals(await readFile(path.join(folder.path, "metrics.jsonl")))).toBe(true);
    expect([...server.artifacts.keys()].map((key) => path.basename(key)).sort()).toEqual([
      "config.yaml",
      "environment.json",
      "metrics.jsonl",
      "trajectory.jsonl",
    ]);
  });

  it("after a resume does not send points twice, although the folder's lines were written again", async () => {
    const folder = await startRun();
    for (const event of [step(1), step(2), checkpoint(2), step(3), evaluation(3)]) await folder.record(event);
    await send(folder.path);
    await folder.close();
    const again = await reopenRunFolder(folder.path, { inputs: {}, log: () => {}, now });
    expect(again.state?.step).toBe(2);
    await again.folder.record({
      type: "start",
      objective: "entropy",
      tasks: ["a", "b"],
      groups: ["g"],
      steps: 4,
      trainableCoefficients: 2,
      examples: "images",
      imagesPerStep: 8,
      passesPerStep: 1,
    });
    for (const event of [step(3), evaluation(3), step(4)]) await again.folder.record(event);
    await again.folder.setState("finished");
    await again.folder.close();
    await send(folder.path);
    expect(steps("train/loss")).toEqual([1, 2, 3, 4]);
    expect(steps("eval/acc")).toEqual([3]);
  });

  it("goes on after any failed request: no point missing, none doubled, one run", async () => {
    const folder = await startRun();
    for (let number = 1; number <= 300; number++) await folder.record(step(number));
    await folder.setState("finished");
    await folder.close();
    const once = client({ attempts: 1 });
    let failures = 0;
    // Delivery n fails at its n-th request; each goes on from what the last one noted, so later requests are reached too.
    for (let position = 0; position < 12; position++) {
      server.faults.length = 0;
      server.passes = position;
      server.faults.push("hang up");
      await send(folder.path, once).catch((error: unknown) => {
        expect(error).toBeInstanceOf(TrackerError);
        failures += 1;
      });
    }
    server.faults.length = 0;
    expect(failures).toBeGreaterThan(0);
    await send(folder.path);
    expect(steps("train/loss")).toEqual(Array.from({ length: 300 }, (_, index) => index + 1));
    expect(theRun().metrics.get("train/loss")?.length).toBe(300);
  });

  it("finds its run again when a crash lost the note of it", async () => {
    const folder = await startRun();
    await folder.record(step(1));
    await send(folder.path);
    await rm(path.join(folder.path, "mlflow.json"));
    await folder.record(step(2));
    await send(folder.path);
    await folder.close();
    expect(steps("train/loss")).toEqual([1, 2]);
  });

  it("to a second server begins anew", async () => {
    const folder = await startRun();
    await folder.record(step(1));
    await send(folder.path);
    await folder.close();
    const other = await startFakeMlflow();
    const through = createMlflowClient({ uri: other.uri, fetch, sleep: async () => {}, random: () => 0 });
    await deliver(folder.path, {
      client: through,
      uri: other.uri,
      experiment: "elsewhere",
      withModel: false,
      log: () => {},
    });
    expect([...other.experiments.keys()]).toEqual(["elsewhere"]);
    expect([...other.runs.values()][0]?.metrics.get("train/loss")).toHaveLength(1);
    await other.close();
  });

  it("sends nothing that is not finite, and tags it", async () => {
    const folder = await startRun();
    await folder.record(step(1, Number.NaN));
    await send(folder.path);
    await folder.close();
    expect(steps("train/loss")).toEqual([]);
    expect(steps("train/gradient_norm")).toEqual([1]);
    expect(theRun().tags.get("nonfinite.train/loss")).toBe("step 1");
  });

  it("of a line that is still being written waits for its end", async () => {
    const folder = await startRun();
    await folder.record(step(1));
    await folder.close();
    const file = path.join(folder.path, "metrics.jsonl");
    const text = await readFile(file, "utf8");
    await writeFile(file, `${text}{"time": "2026-01-02T03:04:09Z", "step": 2, "train/lo`);
    await send(folder.path);
    expect(steps("train/loss")).toEqual([1]);
  });

  it("keeps files where the server cannot take them, and says so", async () => {
    const folder = await startRun();
    await folder.setState("finished");
    await folder.close();
    await send(folder.path);
    const note = path.join(folder.path, "mlflow.json");
    const state = JSON.parse(await readFile(note, "utf8"));
    await writeFile(note, JSON.stringify({ ...state, artifactUri: "s3://bucket/x", artifacts: {} }));
    expect(await send(folder.path)).toMatchObject({ files: 0 });
    expect(lines.join()).toContain("s3://bucket/x: the server keeps artifacts there");
    await writeFile(note, JSON.stringify({ ...state, artifactUri: path.join(root, "store"), artifacts: {} }));
    expect(await send(folder.path)).toMatchObject({ files: 0 });
    expect(lines.join()).toContain("only done below one that you name. Set ADAMERGE_ARTIFACT_ROOT to it");
    await mkdir(path.join(root, "store"));
    expect((await send(folder.path, client({ artifactRoot: path.join(root, "store") }))).files).toBeGreaterThan(1);
    expect(await readFile(path.join(root, "store", "config.yaml"))).toEqual(
      await readFile(path.join(folder.path, "config.yaml")),
    );
  });
});

describe("the merged model", () => {
  async function finishedRun(): Promise<string> {
    const folder = await startRun();
    await mkdir(path.join(folder.path, "model"));
    await writeFile(path.join(folder.path, "model", "config.json"), "{}");
    await writeFile(path.join(folder.path, "model", "model.safetensors"), Buffer.alloc(300_000, 7));
    await folder.setState("finished");
    await folder.close();
    return folder.path;
  }
  const stored = (suffix: string) => [...server.artifacts.keys()].filter((key) => key.endsWith(suffix));

  it("is a logged model with an MLmodel file, delivered once", async () => {
    const folder = await finishedRun();
    await send(folder);
    expect(server.models?.size).toBe(0);
    expect(stored("model.safetensors")).toEqual([]);
    await send(folder, client(), true);
    expect([...(server.models?.keys() ?? [])]).toEqual(["m-1"]);
    const model = { runId: theRun().id, name: "n", status: "LOGGED_MODEL_READY", step: 0 };
    expect(server.models?.get("m-1")).toMatchObject(model);
    expect(stored("model.safetensors")).toEqual(["1/models/m-1/artifacts/model.safetensors"]);
    expect(server.artifacts.get(stored("model.safetensors")[0] ?? "")).toEqual(Buffer.alloc(300_000, 7));
    const description = parse(server.artifacts.get("1/models/m-1/artifacts/MLmodel")?.toString() ?? "");
    expect(description).toMatchObject({ model_id: "m-1", run_id: theRun().id, flavors: { adamerge: { data: "." } } });
    const before = server.requests.length;
    expect(await send(folder, client(), true)).toMatchObject({ files: 0 });
    expect(server.requests.slice(before).filter((request) => request.includes("models"))).toEqual([]);
  });

  it("is one model after any failed request", async () => {
    const folder = await finishedRun();
    const once = client({ attempts: 1 });
    for (let position = 0; position < 14; position++) {
      server.faults.length = 0;
      server.passes = position;
      server.faults.push("hang up");
      await send(folder, once, true).catch((error: unknown) => expect(error).toBeInstanceOf(TrackerError));
    }
    server.faults.length = 0;
    await send(folder, client(), true);
    expect([...(server.models?.values() ?? [])].map(({ status }) => status)).toEqual(["LOGGED_MODEL_READY"]);
  });

  it("is files of the run on a server without logged models", async () => {
    server.models = undefined;
    await send(await finishedRun(), client(), true);
    expect(stored("model.safetensors")).toEqual([`1/${theRun().id}/artifacts/model/model.safetensors`]);
    expect(stored("MLmodel")).toEqual([`1/${theRun().id}/artifacts/model/MLmodel`]);
    expect(theRun().described).toMatchObject([{ artifact_path: "model", run_id: theRun().id }]);
  });

  it("that is not there is told", async () => {
    const folder = await finishedRun();
    await rm(path.join(folder, "model"), { recursive: true });
    await send(folder, client(), true);
    expect(lines.join()).toContain("no model/ to deliver");
  });
});

describe("client", () => {
  it.each([429, 500, 503, "hang up"] as const)("repeats after %s, with growing pauses", async (fault) => {
    server.faults.push(fault, fault, fault);
    const through = client();
    expect(await through.experimentId("x")).toBe("1");
    expect(through.waits).toEqual([500, 1000, 2000]);
  });

  it("gives up after its attempts", async () => {
    server.faults.push(503, 503, 503, 503, 503);
    await expect(client().experimentId("x")).rejects.toThrow(/did not answer after 5 attempts \(HTTP 503\)/);
  });

  it("wrong credentials are told at once, without showing them", async () => {
    server.token = "right";
    const failed = client({ token: "secret-token" }).experimentId("x");
    await expect(failed).rejects.toThrow(/refused the credentials \(HTTP 401\)\. Set MLFLOW_TRACKING_USERNAME/);
    await expect(failed).rejects.not.toThrow(/secret-token/);
    expect(server.requests).toHaveLength(1);
    expect(await client({ token: "right" }).experimentId("x")).toBe("1");
  });

  it("a user in the address is who asks, before those of other settings, and is not shown", async () => {
    const seen: (string | null)[] = [];
    const fetch = async (url: string | URL | Request, init?: RequestInit) => {
      seen.push(String(url), new Headers(init?.headers).get("authorization"));
      return new Response("{}", { status: 401 });
    };
    const uri = "http://me:p%40ss@host:5000/prefix/";
    const failed = client({ uri, token: "other", username: "x", password: "y", fetch }).experimentId("x");
    await expect(failed).rejects.toThrow("http://host:5000/prefix/: the tracking server refused the credentials");
    expect(seen[0]).toBe("http://host:5000/prefix/api/2.0/mlflow/experiments/get-by-name?experiment_name=x");
    expect(seen[1]).toBe(`Basic ${Buffer.from("me:p@ss").toString("base64")}`);
  });

  it("what a server repeats of a token or password is hidden", async () => {
    const fetch = async () =>
      Response.json({ error_code: "BAD", message: "no secret-token or pass-word" }, { status: 400 });
    const logged = client({ token: "secret-token", password: "pass-word", fetch }).updateRun("r", {
      status: "FINISHED",
    });
    await expect(logged).rejects.toThrow("answered HTTP 400: BAD: no *** or ***");
  });

  it("a redirect to another server does not take the credentials along", async () => {
    const seen: (string | undefined)[] = [];
    const other = createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.end("{}");
    });
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const target = `http://127.0.0.1:${(other.address() as AddressInfo).port}/`;
    const first = createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(307, { location: target }).end();
    });
    await new Promise<void>((resolve) => first.listen(0, "127.0.0.1", resolve));
    const uri = `http://127.0.0.1:${(first.address() as AddressInfo).port}`;
    await expect(client({ uri, token: "secret-token" }).experimentId("x")).rejects.toThrow(/which is not followed/);
    expect(seen).toEqual(["Bearer secret-token"]);
    for (const server of [first, other]) server.close();
  });

  it("an experiment that another process creates at the same moment is taken", async () => {
    const [one, two] = await Promise.all([client().experimentId("x"), client().experimentId("x")]);
    expect(one).toBe(two);
  });

  it("a deleted experiment is an error with what to do", async () => {
    server.experiments.set("x", { id: "4", stage: "deleted" });
    await expect(client().experimentId("x")).rejects.toThrow(
      /found a deleted one\. Restore it \(mlflow experiments restore -x 4\)/,
    );
  });

  it("something else than MLflow is an error", async () => {
    server.faults.push("html");
    await expect(client().experimentId("x")).rejects.toThrow(/Is this an MLflow server/);
    expect(() => client({ uri: "mlruns" })).toThrow(/expected http:\/\/host:port/);
    expect(() => client({ uri: "http://host/?token=x" })).toThrow(
      /expected http:\/\/host:port .* found http:\/\/host\/\?\*\*\*\./,
    );
    expect(() => client({ uri: "me:pw@host:5000" })).toThrow(/found \*\*\*@host:5000\./);
    await expect(client({ uri: "http://127.0.0.1:9", attempts: 1 }).experimentId("x")).rejects.toThrow(
      /did not answer after 1 attempts/,
    );
  });
});

describe("live tracker", () => {
  it("never holds the fit up, delivers at most so often, backs off from a dead server and tells it once", async () => {
    let [clock, calls] = [0, 0];
    let dead = true;
    const told: string[] = [];
    const tracker = createLiveTracker({
      deliver: async () => {
        calls += 1;
        if (dead) throw new TrackerError("http://x: gone");
        return { runId: "r", url: "http://x", points: 1, files: 0 };
      },
      log: (line) => told.push(line),
      clock: () => clock,
      everyMs: 100,
    });
    const settle = () => new Promise((resolve) => setImmediate(resolve));
    for (clock = 0; clock < 1000; clock += 10) {
      tracker.notify();
      await settle();
    }
    // At 0, then after 200, 400, 800 ... milliseconds.
    expect(calls).toBe(3);
    expect(told).toHaveLength(1);
    expect(told[0]).toContain("the run goes on");
    dead = false;
    expect(await tracker.finish(1000)).toBe(true);
    expect(calls).toBe(4);
  });

  it("a server that hangs does not keep a finished fit", async () => {
    const tracker = createLiveTracker({ deliver: () => new Promise(() => {}), log: () => {}, clock: () => 0 });
    tracker.notify();
    expect(await tracker.finish(20)).toBe(false);
  });
});

it("a copied folder is another run", async () => {
  const folder = await startRun();
  await folder.close();
  await send(folder.path);
  const copy = path.join(root, "copy");
  await cp(folder.path, copy, { recursive: true });
  await rm(path.join(copy, "mlflow.json"));
  await send(copy);
  expect(server.runs.size).toBe(2);
});
