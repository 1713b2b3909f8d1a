/**
 * `compare text-suite`: the predictions of a suite's models by `adamerge eval` and by transformers and peft alone (`text-suite.py`), on the files that
 * ship: the base, the experts, weight averaging and, of a run, what it learned. For suites of sentence encoders whose tasks lie in parquet files.
 */
import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import type { CommandModule } from "yargs";
import { z } from "zod";
import { openSuite } from "../../dist/internal.js";
import { readCoefficients } from "../../dist/track/coefficients-file.js";
import { engineBesidePython } from "./engine-beside-python.js";
import { finish } from "./finish.js";

const ROOT = join(import.meta.dirname, "..", "..");
const SCRIPT = join(import.meta.dirname, "text-suite.py");
const METHODS = ["pretrained", "individual", "weight_averaging"];
const modelsSchema = z.record(z.string(), z.record(z.string(), z.array(z.int())));
const ownSchema = z.object({ methods: modelsSchema });

interface Arguments {
  readonly python: string | undefined;
  readonly config: string;
  readonly suite: string;
  readonly run: string | undefined;
  readonly split: string;
  readonly threads: number;
  readonly json: string | undefined;
}

export const textSuiteCommand: CommandModule<object, Arguments> = {
  command: "text-suite",
  describe: "Predictions of a text suite's models, by transformers and peft and by us",
  builder: (yargs) =>
    yargs
      .option("python", { type: "string", describe: "A Python with transformers, peft and pyarrow (default: python3)" })
      .option("config", { type: "string", default: "configs/text8.yaml", describe: "A config of the suite" })
      .option("suite", { type: "string", default: "datasets/text8/suite.yaml", describe: "The suite's file" })
      .option("run", { type: "string", describe: "The folder of a run on it, whose coefficients are judged too" })
      .option("split", { type: "string", default: "test", describe: "The split" })
      .option("threads", { type: "number", default: 2, describe: "Threads of each" })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (options) => finish(await compare(options), options.json),
};

async function compare({ python: asked, config, suite: suitePath, run, split, threads }: Arguments) {
  const packages = ["torch", "transformers", "peft", "pyarrow", "safetensors"];
  const needs = { asked, modules: packages, packages, target: "text-suite", threads };
  const suite = await openSuite(resolve(suitePath));
  const coefficients = run === undefined ? undefined : await readCoefficients(resolve(run, "coefficients.json"));
  const described = {
    base: suite.base,
    logit_scale: suite.logitScale,
    max_length: suite.maxLength,
    coefficients,
    tasks: suite.tasks.map(({ name, expert, head, dataset }) => ({
      name,
      expert,
      head: pathOf(head, `the head of ${name}`),
      examples: join(dataset, "data", `${split}-00000-of-00001.parquet`),
    })),
  };
  return engineBesidePython(needs, async ({ folder, versions, python }) => {
    await writeFile(join(folder, "suite.json"), JSON.stringify(described));
    python([SCRIPT, folder]);
    const theirs = modelsSchema.parse(JSON.parse(await readFile(join(folder, "predictions.json"), "utf8")));
    const models = [];
    for (const model of [...METHODS, ...(run === undefined ? [] : ["coefficients"])]) {
      const file = join(folder, `${model}.json`);
      const how =
        run !== undefined && model === "coefficients" ? ["--coefficients", resolve(run)] : ["--method", model];
      const overrides = [`suite=${resolve(suitePath)}`, `data.eval_split=${split}`, `threads=${threads}`];
      const args = ["eval", resolve(config), ...overrides, ...how, "--predictions", file, "--json", "--quiet"];
      const result = execFileSync(process.execPath, [join(ROOT, "dist", "cli", "main.js"), ...args]);
      const { average } = z.object({ average: z.number() }).parse(JSON.parse(String(result)));
      const ours = ownSchema.parse(JSON.parse(await readFile(file, "utf8"))).methods[model] ?? {};
      models.push({ model, average: Number(average.toFixed(2)), ...differences(ours, theirs[model] ?? {}) });
    }
    return {
      what: "predictions of a suite's models by transformers and peft alone and by us; texts for which they differ",
      command: `npm run compare -- text-suite --python PYTHON --suite ${relative(ROOT, resolve(suitePath))}${run === undefined ? "" : ` --run ${basename(run)}`}`,
      date: new Date().toISOString().slice(0, 10),
      versions,
      split,
      models,
      as_asked: models.every(({ texts, differing }) => texts > 0 && differing === 0),
    };
  });
}

function pathOf(value: unknown, what: string): string {
  if (typeof value === "string") return value;
  throw new Error(`${what}: expected a path in suite.yaml`);
}

function differences(ours: z.infer<typeof modelsSchema>[string], theirs: z.infer<typeof modelsSchema>[string]) {
  let [texts, differing] = [0, 0];
  for (const [task, predictions] of Object.entries(ours)) {
    const other = theirs[task] ?? [];
    if (other.length !== predictions.length)
      throw new Error(`${task}: expected ${predictions.length} predictions of the script, found ${other.length}`);
    texts += predictions.length;
    differing += predictions.filter((prediction, row) => prediction !== other[row]).length;
  }
  return { texts, differing };
}
