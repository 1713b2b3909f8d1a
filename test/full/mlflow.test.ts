/**
 * A real MLflow server: a fit logs to it and MLflow's own Python client reads everything back; a run made without a server is
 * delivered later; a server that is killed and restarted during a fit misses no point and has none twice.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { ROOT, runCli, startCli, temporaryFolder } from "../support/cli.js";
import { killServers, mlflowPython, startMlflow } from "../support/mlflow-server.js";

const CONFIG = join(ROOT, "configs", "mini8.yaml");
const SMALL = [
  "tasks=[mnist, letters]",
  "data.eval_limit=50",
  "data.batch_size=4",
  "data.batches_per_task=1",
  "save_model=false",
];

interface ReadRun {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly params: Record<string, string>;
  readonly tags: Record<string, string>;
  readonly metrics: Record<string, [step: number, value: number, timestamp: number][]>;
  readonly artifacts: Record<string, string>;
  /** By name and digest, what each was there for. */
  readonly inputs: Record<string, string[]>;
  /** Of the experiment. */
  readonly kind: string;
  /** Names in the registry. */
  readonly registered: string[];
  readonly models: {
    readonly name: string;
    readonly status: string;
    readonly described: boolean;
    readonly flavors: string[];
    readonly files: Record<string, string>;
    /** The run's outputs: whether it is this model, and its step. */
    readonly outputs: [boolean, number][];
    readonly metrics: Record<string, [value: number, dataset: string | null]>;
    readonly signature: { readonly inputs: string } | null;
  }[];
}

let python = "";
let missing: string | undefined;
beforeAll(() => {
  const found = mlflowPython();
  if ("missing" in found) missing = found.missing;
  else python = found.python;
}, 600_000);

afterEach(killServers);

const needsServer = (context: TestContext): void => {
  if (missing !== undefined) context.skip(missing);
};

function readBack(uri: string, experiment: string): ReadRun[] {
  const script = join(import.meta.dirname, "read-mlflow.py");
  const { stdout, stderr, status } = spawnSync(python, [script, uri, experiment], {
    encoding: "utf8",
    timeout: 120_000,
    // The client counts its calls for its makers, and in a script that fails.
    env: { ...process.env, MLFLOW_DISABLE_TELEMETRY: "true" },
  });
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout);
}

