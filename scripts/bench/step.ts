/**
 * `bench step`: one layer-wise step over K task vectors, ours against PyTorch, taking turns in one run. What is measured beside
 * the step: the machine's own limit for its matrix products, memory, start-up, evaluation, and where our time goes.
 */
import { writeFile } from "node:fs/promises";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import type { CommandModule } from "yargs";
import { commitOf } from "./commit.js";
import { type Peer, startPeer } from "./peer.js";
import { median, round } from "./statistics.js";
import { makeProblem, type Problem } from "./synthetic-problem.js";
import { findTorch } from "./torch-environment.js";
import { TOWER_NAMES, type TowerName, towerOf } from "./towers.js";
import { msOf, takeTurns } from "./turns.js";

interface StepArguments {
  readonly model: TowerName;
  readonly batch: number | undefined;
  readonly folder: string | undefined;
  readonly tasks: number;
  readonly classes: number;
  readonly rounds: number;
  readonly steps: number | undefined;
  readonly style: "fused" | "per-task";
  readonly device: string;
  readonly torchDevice: string;
  readonly python: string | undefined;
  readonly torchCompile: boolean;
  readonly detailed: boolean;
  readonly json: string | undefined;
}

interface Product {
  readonly batch: number;
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
}

export const stepCommand: CommandModule<object, StepArguments> = {
  command: "step",
  describe: "One layer-wise step against PyTorch: time, memory, share of the machine's matrix-product limit",
  builder: (yargs) =>
    yargs
      .option("model", { choices: TOWER_NAMES, default: "mini" as TowerName, describe: "The tower" })
      .option("folder", {
        type: "string",
        describe: "A model of these dimensions as the base (default: random weights)",
      })
      .option("batch", { type: "number", describe: "Examples of all tasks together (default: 128 images or 64 texts)" })
      .option("tasks", { type: "number", default: 8, describe: "Task vectors" })
      .option("classes", { type: "number", default: 100, describe: "Classes of each task" })
      .option("rounds", { type: "number", default: 5, describe: "Turns of each peer" })
      .option("steps", { type: "number", describe: "Steps in a turn (default: about two seconds' worth)" })
      .option("style", {
        choices: ["fused", "per-task"] as const,
        default: "fused" as const,
        describe: "PyTorch: one forward for all tasks, or one for each as the official code",
      })
      .option("device", { type: "string", default: "cpu", describe: "Our device: cpu, webgpu, cuda or tensorflow" })
      .option("torch-device", { type: "string", default: "cpu", describe: "PyTorch's device: cpu or cuda" })
      .option("python", {
        type: "string",
        describe: "A Python with torch, numpy and safetensors (default: looked for)",
      })
      .option("torch-compile", {
        type: "boolean",
        default: true,
        describe: "PyTorch: try torch.compile too, for texts, and keep what is faster",
      })
      .option("detailed", { type: "boolean", default: false, describe: "The profile by shapes too" })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (given) => {
    const options = { ...given, batch: given.batch ?? (towerOf(given.model).length === undefined ? 128 : 64) };
    const report = await measure(options);
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
  },
};

type Sized = StepArguments & { readonly batch: number };

async function measure(options: Sized): Promise<Record<string, unknown>> {
  const { model, batch, tasks, classes, folder } = options;
  if (batch % tasks !== 0) throw new Error(`--batch ${batch}: expected a multiple of --tasks ${tasks}`);
  const problem = await makeProblem({ shape: model, tasks, images: batch, classes, folder });
  const ours = startOurs(options, problem);
  const torch = startTorch(options, problem);
  try {
    return await alternate(options, ours, torch);
  } finally {
    await Promise.all([ours.close(), torch.close()]);
  }
}

function startOurs({ model, device }: StepArguments, { bundlePath, inputsPath }: Problem): Peer {
  const script = join(import.meta.dirname, "our-step.ts");
  return startPeer("our step", process.execPath, ["--import", "tsx", script, model, bundlePath, inputsPath, device]);
}

function startTorch(options: StepArguments, { bundlePath, inputsPath }: Problem): Peer {
  const script = join(import.meta.dirname, "..", "compare", "step-torch.py");
  return startPeer("PyTorch", findTorch(options.python, { what: "step", beside: ["numpy", "safetensors"] }), [
    script,
    ...["--shape", JSON.stringify(towerOf(options.model).shape), "--bundle", bundlePath, "--inputs", inputsPath],
    ...["--style", options.style, "--device", options.torchDevice, "--threads", String(availableParallelism())],
    ...(options.torchCompile ? ["--compile"] : []),
  ]);
}

