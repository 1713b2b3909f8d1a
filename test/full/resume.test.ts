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
/** After this many kills the run must have ended at the latest. */
const MOST_ROUNDS = 60;
const SETTINGS = [
  join(ROOT, "configs", "mini8.yaml"),
  "steps=300",
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
  const whole = await runCli(cwd, ["fit", ...SETTINGS, "name=whole"]);
  expect(whole.code, whole.stderr).toBe(0);

  const rng = createRng(20261124, "kills and resumes");
  const run = join("runs", "e", "killed");
  let kills = 0;
  const resumedSteps = new Set<string>();
  for (let round = 0; ; round++) {
    expect(round, "the run does not get on between kills").toBeLessThan(MOST_ROUNDS);
    const begun = existsSync(join(cwd, run, "config.yaml"));
    const cli = startCli(cwd, begun ? ["fit", "--resume", run] : ["fit", ...SETTINGS, "name=killed"]);
    let over = false;
    if (kills < KILLS) {
      // From before anything is written to well into the steps: start-up takes about a second and a half.
      const delay = 300 + rng.nextInt(2700);
      setTimeout(() => !over && cli.kill("SIGKILL"), delay);
    }
    const { code, signal, stderr } = await cli.result;
    over = true;
    const from = /goes on after step (\d+)/.exec(stderr)?.[1];
    if (from !== undefined) resumedSteps.add(from);
    if (signal === null) {
      expect(code, stderr).toBe(0);
      break;
    }
    kills += 1;
    await expectReadable(join(cwd, run));
  }
  expect(kills).toBe(KILLS);
  // The kills are worth little when they all fall before the first checkpoint.
  expect(resumedSteps.size).toBeGreaterThanOrEqual(5);
  expect(await outcome(join(cwd, run))).toEqual(await outcome(join(cwd, "runs", "e", "whole")));
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