/** Loads and serves the registered model, where its packages are: labels and probabilities are those of `adamerge predict`. */
function expectServed(uri: string, cwd: string): void {
  const script = join(import.meta.dirname, "serve-mlflow.py");
  const images = join(ROOT, "datasets", "mini8", "tasks", "letters", "data", "test-00000-of-00001.parquet");
  const args = [script, uri, "models:/mini/1", images, join(ROOT, "dist", "cli", "main.js")];
  const env = { ...process.env, MLFLOW_DISABLE_TELEMETRY: "true", OMP_NUM_THREADS: "1", NODE: process.execPath };
  const served = process.env.ADAMERGE_TORCH_PYTHON ?? python;
  const { stdout, stderr, status } = spawnSync(served, args, { cwd, encoding: "utf8", timeout: 120_000, env });
  if (stdout.startsWith("no ")) return void console.log(`the model was not loaded: ${stdout.trim()}`);
  expect(status, stderr).toBe(0);
  const { rows, differing, worst, served: answers } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
  expect({ rows, differing, answers }).toEqual({ rows: 64, differing: 0, answers: 2 });
  expect(worst).toBeLessThan(1e-5);
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** metrics.jsonl as MLflow should have it: key -> [step, value] in order. */
async function expectedMetrics(folder: string): Promise<Record<string, [number, number][]>> {
  const expected: Record<string, [number, number][]> = {};
  for (const line of (await readFile(join(folder, "metrics.jsonl"), "utf8")).trim().split("\n")) {
    const { time: _time, step, ...values } = JSON.parse(line);
    for (const [key, value] of Object.entries(values)) {
      expected[key] ??= [];
      expected[key].push([step, Number(value)]);
    }
  }
  return expected;
}

async function expectDelivered(run: ReadRun | undefined, folder: string): Promise<void> {
  expect(run).toBeDefined();
  const found = Object.fromEntries(
    Object.entries(run?.metrics ?? {}).map(([key, points]) => [
      key,
      points.map(([step, value]) => [step, value]).sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0)),
    ]),
  );
  const comparisons = /^(?:versus|gain|kept)\/|^time\/seconds$/;
  const own = Object.entries(found).filter(([key]) => !comparisons.test(key));
  expect(Object.fromEntries(own)).toEqual(await expectedMetrics(folder));
  const { rows } = JSON.parse(await readFile(join(folder, "summary.json"), "utf8"));
  for (const { method, average } of rows.slice(0, -1))
    expect(found[`versus/acc/${method}`]?.map(([, value]) => value)).toEqual([average]);
  expect(run?.tags["mlflow.note.content"]).toContain(`**${rows.at(-1).average.toFixed(2)} %** average accuracy`);
  expect(Object.keys(run?.inputs ?? {}).map((name) => name.split(" ")[0])).toEqual(
    expect.arrayContaining(["mnist/test", "letters/test"]),
  );
  expect(run?.tags["mlflow.user"]).toBeTruthy();
  expect(run?.kind).toBe("custom_model_development");
  for (const points of Object.values(run?.metrics ?? {}))
    expect(points.map(([, , timestamp]) => timestamp)).toEqual(
      points.map(([, , timestamp]) => timestamp).toSorted((a, b) => a - b),
    );
  for (const name of [
    "config.yaml",
    "coefficients.json",
    "metrics.jsonl",
    "summary.json",
    "predictions.json",
    "README.md",
  ])
    expect(run?.artifacts[name], name).toBe(sha256(await readFile(join(folder, name))));
  expect(run?.params["optimizer.learning_rate"]).toBe("0.001");
  expect(run?.tags["adamerge.adaptation"]).toMatch(/^transductive/);
}