async function alternate(options: Sized, ours: Peer, torch: Peer): Promise<Record<string, unknown>> {
  // One after another: a peer that waits must not take the other's cores.
  const openedOurs = await ours.ask({ kind: "open" });
  const openedTorch = await torch.ask({ kind: "open" });
  const products = openedOurs.products as Product[];
  const trial = await msOf(ours, { kind: "step", count: 1 });
  const count = options.steps ?? Math.max(1, Math.round(2000 / median(trial)));
  const times = await takeTurns(ours, torch, options.rounds, count);
  const stepPeaks = { ours: ours.peakAnonymousBytes(), torch: torch.peakAnonymousBytes() };
  const evaluation = { ours: [] as number[], torch: [] as number[] };
  for (let round = 0; round < options.rounds; round++) {
    evaluation.ours.push(...(await msOf(ours, { kind: "evaluate", count: count + 1 })).slice(1));
    evaluation.torch.push(...(await msOf(torch, { kind: "evaluate", count: count + 1 })).slice(1));
  }
  const limit = await gemmLimit(products, ours, torch);
  const profile = (await ours.ask({ kind: "profile", detailed: options.detailed })).msByOperator as Record<
    string,
    number
  >;
  const flops = products.reduce((sum, product) => sum + flopsOf(product), 0);
  const gflops = flops / 1e6 / median(times.ours);
  return {
    command: `npm run bench -- step --model ${options.model}${options.folder === undefined ? "" : " --folder MODEL"} --python PYTHON`,
    what: "one layer-wise AdaMerging step: merge, forward, entropy, gradient of lambda, Adam",
    machine: {
      cpu: cpus()[0]?.model,
      cores: availableParallelism(),
      node: process.version,
      commit: commitOf(import.meta.dirname),
    },
    options: { ...shownOptions(options), steps_per_round: count },
    torch: {
      version: openedTorch.torch,
      threads: openedTorch.threads,
      compiled: openedTorch.compiled,
      tried_ms: openedTorch.triedMs,
    },
    loss: { ours: openedOurs.loss, torch: openedTorch.loss },
    step_ms: { ours: round(median(times.ours)), torch: round(median(times.torch)) },
    ratio_vs_torch: round(median(times.ratios), 3),
    ratio_per_round: times.ratios.map((ratio) => round(ratio, 3)),
    gflop_per_step: round(flops / 1e9, 2),
    gflops: { ours: round(gflops), limit: round(limit.best), by_shape: limit.byShape },
    fraction_of_gemm_limit: round(gflops / limit.best, 3),
    peak_anonymous_mib: { ours: mebibytes(stepPeaks.ours), torch: mebibytes(stepPeaks.torch) },
    seconds_to_first_step: {
      ours: round(Number(openedOurs.secondsToFirstStep), 2),
      torch: round(Number(openedTorch.secondsToFirstStep), 2),
    },
    evaluation_examples_per_second: {
      ours: round((1000 * options.batch) / median(evaluation.ours)),
      torch: round((1000 * options.batch) / median(evaluation.torch)),
    },
    profile_ms_by_operator: Object.fromEntries(
      Object.entries(profile)
        .sort(([, a], [, b]) => b - a)
        .map(([name, ms]) => [name, round(ms, 2)]),
    ),
  };
}

/** Without what yargs adds, and without paths of this machine. */
function shownOptions(options: Sized): Record<string, unknown> {
  const { model, folder, batch, tasks, classes, rounds, style, device, torchDevice } = options;
  const weights = folder === undefined ? "random" : "the model's own";
  return { model, weights, tokens: towerOf(model).length, batch, tasks, classes, rounds, style, device, torchDevice };
}

/** The best GFLOP/s that either side's library reaches on the step's own three largest matrix products. */
async function gemmLimit(products: readonly Product[], ours: Peer, torch: Peer) {
  const shapes = new Map<string, Product>();
  for (const product of products)
    if (product.batch === 1) shapes.set(`${product.rows}x${product.inner}x${product.columns}`, product);
  const largest = [...shapes].sort(([, a], [, b]) => flopsOf(b) - flopsOf(a)).slice(0, 3);
  const byShape: Record<string, { ours: number; torch: number }> = {};
  for (const [name, product] of largest) {
    const count = Math.max(5, Math.round(2e11 / flopsOf(product)));
    const speed = async (peer: Peer): Promise<number> =>
      round(flopsOf(product) / 1e6 / Math.min(...(await msOf(peer, { kind: "gemm", ...product, count }))));
    byShape[name] = { ours: await speed(ours), torch: await speed(torch) };
  }
  const best = Math.max(...Object.values(byShape).flatMap((speeds) => Object.values(speeds)));
  return { best, byShape };
}

function flopsOf({ batch, rows, inner, columns }: Product): number {
  return 2 * batch * rows * inner * columns;
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}
