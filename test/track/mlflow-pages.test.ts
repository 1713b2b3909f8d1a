/** What a run is on an MLflow server beside its curves: baselines, description, inputs, source, a model to load and register, the run of a sweep. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { formatConfig } from "../../src/config/format.js";
import { parseRunConfig } from "../../src/config/load.js";
import { endOf } from "../../src/experiment/sweep/track-sweep.js";
import { createMlflowClient } from "../../src/track/mlflow/client.js";
import { type DeliveryOptions, deliver } from "../../src/track/mlflow/delivery.js";
import { closeParent, openParent } from "../../src/track/mlflow/parent.js";
import { type FakeMlflow, startFakeMlflow } from "../support/fake-mlflow.js";

let server: FakeMlflow;
let root: string;
const lines: string[] = [];

beforeEach(async () => {
  server = await startFakeMlflow();
  root = await mkdtemp(path.join(tmpdir(), "adamerge-pages-"));
  lines.length = 0;
});
afterEach(async () => {
  await server.close();
  await rm(root, { recursive: true });
});

const NOTE = "mlflow.note.content";
const at = "2026-01-02T03:04:05.000Z";
const data = (task: string) => ({
  ...{ task, split: "test", use: "adapted on and judged", kind: "image", examples: 50 },
  ...{ digest: task.repeat(32).slice(0, 32), source: task === "b" ? "hf://datasets/org/b@main" : `/data/${task}` },
});
const rows = [
  { method: "pretrained", average: 40, tasks: { a: 30, b: 50 } },
  { method: "weight_averaging", average: 60, tasks: { a: 50, b: 70 } },
  { method: "individual", average: 80, tasks: { a: 80, b: 80 } },
  { method: "adamerging_layer_wise", average: 64, tasks: { a: 60, b: 68 } },
];

const gains = [{ method: "adamerging_layer_wise", points: 4, interval: [-1.26, 9.5] }];

/** A run that has ended, as a fit leaves it. */
async function run(
  changes: {
    readonly state?: string;
    readonly error?: string;
    readonly settings?: object;
    readonly model?: object;
  } = {},
): Promise<string> {
  const { state = "finished", error, settings = {}, model } = changes;
  const config = parseRunConfig({ suite: "/suite", steps: 2, experiment: "e", name: "n", ...settings });
  const folder = path.join(root, "n");
  await mkdir(folder);
  const write = (name: string, value: unknown) => writeFile(path.join(folder, name), JSON.stringify(value));
  await writeFile(path.join(folder, "config.yaml"), formatConfig(config));
  await write("status.json", { state, started: at, updated: at, step: 2, ...(error === undefined ? {} : { error }) });
  const evaluation = { time: at, step: 2, "eval/acc": 64, "eval/acc/a": 60, "eval/acc/b": 68 };
  await writeFile(path.join(folder, "metrics.jsonl"), `${JSON.stringify(evaluation)}\n`);
  const git = { gitCommit: "c".repeat(40), gitBranch: "main", gitRepository: "https://host/org/repo" };
  const where = { engine: "onnx", device: "cpu", examples: "images", node: "20", os: "linux", cpu: "x", versions: {} };
  await write("environment.json", { ...where, ...git, data: ["a", "b"].map(data) });
  if (state === "finished")
    await write("summary.json", { suite: "s", engine: "onnx", device: "cpu", seconds: 3, gains, rows });
  if (model !== undefined) {
    await mkdir(path.join(folder, "model", "heads"), { recursive: true });
    await write("model/config.json", model);
    await writeFile(path.join(folder, "model", "model.safetensors"), "weights");
    for (const task of ["a", "b"]) await writeFile(path.join(folder, "model", "heads", `${task}.safetensors`), task);
  }
  return folder;
}

const client = () => createMlflowClient({ uri: server.uri, fetch, sleep: async () => {}, random: () => 0 });
const send = (folder: string, more: Partial<DeliveryOptions> = {}) =>
  deliver(folder, {
    ...{ client: client(), uri: server.uri, experiment: null, withModel: false, user: "ada" },
    ...{ log: (line: string) => lines.push(line), ...more },
  });
const theRun = () => {
  const [found, ...others] = server.runs.values();
  if (found === undefined || others.length > 0) throw new Error(`${server.runs.size} runs`);
  return found;
};
const values = () =>
  Object.fromEntries([...theRun().metrics].map(([key, points]) => [key, points.map(({ value }) => value)]));

