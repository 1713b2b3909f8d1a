/** The batch script of an array: ranges, resources, quoting for sbatch and for the shell. Whether Slurm takes it is tested in test/full. */
import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import { slurmSchema } from "../../src/config/slurm.js";
import { arrayScript } from "../../src/launch/slurm.js";

const script = (tasks: readonly number[], settings: object = {}, command: readonly string[] = ["adamerge"]) =>
  arrayScript({
    name: "rates",
    directory: "/scratch/my runs/rates",
    tasks,
    parallel: 4,
    command,
    settings: slurmSchema.parse(settings),
  });

it("asks for the tasks as ranges, for the resources that are set, and for nothing else", () => {
  const text = script([7, 0, 1, 2, 9, 10], { partition: "gpu", time: "1-12:00:00", cpus: 8, memory: "16G", gpus: 1 });
  const directives = text.split("\n").filter((line) => line.startsWith("#SBATCH "));
  expect(directives.map((line) => line.slice("#SBATCH ".length))).toEqual([
    "--job-name=rates",
    "--array=0-2,7,9-10%4",
    '--output="/scratch/my runs/rates/slurm-%A_%a.log"',
    "--open-mode=append",
    "--requeue",
    "--signal=TERM@60",
    "--cpus-per-task=8",
    "--partition=gpu",
    "--time=1-12:00:00",
    "--mem=16G",
    "--gpus=1",
  ]);
  expect(script([3])).toContain("--array=3%4");
  expect(script([3])).not.toMatch(/--(mem|time|gpus|partition|account)/);
});

it("hands every argument to the command as it is", () => {
  const words = ["printf", "%s|", "it's a 'path'", "$HOME", "a b", "*", 'tasks=["x"]'];
  const text = script([0], { setup: ["export PREPARED=yes"] }, words).replace("exec srun ", "exec ");
  const { stdout, stderr } = spawnSync("bash", ["-c", text], {
    encoding: "utf8",
    env: { ...process.env, SLURM_ARRAY_TASK_ID: "5" },
  });
  expect(stderr).toBe("");
  expect(stdout).toBe(`${[...words.slice(2), "5"].join("|")}|`);
});

it.each([
  [{ memory: "lots" }, /a size such as 8G/],
  [{ time: "tomorrow" }, /a time such as/],
  [{ options: ["partition=gpu"] }, /starting with --/],
  [{ gpu: 1 }, /gpu/],
])("%o is refused", (settings, message) => {
  expect(() => slurmSchema.parse(settings)).toThrow(message);
});
