/**
 * `bench builds`: our step in this checkout and in another one of this project, by turns in one run, so that a change that is to cost nothing
 * can be shown to. Both read the same files; the other checkout has its own node_modules and build.
 */
import { writeFile } from "node:fs/promises";
import { availableParallelism, cpus } from "node:os";
import { join, resolve } from "node:path";
import type { CommandModule } from "yargs";
import { commitOf } from "./commit.js";
import { type Peer, startPeer } from "./peer.js";
import { median, round } from "./statistics.js";
import { makeProblem, type Problem } from "./synthetic-problem.js";
import { TOWER_NAMES, type TowerName } from "./towers.js";

interface BuildsArguments {
  readonly other: string;
  readonly model: TowerName;
  readonly batch: number;
  readonly tasks: number;
  readonly classes: number;
  readonly rounds: number;
  readonly steps: number;
  readonly json: string | undefined;
}

const HERE = join(import.meta.dirname, "..", "..");

export const buildsCommand: CommandModule<object, BuildsArguments> = {
  command: "builds",
  describe: "Our step in this checkout against that in another one, by turns",
  builder: (yargs) =>
    yargs
      .option("other", { type: "string", demandOption: true, describe: "The other checkout, installed and built" })
      .option("model", { choices: TOWER_NAMES, default: "mini" as TowerName, describe: "The tower" })
      .option("batch", { type: "number", default: 128, describe: "Examples of all tasks together" })
      .option("tasks", { type: "number", default: 8, describe: "Task vectors" })
      .option("classes", { type: "number", default: 100, describe: "Classes of each task" })
      .option("rounds", { type: "number", default: 15, describe: "Turns of each build" })
      .option("steps", { type: "number", default: 10, describe: "Steps in a turn" })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (options) => {
    const report = await measure(options);
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
  },
};

async function measure(options: BuildsArguments): Promise<Record<string, unknown>> {
  const { model, batch, tasks, classes, rounds, steps } = options;
  const other = resolve(options.other);
  const problem = await makeProblem({ shape: model, tasks, images: batch, classes });
  const peers = [start("this build", HERE, options, problem), start("the other build", other, options, problem)];
  const [ours, theirs] = peers;
  if (ours === undefined || theirs === undefined) throw new Error("two peers");
  try {
    // One after another: a peer that opens must not take the other's cores.
    const losses = [(await ours.ask({ kind: "open" })).loss, (await theirs.ask({ kind: "open" })).loss];
    for (const peer of peers) await msOf(peer, steps);
    const times = { ours: [] as number[], theirs: [] as number[], ratios: [] as number[] };
    for (let turn = 0; turn < rounds; turn++) {
      // Who goes first changes, so that what a machine does over time favours nobody.
      const order = turn % 2 === 0 ? [ours, theirs] : [theirs, ours];
      const inOrder = [];
      for (const peer of order) inOrder.push(await msOf(peer, steps));
      const [our = [], their = []] = turn % 2 === 0 ? inOrder : inOrder.reverse();
      times.ours.push(...our);
      times.theirs.push(...their);
      times.ratios.push(median(our) / median(their));
    }
    return {
      command: `npm run bench -- builds --model ${model} --other CHECKOUT`,
      machine: { cpu: cpus()[0]?.model, cores: availableParallelism(), node: process.version },
      commits: { ours: commitOf(HERE), theirs: commitOf(other) },
      options: { model, batch, tasks, classes, rounds, steps },
      loss: { ours: losses[0], theirs: losses[1] },
      step_ms: { ours: round(median(times.ours)), theirs: round(median(times.theirs)) },
      ratio: round(median(times.ratios), 3),
      ratio_per_round: times.ratios.map((ratio) => round(ratio, 3)),
    };
  } finally {
    for (const peer of peers) await peer.close();
  }
}

function start(name: string, checkout: string, { model }: BuildsArguments, problem: Problem): Peer {
  const script = join(checkout, "scripts", "bench", "our-step.ts");
  const args = ["--import", "tsx", script, model, problem.bundlePath, problem.inputsPath, "cpu"];
  return startPeer(name, process.execPath, args);
}

async function msOf(peer: Peer, count: number): Promise<number[]> {
  return (await peer.ask({ kind: "step", count })).ms as number[];
}
