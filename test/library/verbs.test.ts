/** The verbs around a fit, on a tiny suite of texts: init, plans, sweeps, tables, other tools' coefficients, the hub, an MLflow server, this machine. */
import { cp, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  CheckpointError,
  ConfigError,
  convertCoefficients,
  type DownloadEvent,
  doctor,
  evaluate,
  fit,
  HubError,
  init,
  loadConfig,
  openSuite,
  planFit,
  pull,
  readCoefficients,
  reproduce,
  resume,
  sweep,
  sync,
  type WorkEvent,
  type WorkOptions,
} from "../../src/index.js";
import { type FakeHub, startFakeHub } from "../fake-hub/fake-hub.js";
import { temporaryFolder } from "../support/cli.js";
import { TEXT_TASKS, writeTextSuite } from "../support/tiny-text-suite.js";

const TASKS = Object.keys(TEXT_TASKS);
const of = (place: string) => Object.fromEntries(TASKS.map((task) => [task, `${place}/${task}`]));
let folder: string;
const work = (more: WorkOptions = {}): WorkOptions => ({ cwd: folder, cacheDir: "cache", tracking: false, ...more });
const BARE = { save_model: false, save_report: false };

beforeAll(async () => {
  folder = await temporaryFolder();
  await writeTextSuite(folder);
});

describe("before a fit", () => {
  it("init writes a suite and a config for models of one's own, which a plan is made for", async () => {
    const given = { base: "models/base", experts: of("models"), texts: of("texts") };
    const looked = await init("own", { ...work(), ...given, dryRun: true });
    expect(looked.experts.map(({ name }) => name)).toEqual(TASKS);
    await expect(stat(join(folder, "own"))).rejects.toThrow();
    const { files, plan } = await init("own", { ...work(), ...given });
    expect(files).toContain("config.yaml");
    expect(plan.tasks).toEqual(TASKS);
    const { tasks, coefficients } = await planFit("own/config.yaml", work());
    expect([tasks, coefficients]).toEqual([TASKS, plan.coefficients]);
    expect((await openSuite("own", { cwd: folder })).tasks.map(({ name }) => name)).toEqual(TASKS);
    const nowhere = { ...work(), ...given, base: "models/nowhere" };
    await expect(init("other", nowhere)).rejects.toThrow(/base models\/nowhere: expected an existing path/);
    await expect(init("own", { ...work(), ...given })).rejects.toThrow(ConfigError);
  });

  it("doctor says what works here", async () => {
    const checks = await doctor(work());
    expect(checks.find(({ name }) => name.includes("onnx"))).toMatchObject({ ok: true });
  });
});

describe("after fits", () => {
  it("a sweep ranks its trials, and goes on with what is there", async () => {
    const file = { config: "config.yaml", parameters: { "optimizer.learning_rate": [0.1, 0.01] } };
    await writeFile(join(folder, "sweep.yaml"), JSON.stringify(file));
    const overrides = { ...BARE, steps: 1, "data.eval_split": "adapt" };
    const listed = await sweep("sweep.yaml", { ...work({ output: "swept" }), overrides, dryRun: true });
    expect([listed.missing, listed.table.rows.length]).toEqual([2, 2]);
    const { table, missing, directory } = await sweep("sweep.yaml", { ...work({ output: "swept" }), overrides });
    expect(missing).toBe(0);
    expect(table.rows.map(({ state }) => state)).toEqual(["finished", "finished"]);
    expect(directory).toBe(join(folder, "swept", "sweep"));
    const again = await resume(join(directory, table.rows[0]?.trial ?? ""), work());
    expect(again.reason).toBe("finished");
    await expect(sweep("sweep.yaml", { ...work(), jobs: 0 })).rejects.toThrow(/jobs: expected a whole number from 1/);
  });

  it("coefficients become those of other tools", async () => {
    const config = await loadConfig("config.yaml", { overrides: { ...BARE, name: "converted" }, cwd: folder });
    const { runPath, coefficients } = await fit(config, work({ output: "runs" }));
    const options = { ...work(), from: runPath, to: "mergekit" as const, output: "mergekit.yaml" };
    expect(await convertCoefficients(config, options)).toEqual(coefficients);
    expect(await readFile(join(folder, "mergekit.yaml"), "utf8")).toContain("merge_method: task_arithmetic");
    await expect(convertCoefficients(config, options)).rejects.toThrow(ConfigError);
    await expect(readCoefficients("nowhere", { cwd: folder })).rejects.toThrow(CheckpointError);
  });

  it("a table says what of it is missing, and an MLflow server is asked for", async () => {
    const { missing, computed } = await reproduce("mini8-main", { ...work(), dryRun: true });
    expect(missing).toBeGreaterThan(0);
    expect(computed).toBe(0);
    await expect(sync("runs", work())).rejects.toThrow(/sync: expected an MLflow server/);
  });
});

describe("a suite on the hub", () => {
  let hub: FakeHub;
  beforeAll(async () => {
    const served = join(folder, "served", "models", "adamerge");
    for (const name of ["base", ...TASKS])
      await cp(join(folder, "models", name), join(served, name), { recursive: true });
    hub = await startFakeHub(join(folder, "served"));
    const suite = await readFile(join(folder, "suite.yaml"), "utf8");
    await mkdir(join(folder, "remote"));
    const remote = suite.replaceAll("models/", "adamerge/").replaceAll("texts/", "../texts/");
    await writeFile(join(folder, "remote", "suite.yaml"), remote);
  });
  afterAll(() => hub.close());

  it("is pulled, with its downloads as events, and judged offline", async () => {
    const events: DownloadEvent[] = [];
    const onEvent = (event: WorkEvent) => {
      if (event.type === "download") events.push(event);
    };
    const settings = { endpoint: hub.url, cacheDir: join(folder, "hub"), token: undefined, tokenPath: undefined };
    const config = await loadConfig("config.yaml", { overrides: { suite: join(folder, "remote") }, cwd: folder });
    const judged = (offline: boolean) =>
      evaluate(config, { method: "weight_averaging" }, work({ hub: { ...settings, offline } }));
    await expect(judged(true)).rejects.toThrow(HubError);
    const planned = await pull("remote", { ...work({ hub: settings, onEvent }), dryRun: true });
    expect(planned.map(({ repository }) => repository).toSorted()).toEqual(
      ["base", ...TASKS].map((name) => `adamerge/${name}`),
    );
    expect(planned.every(({ missingBytes, allBytes }) => missingBytes === allBytes && allBytes > 0)).toBe(true);
    expect(events).toEqual([]);
    await pull("remote", work({ hub: settings, onEvent }));
    const { doneBytes, totalBytes } = events.at(-1) ?? {};
    expect(doneBytes).toBe(totalBytes);
    expect((await judged(true)).row.tasks).toEqual(
      (await evaluate(await loadConfig("config.yaml", { cwd: folder }), { method: "weight_averaging" }, work())).row
        .tasks,
    );
  });
});
