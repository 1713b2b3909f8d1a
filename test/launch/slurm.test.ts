/** The batch script of an array: ranges, resources, quoting for sbatch and for the shell. Whether Slurm takes it is tested in test/full. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { describe, expect, it } from "vitest";
import { slurmSchema } from "../../src/config/slurm.js";
import { arrayScript, waitForJob } from "../../src/launch/slurm.js";

const script = (
  tasks: readonly number[],
  settings: object = {},
  command: readonly string[] = ["adamerge"],
  { name = "rates", directory = "/scratch/my runs/rates" } = {},
) =>
  arrayScript({
    name,
    directory,
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

/** The words of the #SBATCH lines, as _get_argument of Slurm's sbatch/opt.c takes them apart. */
function directives(text: string): string[] {
  const words: string[] = [];
  for (const line of text.split("\n")) {
    if (!line.startsWith("#")) break;
    const rest = /^#SBATCH(.*)$/s.exec(line)?.[1] ?? "";
    let [word, quote, at] = ["", "", 0];
    for (; at < rest.length; at++) {
      const char = rest.charAt(at);
      if (char === "\\") word += rest.charAt(++at);
      else if (quote !== "") {
        if (char === quote) quote = "";
        else word += char;
      } else if (char === '"' || char === "'") quote = char;
      else if (/\s/.test(char)) {
        if (word !== "") words.push(word);
        word = "";
      } else if (char === "#") break;
      else word += char;
    }
    expect(quote, line).toBe("");
    if (word !== "") words.push(word);
  }
  return words;
}

const NASTY = [
  ...["two words", "it's", 'say "this"', "$(touch executed)", "`touch executed`", "$HOME", "a;touch executed", "a#b"],
  ...["-rf", "--array=9", "100%", "%A_%a %x", "*", "~", "!!", "a&b", "ä é ก 🙂", "a|b", "<x>", "x\\"],
] as const;

describe("names are themselves, to sbatch and to the shell", () => {
  it.each(NASTY)("%s", (nasty) => {
    const folder = mkdtempSync(join(tmpdir(), "slurm "));
    try {
      const directory = `/scratch/${nasty.replaceAll("\\", "")}`;
      const settings = { partition: nasty, account: nasty };
      const command = ["/opt/n o'de/node", nasty, `/x/${nasty}.yaml`, `data.name=${nasty}\n#SBATCH --array=1`];
      const text = script([0], settings, command, { name: nasty, directory });
      expect(directives(text)).toEqual([
        `--job-name=${nasty}`,
        "--array=0%4",
        `--output=${directory.replaceAll("%", "%%")}/slurm-%A_%a.log`,
        ...["--open-mode=append", "--requeue", "--signal=TERM@60", "--cpus-per-task=1"],
        `--partition=${nasty}`,
        `--account=${nasty}`,
      ]);
      writeFileSync(join(folder, "srun"), '#!/bin/bash\nprintf "%s\\0" "$@" > arguments\n');
      chmodSync(join(folder, "srun"), 0o755);
      writeFileSync(join(folder, "array.sh"), text);
      const env = { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH}`, SLURM_ARRAY_TASK_ID: "7" };
      const { status, stderr } = spawnSync("bash", ["array.sh"], { cwd: folder, env, encoding: "utf8" });
      expect([status, stderr]).toEqual([0, ""]);
      expect(readFileSync(join(folder, "arguments"), "utf8").split("\0")).toEqual([...command, "7", ""]);
      expect(() => readFileSync(join(folder, "executed"))).toThrow("ENOENT");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

it.each([
  [
    { name: "a\n#SBATCH --wrap=x" },
    /line breaks .* for the sweep file's name, found "a\\n#SBATCH --wrap=x". Rename it/,
  ],
  [{ name: "a\r" }, /for the sweep file's name, found "a\\r"/],
  [{ directory: "/runs/a\nb" }, /for the output folder, found "\/runs\/a\\nb"/],
  [{ directory: "/runs/a\\b" }, /an output folder without backslashes/],
])("%j cannot be said in a script", (names, message) => {
  expect(() => script([0], {}, ["adamerge"], names)).toThrow(message);
});

it("options are lines of a batch script, quoted as there", () => {
  const options = ['--comment="a #1 \\"b\\""', "--nodes 1", "--nodelist='n[1-2]'"];
  const words = directives(script([0], { options }));
  expect(words.slice(-4)).toEqual(['--comment=a #1 "b"', "--nodes", "1", "--nodelist=n[1-2]"]);
});

it.each([
  [{ partition: "a\nb" }, /without line breaks/],
  [{ account: "a\u0085b" }, /without line breaks/],
  [{ options: ["--comment=a\nscancel -u me"] }, /without line breaks/],
  [{ options: ["--comment=it's"] }, /quotes that are closed/],
  [{ options: ['--comment="a\\"'] }, /quotes that are closed/],
  [{ options: ["--comment=a\\"] }, /quotes that are closed/],
  [{ options: ["--comment=issue #4"] }, /# within quotes only/],
  [{ memory: "lots" }, /a size such as 8G/],
  [{ time: "tomorrow" }, /a time such as/],
  [{ options: ["partition=gpu"] }, /starting with --/],
  [{ gpu: 1 }, /gpu/],
])("%o is refused", (settings, message) => {
  expect(() => slurmSchema.parse(settings)).toThrow(message);
});

it("a job is over when the queue misses it twice in a row", async () => {
  const folder = mkdtempSync(join(tmpdir(), "adamerge squeue "));
  const answers = join(folder, "answers");
  const { PATH } = process.env;
  try {
    // Each call of this squeue takes a line.
    const lines = ["5_0 RUNNING", "", "5_0 PENDING", "", "", "5_0 of a later sweep"];
    writeFileSync(answers, `${lines.join("\n")}\n`);
    const fake = `#!/bin/sh\nhead -n 1 "${answers}"\nsed -i 1d "${answers}"\n`;
    writeFileSync(join(folder, "squeue"), fake, { mode: 0o755 });
    process.env.PATH = `${folder}:${PATH}`;
    await waitForJob("5", new AbortController().signal, { pollMs: 1, lookAgainMs: 1 });
    expect(readFileSync(answers, "utf8")).toBe("5_0 of a later sweep\n");
  } finally {
    process.env.PATH = PATH;
    rmSync(folder, { recursive: true });
  }
});
