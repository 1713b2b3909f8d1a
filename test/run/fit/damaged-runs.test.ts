/**
 * Every file of a run folder, damaged in every way, looked at by everything that opens runs: what comes is the result without that file, or an
 * error of the user's kind that names it, never a bug of ours. The runs are those of test/former-runs.
 */
import { cp, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { UserError } from "../../../src/errors.js";
import { readRunReport } from "../../../src/report/run-report.js";
import { writeRunReport } from "../../../src/report/write-report.js";
import { stoppedRun } from "../../../src/run/fit/fit-folder.js";
import { readTrainCheckpoint } from "../../../src/track/checkpoints.js";
import { createMlflowClient } from "../../../src/track/mlflow/client.js";
import { deliver } from "../../../src/track/mlflow/delivery.js";
import { reopenRunFolder } from "../../../src/track/reopen-run.js";
import { ROOT, temporaryFolder } from "../../support/cli.js";
import { type FakeMlflow, startFakeMlflow } from "../../support/fake-mlflow.js";
import { runInProcess } from "../../support/in-process-cli.js";

type Damage = (path: string) => Promise<unknown>;
const half = (text: Buffer) => text.subarray(0, text.length / 2);
const replacedBy =
  (content: string | Uint8Array): Damage =>
  (path) =>
    writeFile(path, content);
const DAMAGES: Readonly<Record<string, Damage>> = {
  "cut in half": async (path) => writeFile(path, half(await readFile(path))),
  empty: replacedBy(""),
  "a list": replacedBy("[1, 2]\n"),
  "a number": replacedBy("5\n"),
  null: replacedBy("null\n"),
  "an empty object": replacedBy("{}\n"),
  "an object of others": replacedBy(
    '{"tasks": 5, "step": "x", "rows": {}, "state": 7, "values": [[null]], "uri": []}\n',
  ),
  binary: replacedBy(Uint8Array.from({ length: 300 }, (_, i) => (i * 37) % 256)),
  "a folder": async (path) => {
    await rm(path);
    await mkdir(path);
  },
  missing: (path) => rm(path),
  "a link to nothing": async (path) => {
    await rm(path);
    await symlink("/nothing/here", path);
  },
};
const FILES = [
  "config.yaml",
  "environment.json",
  "status.json",
  "metrics.jsonl",
  "trajectory.jsonl",
  "coefficients.json",
  "predictions.json",
  "summary.json",
  "mlflow.json",
  "task-vectors.json",
  "README.md",
  "checkpoints/step-000004/state.json",
  "checkpoints/step-000004/arrays.f64",
  "checkpoints/step-000004/manifest.json",
];
let root: string;
let server: FakeMlflow;

beforeAll(async () => {
  root = await temporaryFolder();
  server = await startFakeMlflow();
  for (const name of ["finished", "stopped"]) {
    await cp(join(ROOT, "test", "former-runs", `0.1.0-${name}`), join(root, name), { recursive: true });
    const config = await readFile(join(root, name, "config.yaml"), "utf8");
    await writeFile(join(root, name, "config.yaml"), config.replace("suite: SUITE", "suite: /suite"));
  }
  await deliverTo(join(root, "finished"));
  await cp(join(root, "stopped", "checkpoints"), join(root, "finished", "checkpoints"), { recursive: true });
});
afterAll(() => server.close());

function deliverTo(folder: string) {
  const { uri } = server;
  const client = createMlflowClient({ uri, fetch, sleep: async () => {}, random: () => 0, attempts: 1 });
  return deliver(folder, { client, uri, experiment: null, withModel: false, log: () => {} });
}

/** Of those that write (which takes time), the files that they look into. */
const LOOKS_INTO: Readonly<Record<string, RegExp>> = {
  sync: /^(config|status|metrics|environment|mlflow)\./,
  "fit --resume, its state": /^(status\.|metrics|trajectory|checkpoints)/,
};
/** What opens runs, each told by its name in messages. */
const READERS: Readonly<Record<string, (folder: string) => Promise<unknown>>> = {
  report: (folder) => readRunReport(folder, () => {}),
  sync: deliverTo,
  "fit --resume, its beginning": stoppedRun,
  "fit --resume, its state": async (folder) => {
    const known = await readTrainCheckpoint(join(root, "stopped", "checkpoints"), () => {});
    const opened = await reopenRunFolder(folder, { inputs: known?.inputs ?? {}, log: () => {} });
    await opened.folder.close();
  },
};

describe.each(FILES)("%s", (file) => {
  it.each(Object.keys(DAMAGES))("%s: the result without it, or its name in the error", async (damage) => {
    for (const [reader, read] of Object.entries(READERS)) {
      if (LOOKS_INTO[reader]?.test(file) === false) continue;
      const folder = join(root, "damaged");
      await rm(folder, { recursive: true, force: true });
      await cp(join(root, "finished"), folder, { recursive: true });
      const path = join(folder, file);
      if (file === "mlflow.json" || (await readFile(path).catch(() => undefined)) !== undefined)
        await DAMAGES[damage]?.(path);
      const error = await read(folder).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      if (error === undefined) continue;
      expect(error, `${reader}: ${error instanceof Error ? error.stack : error}`).toBeInstanceOf(UserError);
      const { message } = error as UserError;
      const isRun = /expected the folder of a run, with config.yaml and status.json/.test(message);
      expect(isRun || message.includes(file.split("/")[0] ?? file), `${reader}: ${message}`).toBe(true);
      expect(message, reader).toMatch(/[;.:] (put|delete|use|give|check|get|What to do|Check|Give|Get)/);
    }
  });
});

describe("the commands", () => {
  it.each([
    [
      "status.json",
      "cut in half",
      "report finished",
      /finished\/status\.json: expected the status of a run, found no JSON/,
    ],
    [
      "status.json",
      "an empty object",
      "fit --resume finished",
      /status\.json: expected the status of a run, found another form \(state/,
    ],
    ["config.yaml", "binary", "report finished", /config\.yaml: expected the configuration of a run in UTF-8/],
    ["config.yaml", "a list", "fit --resume finished", /config\.yaml: .*put the file back, or start a new run/s],
    [
      "summary.json",
      "an empty object",
      "fit --resume finished",
      /summary\.json: expected the summary of a run, found another form/,
    ],
    ["summary.json", "missing", "fit --resume finished", /summary\.json: expected a readable file \(ENOENT/],
    [
      "coefficients.json",
      "a folder",
      "inspect finished",
      /coefficients\.json: expected a coefficients\.json, found a directory/,
    ],
    ["coefficients.json", "binary", "inspect finished/coefficients.json", /expected a coefficients\.json in UTF-8/],
    [
      "task-vectors.json",
      "an empty object",
      "report finished",
      /task-vectors\.json: expected the geometry.*or delete it to do without/,
    ],
    [
      "environment.json",
      "a number",
      "sync finished --to URI",
      /environment\.json: expected the environment of a run, found another form/,
    ],
    [
      "mlflow.json",
      "empty",
      "sync finished --to URI",
      /mlflow\.json: expected how far the run is delivered, found an empty file; delete it/,
    ],
  ])("%s, %s: %s", async (file, damage, line, message) => {
    const folder = await temporaryFolder();
    await cp(join(root, "finished"), join(folder, "finished"), { recursive: true });
    await rm(join(folder, "finished", "mlflow.json"));
    await writeFile(join(folder, "finished", "mlflow.json"), "{}");
    if (file !== "mlflow.json") await rm(join(folder, "finished", "mlflow.json"));
    await DAMAGES[damage]?.(join(folder, "finished", file));
    const { code, stderr } = await runInProcess(folder, line.replace("URI", server.uri), {});
    expect([2, 3], stderr).toContain(code);
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain("bug");
  });

  it("report says which lines of a log it leaves out", async () => {
    const folder = join(await temporaryFolder(), "run");
    await cp(join(root, "finished"), folder, { recursive: true });
    const metrics = join(folder, "metrics.jsonl");
    const lines = (await readFile(metrics, "utf8")).split("\n");
    await writeFile(metrics, [lines[0], "{broken", ...lines.slice(1, 4), '{"step": 5, "cut'].join("\n"));
    const said: string[] = [];
    await writeRunReport(folder, (line) => said.push(line));
    expect(said).toEqual([`warning: ${metrics}: 1 of 6 lines are damaged and left out (the first is line 2)`]);
  });

  it("resuming keeps the lines of a log byte for byte", async () => {
    const folder = join(await temporaryFolder(), "run");
    await cp(join(root, "stopped"), folder, { recursive: true });
    const before = await readFile(join(folder, "metrics.jsonl"), "utf8");
    await READERS["fit --resume, its state"]?.(folder);
    expect(before.startsWith(await readFile(join(folder, "metrics.jsonl"), "utf8"))).toBe(true);
  });
});
