/**
 * `bench memory`: the most anonymous memory that a process takes for steps within a budget: what cannot be shared with others or dropped by the
 * kernel. Task vectors are mapped, so it should not depend on how many there are.
 */
import { stat, writeFile } from "node:fs/promises";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import type { CommandModule } from "yargs";
import { startPeer } from "./peer.js";
import { SHAPE_NAMES, type ShapeName } from "./shapes.js";
import { median, round } from "./statistics.js";
import { makeProblem } from "./synthetic-problem.js";

interface MemoryArguments {
  readonly model: ShapeName;
  readonly batch: number;
  readonly tasks: readonly number[];
  readonly classes: number;
  readonly dtype: "float32" | "float16";
  readonly memoryGb: number;
  readonly steps: number;
  readonly json: string | undefined;
}

export const memoryCommand: CommandModule<object, MemoryArguments> = {
  command: "memory",
  describe: "Anonymous memory of steps within memory_gb, for several numbers of task vectors",
  builder: (yargs) =>
    yargs
      .option("model", { choices: SHAPE_NAMES, default: "vit-b-32" as ShapeName, describe: "The tower" })
      .option("batch", { type: "number", default: 128, describe: "Images of all tasks together" })
      .option("tasks", { type: "number", array: true, default: [8], describe: "Task vectors; several to compare" })
      .option("classes", { type: "number", default: 100, describe: "Classes of each task" })
      .option("dtype", {
        choices: ["float32", "float16"] as const,
        default: "float32" as const,
        describe: "Of the task vectors",
      })
      .option("memory-gb", { type: "number", default: 6, describe: "The budget; 0 for none" })
      .option("steps", { type: "number", default: 2, describe: "Steps after the first" })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (options) => {
    const report = await measure(options);
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
  },
};

async function measure(options: MemoryArguments): Promise<Record<string, unknown>> {
  const rows: Record<string, unknown>[] = [];
  for (const tasks of options.tasks) rows.push(await measureOne(options, tasks));
  const { model, batch, dtype, memoryGb } = options;
  return {
    what: `steps of ${batch} images on ${model} with task vectors in ${dtype} within ${memoryGb} GB`,
    machine: { cpu: cpus()[0]?.model, cores: availableParallelism(), node: process.version },
    rows,
  };
}

async function measureOne(options: MemoryArguments, tasks: number): Promise<Record<string, unknown>> {
  const { model, batch, classes, dtype, memoryGb, steps } = options;
  if (batch % tasks !== 0) throw new Error(`--batch ${batch}: expected a multiple of --tasks ${tasks}`);
  const { bundlePath, inputsPath } = await makeProblem({ shape: model, tasks, images: batch, classes, dtype });
  const script = join(import.meta.dirname, "our-step.ts");
  const peer = startPeer("our step", process.execPath, [
    ...["--import", "tsx", script, model, bundlePath, inputsPath, "cpu", String(memoryGb)],
  ]);
  try {
    const opened = await peer.ask({ kind: "open" });
    const { ms } = await peer.ask({ kind: "step", count: steps });
    return {
      tasks,
      passes: opened.passes,
      bundle_gb: round((await stat(bundlePath)).size / 1e9, 2),
      peak_anonymous_gb: round(peer.peakAnonymousBytes() / 1e9, 2),
      seconds_to_first_step: round(Number(opened.secondsToFirstStep), 1),
      seconds_per_step: round(median(ms as number[]) / 1000, 1),
    };
  } finally {
    await peer.close();
  }
}
