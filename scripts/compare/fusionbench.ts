/**
 * `compare fusionbench`: layer-wise AdaMerging by FusionBench's own classes (`fusionbench.py`) and by us with the preset `fusionbench`, on the same checkpoints, heads and batches,
 * taking turns: how far the coefficients lie apart after every step, accuracies, time and memory. K tasks, L tensors, one coefficient each.
 */
import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, cpus, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { CommandModule } from "yargs";
import { loadRunConfig } from "../../dist/config/load.js";
import { type Peer, startPeer } from "../bench/peer.js";
import { median, round } from "../bench/statistics.js";
import { type FoundPython, findPython } from "./find-python.js";
import { finish } from "./finish.js";
import { type GivenInputs, writeInputs } from "./fusionbench-inputs.js";

const ROOT = join(import.meta.dirname, "..", "..");
const PRESETS = join(ROOT, "configs", "presets");
/** What is asked of a comparison, at every step and for every task. */
const MOST_COEFFICIENT_DIFFERENCE = 1e-3;
const MOST_ACCURACY_POINTS = 0.2;
/**
 * A key bias adds one number to all scores of a softmax row, so its coefficients have no effect and an exact gradient of 0. What either program computes is rounding noise, which
 * Adam divides by its own size: these wander differently in every program and on every machine.
 */
const WITHOUT_EFFECT = /\.k_proj\.bias$/;

interface FusionBenchArguments {
  readonly python: string | undefined;
  readonly suite: string;
  readonly steps: number;
  readonly batch: number;
  readonly turn: number;
  readonly threads: number;
  readonly json: string | undefined;
}

export const fusionbenchCommand: CommandModule<object, FusionBenchArguments> = {
  command: "fusionbench",
  describe: "Layer-wise AdaMerging by FusionBench and by us: coefficients at every step, accuracies, time, memory",
  builder: (yargs) =>
    yargs
      .option("python", { type: "string", describe: "A Python with fusion-bench (default: python3)" })
      .option("suite", { type: "string", default: join(ROOT, "datasets", "mini8"), describe: "The suite" })
      .option("steps", { type: "number", default: 50, describe: "Steps of the fit" })
      .option("batch", { type: "number", default: 16, describe: "Images of each task in a step" })
      .option("turn", { type: "number", default: 10, describe: "Steps in a turn of each" })
      .option("threads", { type: "number", default: availableParallelism(), describe: "Threads of each" })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (options) => finish(await compare(options), options.json),
};

async function compare(options: FusionBenchArguments) {
  const python = findPython(options.python, {
    modules: ["fusion_bench", "torch", "transformers", "lightning"],
    packages: ["fusion-bench", "torch", "transformers"],
    target: "fusionbench",
  });
  const folder = await mkdtemp(join(tmpdir(), "adamerge-compare-"));
  const overrides = [
    `suite=${resolve(options.suite)}`,
    `steps=${options.steps}`,
    `threads=${options.threads}`,
    `data.batch_size=${options.batch}`,
    "data.eval_every=0",
    "checkpoint_every=1",
  ];
  const file = join(PRESETS, "fusionbench.yaml");
  const { config } = await loadRunConfig(file, overrides, { presetsDir: PRESETS, cwd: ROOT });
  const peers: Peer[] = [];
  try {
    const inputs = join(folder, "inputs.safetensors");
    const given = await writeInputs(inputs, config, folder);
    const script = join(import.meta.dirname, "our-fit.ts");
    const ours = startPeer("our fit", process.execPath, [
      ...["--import", "tsx", script, PRESETS, "fusionbench", JSON.stringify(overrides), folder],
    ]);
    const theirs = startPeer("FusionBench", python.command, [
      join(import.meta.dirname, "fusionbench.py"),
      ...["--inputs", inputs, "--models", JSON.stringify(given.models), "--steps", String(options.steps)],
      ...["--batch", String(options.batch), "--threads", String(options.threads)],
    ]);
    peers.push(ours, theirs);
    return await alternate(options, { ours, theirs, given, python });
  } finally {
    await Promise.all(peers.map((peer) => peer.close()));
    await rm(folder, { recursive: true, force: true });
  }
}

interface Sides {
  readonly ours: Peer;
  readonly theirs: Peer;
  readonly given: GivenInputs;
  readonly python: FoundPython;
}

