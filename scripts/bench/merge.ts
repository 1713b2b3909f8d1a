/**
 * `bench merge`: the same merge file given to `adamerge merge` and to mergekit, taking turns, from the start of the command to its end, with
 * models in the page cache. Beside both the time of a plain copy of as many bytes to the disk, which is what it allows: ours is on the disk when the
 * command ends, mergekit's in the page cache.
 */
import { spawnSync } from "node:child_process";
import { createReadStream } from "node:fs";
import { mkdtemp, open, rm, stat, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { CommandModule } from "yargs";
import { writeMadeModel } from "./made-llama.js";
import { median, round } from "./statistics.js";
import { type Timed, timed } from "./timed-command.js";

const ROOT = join(import.meta.dirname, "..", "..");
const MAIN = join(ROOT, "dist", "cli", "main.js");

const METHODS = ["linear", "task_arithmetic", "ties", "dare_ties"] as const;

interface MergeArguments {
  readonly layers: number;
  readonly models: number;
  readonly rounds: number;
  readonly dtype: string;
  readonly methods: readonly string[];
  readonly python: string;
  readonly json: string | undefined;
}

export const mergeCommand: CommandModule<object, MergeArguments> = {
  command: "merge",
  describe:
    "A merge file given to us and to mergekit: GB/s of models read, seconds of processors, and anonymous memory",
  builder: (yargs) =>
    yargs
      .option("layers", { type: "number", default: 8, describe: "Blocks of the Llama layout (67 M parameters each)" })
      .option("models", { type: "number", default: 3, describe: "Models besides the base" })
      .option("rounds", { type: "number", default: 3, describe: "Turns of each" })
      .option("dtype", { choices: ["BF16", "F16", "F32"], default: "BF16", describe: "Of the models and the result" })
      .option("methods", { type: "string", array: true, default: [...METHODS], choices: METHODS, describe: "Which" })
      .option("python", { type: "string", default: "python3", describe: "A Python with mergekit" })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (options) => {
    const report = await measure(options);
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
  },
};

async function measure(options: MergeArguments): Promise<Record<string, unknown>> {
  const peer = findMergekit(options.python);
  const folder = await mkdtemp(join(tmpdir(), "adamerge-bench-merge-"));
  try {
    const names = ["base", ...Array.from({ length: options.models }, (_, index) => `model-${index}`)];
    for (const [index, name] of names.entries()) await writeMadeModel(join(folder, name), options, index);
    const modelBytes = (await stat(join(folder, "base", "model.safetensors"))).size;
    const copySeconds: number[] = [];
    const found: Record<string, unknown> = {};
    for (const method of options.methods) {
      const file = join(folder, `${method}.yaml`);
      await writeFile(file, mergeFile(folder, method, names, options.dtype));
      const read = (method === "linear" ? options.models : names.length) * modelBytes;
      const ours: Timed[] = [];
      const theirs: Timed[] = [];
      for (let turn = 0; turn < options.rounds; turn++) {
        const output = join(folder, "output");
        ours.push(await timed(process.execPath, [MAIN, "merge", file, "--output", output, "--quiet"]));
        await rm(output, { recursive: true });
        theirs.push(await timed(peer.command, [file, output, "--no-copy-tokenizer"]));
        await rm(output, { recursive: true });
        copySeconds.push((await copyBytes(folder, names, modelBytes)) * (read / (names.length * modelBytes)));
      }
      const seconds = (times: readonly Timed[]): number => median(times.map((time) => time.seconds));
      const cpu = (times: readonly Timed[]): number => round(median(times.map(({ cpuSeconds }) => cpuSeconds)), 2);
      const ratios = (of: (time: Timed) => number): number =>
        round(median(theirs.map((time, turn) => of(time) / of(ours[turn] ?? time))), 2);
      found[method] = {
        seconds: { ours: round(seconds(ours), 2), mergekit: round(seconds(theirs), 2) },
        gb_per_second: { ours: round(read / 1e9 / seconds(ours), 2), mergekit: round(read / 1e9 / seconds(theirs), 2) },
        cpu_seconds: { ours: cpu(ours), mergekit: cpu(theirs) },
        times_as_fast: ratios((time) => time.seconds),
        times_less_cpu: ratios((time) => time.cpuSeconds),
        peak_anonymous_mib: { ours: peak(ours), mergekit: peak(theirs) },
      };
    }
    return {
      what: `${options.models} models of ${round(modelBytes / 1e9, 2)} GB in ${options.dtype} and their base, Llama layout of ${options.layers} blocks; bytes of models read over seconds of the whole command`,
      machine: { cpu: cpus()[0]?.model, cores: availableParallelism(), node: process.version },
      mergekit: peer.version,
      methods: found,
      copy_of_as_many_bytes: {
        gb_per_second: round((names.length * modelBytes) / 1e9 / median(copySeconds), 2),
      },
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function findMergekit(python: string): { command: string; version: string } {
  const { status, stdout } = spawnSync(
    python,
    ["-c", "import sys, importlib.metadata as m; print(sys.executable, m.version('mergekit'))"],
    { encoding: "utf8" },
  );
  const [executable = "", version = ""] = stdout.trim().split(" ");
  if (status === 0) return { command: join(dirname(executable), "mergekit-yaml"), version };
  throw new Error(
    `${python} has no mergekit, which this benchmark compares with. Make an environment and name it:\n` +
      "  python3 -m venv merge-env && merge-env/bin/pip install mergekit\n" +
      "  npm run bench -- merge --python merge-env/bin/python",
  );
}

function mergeFile(folder: string, method: string, names: readonly string[], dtype: string): string {
  const models = names
    .slice(1)
    .map((name) => `  - {model: ${join(folder, name)}, parameters: {weight: 0.3, density: 0.5}}`)
    .map((line) => (method === "linear" ? line.replace(", density: 0.5", "") : line));
  const base = method === "linear" ? [] : [`base_model: ${join(folder, "base")}`];
  const type = { BF16: "bfloat16", F16: "float16", F32: "float32" }[dtype];
  return ["models:", ...models, `merge_method: ${method}`, ...base, `dtype: ${type}`, ""].join("\n");
}

function peak(times: readonly Timed[]): number {
  return round(Math.max(...times.map(({ peakBytes }) => peakBytes)) / 2 ** 20, 0);
}

/** Seconds to read all models and write one, with nothing done between. */
async function copyBytes(folder: string, names: readonly string[], modelBytes: number): Promise<number> {
  const begin = performance.now();
  const output = await open(join(folder, "copy"), "w");
  let written = 0;
  for (const name of names) {
    for await (const chunk of createReadStream(join(folder, name, "model.safetensors"), { highWaterMark: 1 << 22 })) {
      if (written >= modelBytes) continue;
      await output.write(chunk as Buffer);
      written += (chunk as Buffer).length;
    }
  }
  await output.sync();
  await output.close();
  const seconds = (performance.now() - begin) / 1000;
  await rm(join(folder, "copy"));
  return seconds;
}