describe("a run's page", () => {
  it("has baselines and gains as metrics, who ran it, the commit and the data sets; each once", async () => {
    const folder = await run();
    await send(folder);
    const before = server.requests.length;
    expect(await send(folder)).toMatchObject({ points: 0, files: 0 });
    expect(server.requests.slice(before).filter((request) => /log-batch|log-inputs|runs\/get/.test(request))).toEqual(
      [],
    );
    expect(values()).toMatchObject({
      "versus/acc/pretrained": [40],
      "versus/acc/weight_averaging": [60],
      "versus/weight_averaging/b": [70],
      "gain/acc": [4],
      "gain/acc/b": [-2],
      "kept/acc": [80],
      "kept/acc/a": [75],
      "time/seconds": [3],
    });
    expect(Object.fromEntries(theRun().tags)).toMatchObject({
      "mlflow.user": "ada",
      "mlflow.source.git.commit": "c".repeat(40),
      "mlflow.source.git.branch": "main",
      "mlflow.source.git.repoURL": "https://host/org/repo",
    });
    expect(Object.fromEntries(theRun().inputs)).toEqual({
      "a/test": { digest: "aaaaaaaa", context: "adaptation and evaluation" },
      "b/test": { digest: "bbbbbbbb", context: "adaptation and evaluation" },
    });
    expect(server.experiments.get("e")?.tags?.get("mlflow.experimentKind")).toBe("custom_model_development");
  });

  it("begins with the result, and has the table with the best in bold", async () => {
    await send(await run());
    const note = theRun().tags.get(NOTE) ?? "";
    const [first, , ...table] = note.split("\n");
    expect(first).toBe(
      "**64.00 %** average accuracy of one model for the 2 tasks of s, **4.00 points above** weight averaging (95 % interval of the difference: -1.3 to +9.5, paired by example).",
    );
    expect(table.slice(0, 4).map((line) => line.replaceAll("&emsp;", ""))).toEqual([
      "| | pretrained | weight_averaging | individual | adamerging_layer_wise |".replace("| |", "|  |"),
      "|:--|--:|--:|--:|--:|",
      "| **average** | 40.00 | 60.00 | **80.00** | 64.00 |",
      "| a | 30.00 | 50.00 | **80.00** | 60.00 |",
    ]);
    expect(note).toContain("**which the coefficients were adapted on**");
  });

  it.each([
    ["failed", "**Failed** after step 2 of 2: no memory"],
    ["interrupted", "**Stopped** after step 2 of 2."],
  ])("says of a run that is %s why there is no result", async (state, begin) => {
    await send(await run({ state, error: "no memory" }));
    expect(theRun().tags.get(NOTE)).toContain(begin);
    expect(Object.keys(values())).not.toContain("gain/acc");
  });

  it("keeps a description that a person has written, and the kind that an experiment has", async () => {
    const folder = await run();
    server.experiments.set("e", { id: "7", stage: "active", tags: new Map([["mlflow.experimentKind", "finetuning"]]) });
    await send(folder, { client: { ...client(), tagOf: async () => "mine" } });
    expect(theRun().tags.get(NOTE)).toBeUndefined();
    expect(lines.join()).toContain("has a description of its own, which stays");
    expect(server.experiments.get("e")?.tags?.get("mlflow.experimentKind")).toBe("finetuning");
  });
});

describe("the model of a run", () => {
  const folderOf = (id: string) => `1/models/${id}/artifacts`;
  const text = (name: string) => server.artifacts.get(name)?.toString() ?? "";

  it.each([
    ["images", { model_type: "clip_vision_model" }, "image", "binary"],
    ["texts", { model_type: "bert" }, "text", "string"],
  ])("of %s is one that mlflow.pyfunc loads: loader, signature, environments", async (_, model, column, type) => {
    await send(await run({ model }), { withModel: true });
    const folder = folderOf("m-1");
    const { flavors, signature } = parse(text(`${folder}/MLmodel`));
    expect(flavors.python_function).toMatchObject({ loader_module: "adamerge_pyfunc", code: "code", data: "." });
    const loader = path.join(import.meta.dirname, "..", "..", "scripts", "mlflow", "adamerge_pyfunc.py");
    expect(text(`${folder}/code/adamerge_pyfunc.py`)).toBe(await readFile(loader, "utf8"));
    expect(JSON.parse(signature.inputs)[0]).toEqual({ type, name: column, required: true });
    expect(JSON.parse(signature.outputs).map(({ name }: { name: string }) => name)).toEqual([
      ...["a", "a_probability", "b", "b_probability"],
    ]);
    for (const name of ["requirements.txt", "conda.yaml", "python_env.yaml"])
      expect(text(`${folder}/${name}`)).toMatch(/python|torch/);
    expect(text(`${folder}/requirements.txt`).includes("pillow")).toBe(column === "image");
  });

  it("has the last evaluation as its metrics, with the data sets they were measured on", async () => {
    await send(await run({ model: { model_type: "bert" } }), { withModel: true });
    expect(Object.fromEntries(server.models?.get("m-1")?.metrics ?? [])).toMatchObject({
      "eval/acc@2": "",
      "eval/acc/a@2": "a/test",
      "eval/acc/b@2": "b/test",
      "gain/acc@2": "",
    });
    expect(values()["eval/acc/a"]).toEqual([60]);
  });

  it("of a family from outside is described, and has no loader", async () => {
    const folder = await run({ model: { model_type: "of-my-own" } });
    const environment = JSON.parse(await readFile(path.join(folder, "environment.json"), "utf8"));
    const outside = { ...environment, outsideFamily: { name: "mine" } };
    await writeFile(path.join(folder, "environment.json"), JSON.stringify(outside));
    await send(folder, { withModel: true });
    expect(Object.keys(parse(text(`${folderOf("m-1")}/MLmodel`)).flavors)).toEqual(["adamerge"]);
  });

  it("is registered where the config or the command says so, once", async () => {
    const settings = { log_model: true, register_model: "mine" };
    const folder = await run({ model: { model_type: "bert" }, settings });
    await send(folder);
    await send(folder);
    const version = { source: "mlflow-artifacts:/1/models/m-1/artifacts", runId: theRun().id, modelId: "m-1" };
    expect(Object.fromEntries(server.registry)).toEqual({ mine: [version] });
    expect(lines).toEqual(["mlflow: registered as models:/mine/1"]);
    await send(folder, { register: "other" });
    expect(server.registry.get("other")).toEqual([version]);
    // A crash after the registration, before it was noted.
    await rm(path.join(folder, "mlflow.json"));
    await send(folder);
    expect(server.registry.get("mine")).toHaveLength(1);
  });

  it("needs log_model to be registered", () => {
    expect(() => parseRunConfig({ suite: "/s", register_model: "mine" })).toThrow(/expected log_model: true/);
    expect(() => parseRunConfig({ suite: "/s", log_model: true, register_model: "a/b" })).toThrow(/register_model/);
  });
});

