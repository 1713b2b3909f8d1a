/**
 * `bench fit`: a fit as a person with a network makes it, at the size of the public suites: base, experts and data sets in the public layout with
 * random values, served by a hub on loopback, downloaded, heads made of prompts, images decoded, steps, evaluation. Seconds of each
 * part, images per second and the most anonymous memory. Accuracies mean nothing here.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import type { CommandModule } from "yargs";
import { startFakeHub } from "../../test/fake-hub/fake-hub.js";
import { writePublicRepositories } from "./public-repositories.js";
import { median, round } from "./statistics.js";
import { timed } from "./timed-command.js";

const ROOT = join(import.meta.dirname, "..", "..");
const MAIN = join(ROOT, "dist", "cli", "main.js");

interface FitArguments {
  readonly suite: string;
  readonly preset: string;
  readonly steps: number;
  readonly images: number;
  readonly batch: number;
  readonly folder: string | undefined;
  readonly json: string | undefined;
}

export const fitCommand: CommandModule<object, FitArguments> = {
  command: "fit",
  describe: "A fit of a public suite at its true size with random values, from download to evaluation",
  builder: (yargs) =>
    yargs
      .option("suite", { type: "string", default: "vit-b32-8", describe: "A file in datasets/clip" })
      .option("preset", { choices: ["paper", "fusionbench"], default: "paper", describe: "Settings of the fit" })
      .option("steps", { type: "number", default: 20, describe: "Optimizer steps" })
      .option("images", { type: "number", default: 64, describe: "Images of each split" })
      .option("batch", { type: "number", default: 16, describe: "Images per batch and task" })
      .option("folder", { type: "string", describe: "Where models and runs go, and are removed again" })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (options) => {
    const report = await measure(options);
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
  },
};

async function measure(options: FitArguments): Promise<Record<string, unknown>> {
  const folder = await mkdtemp(join(options.folder ?? tmpdir(), "adamerge-bench-fit-"));
  const suitePath = join(ROOT, "datasets", "clip", `${options.suite}.yaml`);
  const served = join(folder, "served");
  await writePublicRepositories(suitePath, served, options.images);
  const hub = await startFakeHub(served);
  try {
    const suite = join(folder, "suite.yaml");
    await writeFile(suite, await standInSuite(suitePath));
    const config = join(folder, "run.yaml");
    await writeFile(config, stringify({ extends: `presets/${options.preset}`, suite }));
    const environment = {
      HF_ENDPOINT: hub.url,
      HF_HUB_CACHE: join(folder, "hub"),
      ADAMERGE_CACHE: join(folder, "cache"),
    };
    const adamerge = (...args: string[]) => timed(process.execPath, [MAIN, ...args], environment);
    const pull = await adamerge("pull", suite, "--splits", "test");
    const batch = [`data.batch_size=${options.batch}`, `data.eval_limit=${options.images}`];
    const place = [
      `output=${join(folder, "runs")}`,
      ...batch,
      "data.eval_every=0",
      "save_model=false",
      "save_report=false",
    ];
    // The first makes bundle, heads and pixels; the second finds them.
    const first = await adamerge("fit", config, ...place, "steps=1", "name=first");
    const fit = await adamerge("fit", config, ...place, `steps=${options.steps}`, "name=timed", "--offline");
    const rates = await imagesPerSecond(join(folder, "runs", "run", "timed", "metrics.jsonl"));
    return {
      what: `${options.suite} with the ${options.preset} preset, ${options.steps} steps of batches of ${options.batch}, ${options.images} images per split, random values`,
      machine: { cpu: cpus()[0]?.model, cores: availableParallelism(), node: process.version },
      pull_seconds: round(pull.seconds, 1),
      first_fit_of_one_step_seconds: round(first.seconds, 1),
      fit_seconds: round(fit.seconds, 1),
      images_per_second: round(median(rates), 1),
      peak_anonymous_gb: { first: round(first.peakBytes / 1e9, 2), fit: round(fit.peakBytes / 1e9, 2) },
    };
  } finally {
    await hub.close();
    await rm(folder, { recursive: true });
  }
}

/** The suite with as many images as there are, and definitions where they lie. */
async function standInSuite(path: string): Promise<string> {
  const { tasks, ...suite } = parse(await readFile(path, "utf8"));
  const described = tasks.map(({ definition, ...task }: { definition: string }) => ({
    ...task,
    definition: join(path, "..", definition),
    images: {},
  }));
  return stringify({ ...suite, tasks: described });
}

/** Images of the steps after the first, which compiles nothing but is slow all the same. */
async function imagesPerSecond(metrics: string): Promise<number[]> {
  const lines = (await readFile(metrics, "utf8")).trim().split("\n");
  const rates = lines.flatMap((line): number[] => {
    const rate: unknown = JSON.parse(line)["time/images_per_second"];
    return typeof rate === "number" ? [rate] : [];
  });
  return rates.slice(1);
}
