/** A sweep as a job array of a real Slurm: the results of the local launcher, and a requeued trial that goes on where it was. */
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ROOT, runCli, startCli, temporaryFolder } from "../support/cli.js";
import { type Slurm, slurmMissing, startSlurm } from "../support/slurm.js";

/** Steps of the trial that is requeued: some twenty seconds. */
const LONG = 400;

const missing = slurmMissing();
let slurm: Slurm;
let cwd: string;
beforeAll(async () => {
  if (missing !== undefined) return;
  slurm = await startSlurm();
  cwd = await temporaryFolder();
}, 60_000);
afterAll(() => slurm?.stop());

const settings = (steps: number) => [
  "tasks=[mnist, letters]",
  "data.eval_split=val",
  "data.eval_limit=40",
  "data.batch_size=2",
  "data.batches_per_task=1",
  "data.eval_every=0",
  "checkpoint_every=5",
  "threads=1",
  `steps=${steps}`,
];

async function writeSweep(name: string, steps: number, rates: readonly number[]): Promise<void> {
  const lines = [
    `config: ${join(ROOT, "configs", "quickstart-mini8.yaml")}`,
    `settings: ${JSON.stringify(settings(steps))}`,
    `parameters: {optimizer.learning_rate: ${JSON.stringify(rates)}}`,
  ];
  await writeFile(join(cwd, name), `${lines.join("\n")}\n`);
}

interface Table {
  readonly rows: readonly { trial: string; state: string; value: number; metrics: Record<string, unknown> }[];
}

it("gives the local launcher's results", async (context) => {
  if (missing !== undefined) return context.skip(missing);
  await writeSweep("rates.yaml", 10, [0.01, 0.03, 0.1]);
  const local = await runCli(cwd, ["sweep", "rates.yaml", "--output", "local", "--json"]);
  expect(local.code, local.stderr).toBe(0);
  const array = await runCli(
    cwd,
    ["sweep", "rates.yaml", "--output", "array", "--json", "--launcher", "slurm", "--jobs", "2"],
    slurm.env,
  );
  expect(array.code, array.stderr).toBe(0);
  expect(array.stderr).toMatch(/slurm: job \d+, 3 tasks/);
  const facts = (text: string) =>
    (JSON.parse(text) as Table).rows.map(({ trial, state, value, metrics: { time: _time, ...rest } }) => ({
      trial,
      state,
      value,
      rest,
    }));
  expect(facts(array.stdout)).toEqual(facts(local.stdout));
});

it("folders that shells and sbatch read as more than names are themselves", async (context) => {
  if (missing !== undefined) return context.skip(missing);
  const nasty = `it's 50% "of" #1 $(touch executed) %A ä`;
  await mkdir(join(cwd, nasty));
  await writeSweep(join(nasty, "rates.yaml"), 3, [0.01]);
  const args = ["sweep", join(nasty, "rates.yaml"), "--output", nasty, "--json", "--launcher", "slurm"];
  const { code, stdout, stderr } = await runCli(cwd, args, slurm.env);
  expect(code, stderr).toBe(0);
  expect((JSON.parse(stdout) as Table).rows).toMatchObject([{ state: "finished" }]);
  const files = await readdir(join(cwd, nasty, "rates"));
  expect(files.some((file) => /^slurm-\d+_0\.log$/.test(file))).toBe(true);
  expect([...(await readdir(cwd)), ...files]).not.toContain("executed");
});

it("a trial that is requeued goes on from its checkpoint", async (context) => {
  if (missing !== undefined) return context.skip(missing);
  await writeSweep("long.yaml", LONG, [0.01]);
  const cli = startCli(cwd, ["sweep", "long.yaml", "--output", "requeued", "--json", "--launcher", "slurm"], slurm.env);
  await cli.stderrHas("slurm: job");
  const queued = () => slurm.run("squeue", "--noheader", "--format=%i %T").trim();
  await until(() => queued().includes("RUNNING"));
  const folder = join(cwd, "requeued", "long");
  await until(() => slurm.run("bash", "-c", `ls -d "${folder}"/t000-*/checkpoints/step-*`).includes("step-"));
  const id = queued().split(" ")[0] ?? "";
  slurm.run("scontrol", "requeue", id);
  await until(() => !/RUNNING|COMPLETING/.test(queued()));
  // A requeued task waits two minutes before it begins, since slurmd refuses credentials that are no newer than the second in which it was
  // stopped (exit code 1, at once). Nobody needs to wait longer than that second here.
  await pause(2000);
  await until(() => {
    if (queued() !== "") slurm.run("scontrol", "update", `jobid=${id}`, "starttime=now");
    // On a quick machine the rest of it may be over between two looks.
    return queued() === "" || queued().includes("RUNNING");
  });
  const { code, stdout, stderr } = await cli.result;
  const log = slurm.run("bash", "-c", `cat "${folder}"/slurm-*.log`);
  expect(code, `${stderr}\n${stdout}\n${log}\n${slurm.run("scontrol", "show", "job", id)}`).toBe(0);
  const [row] = (JSON.parse(stdout) as Table).rows;
  expect(row).toMatchObject({ state: "finished" });

  const whole = await runCli(cwd, ["sweep", "long.yaml", "--output", "whole", "--json"]);
  expect(whole.code, whole.stderr).toBe(0);
  expect(row?.value).toBe((JSON.parse(whole.stdout) as Table).rows[0]?.value);
  const from = Number(/goes on after step (\d+) of/.exec(log)?.[1]);
  expect(from).toBeGreaterThan(0);
  expect(from).toBeLessThan(LONG);
});

async function until(condition: () => boolean): Promise<void> {
  const limit = Date.now() + 60_000;
  while (!condition()) {
    if (Date.now() > limit) throw new Error("it did not come to that within a minute");
    await pause(300);
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