describe("an older server", () => {
  it.each([404, 405, 501] as const)(
    "that answers %i to newer calls gets the rest, and what it lacks is said once",
    async (status) => {
      server.models = undefined;
      for (const call of ["runs/log-inputs", "logged-models", "registered-models", "experiments/set-experiment-tag"])
        server.unknown.set(call, status);
      server.experiments.set("e", { id: "1", stage: "active" });
      const folder = await run({ model: { model_type: "bert" } });
      await send(folder, { register: "mine" });
      await send(folder);
      expect(theRun().status).toBe("FINISHED");
      expect(values()["gain/acc"]).toEqual([4]);
      expect(theRun().described).toHaveLength(1);
      expect([...server.artifacts.keys()]).toContain(`1/${theRun().id}/artifacts/model/code/adamerge_pyfunc.py`);
      expect(lines).toEqual([
        "mlflow: this server knows no data sets as inputs (MLflow 2.4 and later do); the run goes without them",
        "mlflow: the server has no model registry; mine is not registered",
      ]);
    },
  );
});

describe("the run of a sweep", () => {
  const trial = (name: string, value: number | null, state: "finished" | "failed") => ({
    ...{ trial: name, state, parameters: { "optimizer.learning_rate": value }, step: 2, value, metrics: {} },
    ...{ seconds: 1, error: state === "failed" ? "no memory" : null },
  });
  const table = (trials: ReturnType<typeof trial>[]) =>
    ({ sweep: "s", metric: "eval/acc", goal: "maximize", rows: trials }) as const;
  const close = async (trials: ReturnType<typeof trial>[]) => {
    for (const name of ["sweep.csv", "sweep.json", "report.html"]) await writeFile(path.join(root, name), name);
    const parent = { experiment: "s", name: "s", key: "k", started: 1, user: "ada" };
    await closeParent(client(), await openParent(client(), parent), await endOf(root, table(trials), false));
    return theRun();
  };

  it("names the best trial and has the table", async () => {
    const { status, tags, metrics } = await close([trial("t1", 70, "finished"), trial("t0", null, "failed")]);
    expect(status).toBe("FINISHED");
    expect(tags.get("best.trial")).toBe("t1");
    expect(tags.get("best.optimizer.learning_rate")).toBe("70");
    expect(metrics.get("best/eval/acc")?.map(({ value }) => value)).toEqual([70]);
    expect(tags.get(NOTE)).toMatch(/^\*\*Sweep\*\* of 2 trials \(1 finished, 1 failed\).*\*\*70\.00\*\*/);
  });

  it("whose trials have all failed is FAILED and names no best, whatever they had reached", async () => {
    const { status, tags, metrics } = await close([trial("t1", 70, "failed"), trial("t0", null, "failed")]);
    expect(status).toBe("FAILED");
    expect([...tags.keys()].filter((key) => key.startsWith("best"))).toEqual([]);
    expect(metrics.size).toBe(0);
    expect(tags.get(NOTE)).toContain("no trial has come to a value of eval/acc: no memory");
  });
});
