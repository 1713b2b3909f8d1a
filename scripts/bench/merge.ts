/**
 * `bench merge`: the same merge file given to `adamerge merge` and to mergekit, taking turns, from the start of the command to its end, with
 * models in the page cache. Beside both the time of a plain copy of as many bytes, which is what the disk allows.
 */
import { spawn, spawnSync } from "node:child_process";
import { createReadStream, readFileSync } from "node:fs";
import { mkdir, mkdtemp, open, rm, stat, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { CommandModule } from "yargs";
import { writeSafetensorsStream } from "../../dist/checkpoint/safetensors.js";
import { createRng } from "../../dist/runtime/rng.js";
import { median, round } from "./statistics.js";

const ROOT = join(import.meta.dirname, "..", "..");
const MAIN = join(ROOT, "dist", "cli", "main.js");
const SAMPLE_MS = 100;

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
  describe: "A merge file given to us and to mergekit: GB/s of models read, and anonymous memory",
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
    for (const [index, name] of names.entries()) await writeModel(join(folder, name), options, index);
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
      found[method] = {
        seconds: { ours: round(seconds(ours), 2), mergekit: round(seconds(theirs), 2) },
        gb_per_second: { ours: round(read / 1e9 / seconds(ours), 2), mergekit: round(read / 1e9 / seconds(theirs), 2) },
        times_as_fast: round(median(theirs.map((time, turn) => time.seconds / (ours[turn]?.seconds ?? Number.NaN))), 2),
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

const HIDDEN = 2048;
const INNER = 5632;
const VOCABULARY = 32_000;

function shapesOf(layers: number): Map<string, number[]> {
  const shapes = new Map<string, number[]>([
    ["model.embed_tokens.weight", [VOCABULARY, HIDDEN]],
    ["model.norm.weight", [HIDDEN]],
    ["lm_head.weight", [VOCABULARY, HIDDEN]],
  ]);
  for (let layer = 0; layer < layers; layer++) {
    const prefix = `model.layers.${layer}.`;
    for (const name of "qkvo") shapes.set(`${prefix}self_attn.${name}_proj.weight`, [HIDDEN, HIDDEN]);
    for (const name of ["gate", "up"]) shapes.set(`${prefix}mlp.${name}_proj.weight`, [INNER, HIDDEN]);
    shapes.set(`${prefix}mlp.down_proj.weight`, [HIDDEN, INNER]);
    for (const name of ["input", "post_attention"]) shapes.set(`${prefix}${name}_layernorm.weight`, [HIDDEN]);
  }
  return shapes;
}

/** Values like those of trained models in size, with a change for each model: the base's plus a hundredth. */
async function writeModel(folder: string, { layers, dtype }: MergeArguments, index: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  const config = {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_size: HIDDEN,
    intermediate_size: INNER,
    num_hidden_layers: layers,
    num_attention_heads: 16,
    num_key_value_heads: 16,
    vocab_size: VOCABULARY,
    rms_norm_eps: 1e-6,
    tie_word_embeddings: false,
  };
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  const specs = [...shapesOf(layers)].map(([name, shape]) => ({ name, shape, dtype }));
  const noise = Float32Array.from(
    { length: 1 << 16 },
    (
      (rng) => () =>
        rng.nextFloat() - 0.5
    )(createRng(7)),
  );
  const data = (name: string): Float32Array => {
    const rng = createRng(1, name);
    const [start, own] = [rng.nextInt(noise.length), createRng(2, index, name).nextInt(noise.length)];
    const length = (shapesOf(layers).get(name) ?? []).reduce((a, b) => a * b, 1);
    const values = new Float32Array(length);
    const change = index === 0 ? 0 : 0.01;
    for (let i = 0; i < length; i++)
      values[i] =
        0.05 * ((noise[(start + i) % noise.length] ?? 0) + change * (noise[(own + 3 * i) % noise.length] ?? 0));
    return values;
  };
  await writeSafetensorsStream(join(folder, "model.safetensors"), specs, data, { metadata: { format: "pt" } });
}

interface Timed {
  readonly seconds: number;
  readonly peakBytes: number;
}

/** Runs a command to its end; its seconds, and the most anonymous memory that it was seen with. */
function timed(command: string, args: readonly string[]): Promise<Timed> {
  return new Promise((resolve, reject) => {
    const begin = performance.now();
    const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => {
      stderr = (stderr + chunk.toString()).slice(-4000);
    });
    let peakBytes = 0;
    const timer = setInterval(() => {
      peakBytes = Math.max(peakBytes, anonymousBytes(child.pid ?? 0));
    }, SAMPLE_MS);
    child.once("error", reject);
    child.once("close", (code) => {
      clearInterval(timer);
      if (code === 0) resolve({ seconds: (performance.now() - begin) / 1000, peakBytes });
      else reject(new Error(`${command} ${args.join(" ")} ended with ${code}:\n${stderr}`));
    });
  });
}

function anonymousBytes(pid: number): number {
  try {
    return 1024 * Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
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