async function alternate(options: FusionBenchArguments, { ours, theirs, given, python }: Sides) {
  const openedOurs = await ours.ask({ kind: "open" });
  const openedTheirs = await theirs.ask({ kind: "open" });
  const [groups, tensors] = [openedOurs.groups as string[], openedTheirs.tensors as string[]];
  const columns = matchColumns(groups, tensors);
  const times = { ours: [] as number[], theirs: [] as number[], ratios: [] as number[] };
  const cpu = { ours: [] as number[], theirs: [] as number[] };
  let last: number[] = [];
  const withEffect: number[] = [];
  const without: number[] = [];
  for (let done = 0; done < options.steps; done += options.turn) {
    const count = Math.min(options.turn, options.steps - done);
    const our = await ours.ask({ kind: "step", count });
    const their = await theirs.ask({ kind: "step", count });
    times.ours.push(...(our.ms as number[]));
    times.theirs.push(...(their.ms as number[]));
    cpu.ours.push(Number(our.cpuMs) / count);
    cpu.theirs.push(Number(their.cpuMs) / count);
    process.stderr.write(`${done + count} of ${options.steps} steps\n`);
    times.ratios.push(median(their.ms as number[]) / median(our.ms as number[]));
    for (const [index, ourKL] of (our.trajectory as number[][]).entries()) {
      const theirKL = (their.trajectory as number[][][])[index] ?? [];
      const differences = columns.map((column, group) =>
        Math.max(
          ...theirKL.map((row, task) => Math.abs((ourKL[task * groups.length + group] ?? NaN) - (row[column] ?? NaN))),
        ),
      );
      const largest = (isWithout: boolean): number =>
        Math.max(...differences.filter((_, group) => WITHOUT_EFFECT.test(groups[group] ?? "") === isWithout));
      last = ourKL;
      withEffect.push(largest(false));
      without.push(largest(true));
    }
  }
  const peaks = { ours: ours.peakAnonymousBytes(), fusionbench: theirs.peakAnonymousBytes() };
  const our = (await ours.ask({ kind: "evaluate" })).accuracies as Record<string, number>;
  const their = (await theirs.ask({ kind: "evaluate" })).accuracies as Record<string, number>;
  const points = Math.max(...given.tasks.map((task) => Math.abs((our[task] ?? NaN) - (their[task] ?? NaN))));
  return {
    what: `layer-wise AdaMerging, ${options.steps} steps with ${options.batch} images of each of ${given.tasks.length} tasks, ${groups.length} tensors: FusionBench's LayerWiseAdaMerging and ours with the preset fusionbench`,
    command: `npm run compare -- fusionbench --python PYTHON --steps ${options.steps} --batch ${options.batch} --turn ${options.turn} --threads ${options.threads}`,
    as_asked: Math.max(...withEffect) <= MOST_COEFFICIENT_DIFFERENCE && points <= MOST_ACCURACY_POINTS,
    coefficients: {
      largest_difference: Math.max(...withEffect),
      asked_at_most: MOST_COEFFICIENT_DIFFERENCE,
      by_step: withEffect.map((value) => Number(value.toPrecision(3))),
      smallest_and_largest_at_the_end: [round(Math.min(...last), 4), round(Math.max(...last), 4)],
      key_biases_without_effect: Number(Math.max(...without).toPrecision(3)),
    },
    accuracy_percent: {
      largest_difference: round(points, 3),
      asked_at_most: MOST_ACCURACY_POINTS,
      by_task: Object.fromEntries(given.tasks.map((task) => [task, { ours: our[task], fusionbench: their[task] }])),
    },
    step_ms: { ours: round(median(times.ours)), fusionbench: round(median(times.theirs)) },
    cpu_ms_per_step: { ours: round(median(cpu.ours)), fusionbench: round(median(cpu.theirs)) },
    times_as_fast: round(median(times.ratios), 2),
    times_less_cpu: round(median(cpu.theirs.map((ms, turn) => ms / (cpu.ours[turn] ?? Number.NaN))), 2),
    times_as_fast_per_turn: times.ratios.map((ratio) => round(ratio, 2)),
    peak_anonymous_mib: { ours: mebibytes(peaks.ours), fusionbench: mebibytes(peaks.fusionbench) },
    seconds_to_first_step: {
      ours: round(Number(openedOurs.secondsToFirstStep)),
      fusionbench: round(Number(openedTheirs.secondsToFirstStep)),
    },
    machine: { cpu: cpus()[0]?.model, cores: availableParallelism(), node: process.version, commit: commit() },
    threads: options.threads,
    // Far above the number of cores the machine was shared: wall times say little, CPU times still do.
    load_average_at_the_end: round(loadavg()[0] ?? Number.NaN),
    versions: python.versions,
    date: new Date().toISOString().slice(0, 10),
  };
}

/** Where each of our groups stands among FusionBench's tensors. Newer versions of transformers leave out the prefix. */
function matchColumns(groups: readonly string[], tensors: readonly string[]): number[] {
  const short = (name: string): string => name.replace(/^vision_model\./, "");
  const positions = new Map(tensors.map((name, position) => [short(name), position]));
  const columns = groups.map((group) => positions.get(short(group)) ?? -1);
  const unmatched = groups.filter((_, index) => columns[index] === -1);
  if (unmatched.length > 0 || groups.length !== tensors.length)
    throw new Error(
      `${groups.length} tensors of ours, ${tensors.length} of FusionBench's, without a partner: ${unmatched.join(", ")}`,
    );
  return columns;
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}

function commit(): string {
  return execFileSync("git", ["describe", "--always", "--dirty"], { cwd: ROOT, encoding: "utf8" }).trim();
}