describe("MLflow", () => {
  it("reads back what a fit logged, and what a fit without a server logged later", async (context) => {
    needsServer(context);
    const cwd = await temporaryFolder();
    const server = await startMlflow(python, cwd);
    const fit = (name: string, env: Record<string, string>, ...more: string[]) => {
      const settings = [...SMALL, "steps=12", "data.eval_every=4", "experiment=e", `name=${name}`, ...more];
      return runCli(cwd, ["fit", CONFIG, ...settings], env);
    };
    const live = await fit(
      "live",
      { MLFLOW_TRACKING_URI: server.uri },
      "save_model=true",
      "log_model=true",
      "register_model=mini",
    );
    expect(live.code, live.stderr).toBe(0);
    const [first] = readBack(server.uri, "e");
    expect(first).toMatchObject({ name: "live", status: "FINISHED" });
    await expectDelivered(first, join(cwd, "runs", "e", "live"));
    const [model, ...others] = first?.models ?? [];
    expect(others).toEqual([]);
    expect(model).toMatchObject({
      name: "live",
      described: true,
      flavors: ["adamerge", "python_function"],
      outputs: [[true, 12]],
    });
    expect(model?.status).toMatch(/READY/);
    expect(first?.registered).toEqual(["mini"]);
    expect(model?.metrics["eval/acc/mnist"]).toEqual([first?.metrics["eval/acc/mnist"]?.at(-1)?.[1], "mnist/test"]);
    expect(JSON.parse(model?.signature?.inputs ?? "[]")).toEqual([{ type: "binary", name: "image", required: true }]);
    expect(live.stderr).toContain(`mlflow: ${server.uri}/#/experiments/`);
    expectServed(server.uri, cwd);
    for (const name of ["config.json", "model.safetensors"])
      expect(model?.files[name], name).toBe(sha256(await readFile(join(cwd, "runs", "e", "live", "model", name))));

    const offline = await fit("offline", {});
    expect(offline.code, offline.stderr).toBe(0);
    for (let round = 0; round < 2; round++) {
      const synced = await runCli(cwd, ["sync", "runs/e/offline", "--to", server.uri]);
      expect(synced.code, synced.stderr).toBe(0);
      if (round === 1) expect(synced.stderr).toContain("0 points and 0 files sent");
    }
    const runs = readBack(server.uri, "e");
    expect(runs.map(({ name }) => name).sort()).toEqual(["live", "offline"]);
    await expectDelivered(
      runs.find(({ name }) => name === "offline"),
      join(cwd, "runs", "e", "offline"),
    );
    await server.kill();
  });

  it("misses no point and has none twice when the server is killed and restarted during a fit", async (context) => {
    needsServer(context);
    const cwd = await temporaryFolder();
    let server = await startMlflow(python, cwd);
    // Long enough on any machine that the outage begins and ends within the fit.
    const steps = 1500;
    const cli = startCli(
      cwd,
      ["fit", CONFIG, ...SMALL, `steps=${steps}`, "data.eval_every=500", "experiment=e", "name=killed"],
      { MLFLOW_TRACKING_URI: server.uri },
    );
    await cli.stderrHas(`step  150/${steps}`);
    await server.kill();
    await cli.stderrHas("the run goes on");
    // Held while the server starts, so that a fast machine does not end the fit before there is a server to go back to.
    cli.kill("SIGSTOP");
    server = await startMlflow(python, cwd, server.port);
    cli.kill("SIGCONT");
    const { code, stderr } = await cli.result;
    expect(code, stderr).toBe(0);
    expect(stderr).not.toContain("delivers the rest");
    const [run] = readBack(server.uri, "e");
    expect(run?.metrics["train/loss"]?.length).toBe(steps);
    await expectDelivered(run, join(cwd, "runs", "e", "killed"));
    expect(run?.status).toBe("FINISHED");
    await server.kill();
  });

  it("a sweep is one run with its trials as children", async (context) => {
    needsServer(context);
    const cwd = await temporaryFolder();
    const server = await startMlflow(python, cwd);
    const settings = [...SMALL, "steps=4", "data.eval_every=2", "data.eval_split=val"];
    const text = `config: ${CONFIG}\nsettings: ${JSON.stringify(settings)}\nparameters: {optimizer.learning_rate: [1e-3, 1e-2]}\n`;
    await writeFile(join(cwd, "rates.yaml"), text);
    const sweep = await runCli(cwd, ["sweep", "rates.yaml", "--jobs", "2"], { MLFLOW_TRACKING_URI: server.uri });
    expect(sweep.code, sweep.stderr).toBe(0);
    const runs = readBack(server.uri, "rates");
    const parent = runs.find(({ name }) => name === "rates");
    const children = runs.filter((run) => run !== parent);
    expect(children.map(({ status }) => status)).toEqual(["FINISHED", "FINISHED"]);
    for (const { tags } of children) expect(tags["mlflow.parentRunId"]).toBe(parent?.id);
    const best = Math.max(...children.map(({ metrics }) => metrics["eval/acc"]?.at(-1)?.[1] ?? 0));
    expect(parent?.metrics["best/eval/acc"]?.[0]?.[1]).toBe(best);
    expect(parent?.status).toBe("FINISHED");
    expect(Object.keys(parent?.artifacts ?? {}).sort()).toEqual(["report.html", "sweep.csv", "sweep.json"]);
  });

  it("a server that is not there costs a fit nothing but a line", async () => {
    const cwd = await temporaryFolder();
    const { code, stderr } = await runCli(cwd, ["fit", CONFIG, ...SMALL, "steps=3", "experiment=e", "name=alone"], {
      MLFLOW_TRACKING_URI: "http://127.0.0.1:9",
    });
    expect(code, stderr).toBe(0);
    expect(stderr).toContain("the tracking server did not answer");
    expect(stderr).toMatch(/`adamerge sync .*alone` delivers the rest/);
  });
});
