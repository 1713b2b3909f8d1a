/**
 * `bench finetune`: one step of a fine-tuning, of all weights and of LoRA, ours against transformers and peft with
 * torch.optim.AdamW, taking turns in one run: time and the most memory of each. Both train on the same batches, from the
 * same head; their first losses show that they do the same.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import type { CommandModule } from "yargs";
import { commitOf } from "./commit.js";
import { type Peer, startPeer } from "./peer.js";
import { median, round } from "./statistics.js";
import { findTorch, torchVersions } from "./torch-environment.js";
import { takeTurns } from "./turns.js";

const ROOT = join(import.meta.dirname, "..", "..");
/** Of both sides' LoRA. */
const RANK = 8;
const PACKAGES = ["torch", "transformers", "peft"];

/** What is trained: models and data that ship, with the features that transformers' own classifiers read. */
const PROBLEMS = {
  text: {
    base: "datasets/text8/base",
    data: "datasets/text8/tasks/dictionary",
    settings: ["features.pooling=pooler", "features.normalize=false", "max_length=32", "optimizer.learning_rate=1e-4"],
  },
  image: {
    base: "datasets/mini8/base",
    data: "datasets/mini8/tasks/earth",
    settings: ["head.logit_scale=16", "optimizer.learning_rate=1e-3"],
  },
} as const;
type Kind = keyof typeof PROBLEMS;
const KINDS: readonly Kind[] = ["text", "image"];
const WAYS = { full: [], lora: [`lora.rank=${RANK}`] } as const;
type Way = keyof typeof WAYS;
const WAY_NAMES: readonly Way[] = ["full", "lora"];

interface FinetuneArguments {
  readonly kinds: readonly Kind[];
  readonly ways: readonly Way[];
  readonly batch: number;
  readonly rounds: number;
  readonly steps: number;
  readonly threads: number;
  readonly python: string | undefined;
  readonly json: string | undefined;
}

export const finetuneCommand: CommandModule<object, FinetuneArguments> = {
  command: "finetune",
  describe: "One step of fine-tuning, of all weights and of LoRA, against transformers and peft: time and memory",
  builder: (yargs) =>
    yargs
      .option("kinds", { choices: KINDS, array: true, default: KINDS, describe: "MiniLM on texts, mini8's tower" })
      .option("ways", { choices: WAY_NAMES, array: true, default: WAY_NAMES, describe: "All weights, or LoRA" })
      .option("batch", { type: "number", default: 32, describe: "Examples of a step" })
      .option("rounds", { type: "number", default: 5, describe: "Turns of each peer" })
      .option("steps", { type: "number", default: 10, describe: "Steps in a turn" })
      .option("threads", { type: "number", default: availableParallelism(), describe: "Threads of each" })
      .option("python", { type: "string", describe: `A Python with ${PACKAGES.join(", ")} (default: looked for)` })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (options) => {
    const report = await measure(options);
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
  },
};

async function measure(options: FinetuneArguments): Promise<Record<string, unknown>> {
  const { kinds, ways, batch, rounds, steps, threads } = options;
  const python = torchOf(options.python);
  const loadBefore = round(loadavg()[0] ?? 0);
  const rows: Record<string, unknown>[] = [];
  for (const kind of kinds) for (const way of ways) rows.push(await measureOne(options, python, kind, way));
  return {
    command: "npm run bench -- finetune --python PYTHON",
    what: "one step of fine-tuning: forward, cross-entropy, backward, gradients clipped, AdamW",
    machine: {
      cpu: cpus()[0]?.model,
      cores: availableParallelism(),
      node: process.version,
      commit: commitOf(import.meta.dirname),
      // Above the number of cores: others computed too, and only ratios mean something.
      load: [loadBefore, round(loadavg()[0] ?? 0)],
    },
    options: { batch, rounds, steps_per_round: steps, threads, lora_rank: RANK },
    torch: python === undefined ? "not measured: no Python with it" : torchVersions(python, PACKAGES),
    rows,
  };
}

/** The Python to compare with; without one ours is measured alone, and stderr says what is missing. */
function torchOf(asked: string | undefined): string | undefined {
  try {
    return findTorch(asked, { what: "finetune", beside: [...PACKAGES.slice(1), "safetensors"] });
  } catch (error) {
    if (asked !== undefined) throw error;
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\nMeasuring ours alone.\n`);
    return undefined;
  }
}

async function measureOne(
  { batch, rounds, steps, threads }: FinetuneArguments,
  python: string | undefined,
  kind: Kind,
  way: Way,
): Promise<Record<string, unknown>> {
  const folder = await mkdtemp(join(tmpdir(), "adamerge-bench-finetune-"));
  const { base, data, settings } = PROBLEMS[kind];
  const [baseDir, file] = [join(ROOT, base), join(folder, "examples.safetensors")];
  const all = [
    ...[...settings, ...WAYS[way], "head.start=normal", "optimizer.schedule=constant", "optimizer.warmup=0"],
    ...[`batch_size=${batch}`, `threads=${threads}`, "device=cpu"],
  ];
  const ours = startPeer("our finetune", process.execPath, [
    ...["--import", "tsx", join(import.meta.dirname, "our-finetune.ts")],
    ...[baseDir, join(ROOT, data), JSON.stringify(all), join(folder, "cache"), file],
  ]);
  const peers: Peer[] = [ours];
  try {
    // The file is written by then, and a peer that waits does not take the other's cores.
    const opened = await ours.ask({ kind: "open" });
    const torch = python === undefined ? undefined : startTorch(python, { file, base: baseDir, threads });
    if (torch !== undefined) peers.push(torch);
    const openedTorch = await torch?.ask({ kind: "open" });
    const times = await takeTurns(ours, torch, rounds, steps);
    return {
      ...{ kind, way, model: base, data },
      trained_parameters: { ours: opened.trained, torch: openedTorch?.trained },
      first_loss: { ours: opened.loss, torch: openedTorch?.loss },
      step_ms: { ours: round(median(times.ours)), torch: torch && round(median(times.torch)) },
      ratio_vs_torch: torch && round(median(times.torch) / median(times.ours), 3),
      ratio_per_round: times.ratios.map((ratio) => round(ratio, 3)),
      peak_anonymous_mib: { ours: mebibytes(ours), torch: torch && mebibytes(torch) },
      seconds_to_first_step: {
        ours: round(Number(opened.secondsToFirstStep), 2),
        torch: openedTorch && round(Number(openedTorch.secondsToFirstStep), 2),
      },
    };
  } finally {
    await Promise.all(peers.map((peer) => peer.close()));
    await rm(folder, { recursive: true, force: true });
  }
}

function startTorch(
  python: string,
  { file, base, threads }: { readonly file: string; readonly base: string; readonly threads: number },
): Peer {
  const script = join(import.meta.dirname, "..", "compare", "finetune-torch.py");
  return startPeer("PyTorch", python, [script, "--file", file, "--base", base, "--threads", String(threads)]);
}

function mebibytes(peer: Peer): number {
  return Math.round(peer.peakAnonymousBytes() / 2 ** 20);
}
