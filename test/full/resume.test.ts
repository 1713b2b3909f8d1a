/**
 * A run that is killed with SIGKILL twenty times at random moments, and resumed each time, ends with the bits of one that was
 * left alone; after every kill each file with a final name can be read.
 */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createRng } from "../../src/runtime/rng.js";
import { ROOT, runCli, startCli, temporaryFolder } from "../support/cli.js";

const KILLS = 20;
const SETTINGS = [
  join(ROOT, "configs", "mini8.yaml"),
  "steps=120",
  "optimizer.learning_rate=0.01",
  "tasks=[mnist, letters]",
  "data.eval_every=20",
  "data.eval_limit=50",
  "data.batch_size=2",
  "data.batches_per_task=1",
  "checkpoint_every=5",
  "save_model=false",
  "experiment=e",
];

it(`${KILLS} kills, each resumed: the same coefficients, metrics and predictions to the bit`, async () => {
  const cwd = await temporaryFolder();
  const started = performance.now();
  const whole = await runCli(cwd, ["fit", ...SETTINGS, "name=whole"]);
  const wholeMs = performance.now() - started;
  expect(whole.code, whole.stderr).toBe(0);
  const expected = await outcome(join(cwd, "runs", "e", "whole"));

  const rng = createRng(20261124, "kills and resumes");
  const resumedSteps = new Set<string>();
  let kills = 0;
  // A run that ends between two kills is compared, and the next one begun, until there were enough kills.
  for (let runs = 0; kills < KILLS; runs++) {
    const run = join("runs", "e", `killed-${runs}`);
    for (let over = false; !over; ) {
      const begun = existsSync(join(cwd, run, "config.yaml"));
      const cli = startCli(cwd, begun ? ["fit", "--resume", run] : ["fit", ...SETTINGS, `name=killed-${runs}`]);
      // From before anything is written to well into the steps, on a machine of any speed.
      const timer =
        kills < KILLS ? setTimeout(() => cli.kill("SIGKILL"), (0.05 + 0.5 * rng.nextFloat()) * wholeMs) : undefined;
      const { code, signal, stderr } = await cli.result;
      clearTimeout(timer);
      const from = /goes on after step (\d+)/.exec(stderr)?.[1];
      if (from !== undefined) resumedSteps.add(from);
      over = signal === null;
      if (over) expect(code, stderr).toBe(0);
      else {
        kills += 1;
        await expectReadable(join(cwd, run));
      }
    }
    expect(await outcome(join(cwd, run))).toEqual(expected);
  }
  // The kills are worth little when they all fall before the first checkpoint.
  expect(resumedSteps.size).toBeGreaterThanOrEqual(5);
});

/** What a run learned and logged, without the times. */
async function outcome(folder: string) {
  const lines = (await readFile(join(folder, "metrics.jsonl"), "utf8")).trim().split("\n");
  const metrics = lines.map((line) => {
    const { time: _time, "time/images_per_second": _speed, ...values } = JSON.parse(line);
    return values;
  });
  const text = (name: string) => readFile(join(folder, name), "utf8");
  return { metrics, coefficients: await text("coefficients.json"), predictions: await text("predictions.json") };
}

/** Every JSON file with a final name parses. */
async function expectReadable(folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith(".json") || entry.name.startsWith(".")) continue;
    const path = join(entry.parentPath, entry.name);
    const text = await readFile(path, "utf8");
    expect(() => JSON.parse(text), path).not.toThrow();
  }
}
