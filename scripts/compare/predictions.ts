/**
 * `compare predictions`: labels and probabilities by `adamerge predict` and by transformers (and sentence-transformers)
 * from the same saved folder, whose heads a plain reader of safetensors reads (`predictions.py`). The model is a
 * suite's, merged with 0.3 of every task; its test examples are labelled by all heads.
 */
import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import type { CommandModule } from "yargs";
import { openSuite } from "../../dist/index.js";
import { engineBesidePython } from "./engine-beside-python.js";
import { finish } from "./finish.js";
import { differences, ourRows, theirSchema } from "./prediction-differences.js";

const ROOT = join(import.meta.dirname, "..", "..");
const MAIN = join(ROOT, "dist", "cli", "main.js");
const SCRIPT = join(import.meta.dirname, "predictions.py");
/** Of this project's own comparisons. */
const RESULTS = join(import.meta.dirname, "results");
const COEFFICIENT = 0.3;
/** Of probabilities: float32 in another order, scaled by logit scales of up to 100. */
const MOST_DIFFERENCE = 1e-4;
interface Arguments {
  readonly python: string | undefined;
  readonly suite: string;
  readonly examples: number;
  readonly split: string;
  readonly threads: number;
  readonly json: string | undefined;
  readonly save: boolean;
}

export const predictionsCommand: CommandModule<object, Arguments> = {
  command: "predictions",
  describe: "Labels from a merged model's folder, by transformers and by adamerge predict",
  builder: (yargs) =>
    yargs
      .option("python", {
        type: "string",
        describe: "A Python with transformers, sentence-transformers, pyarrow and pillow (default: python3)",
      })
      .option("suite", { type: "string", default: "datasets/mini8", describe: "A suite with parquet data sets" })
      .option("examples", { type: "number", default: 500, describe: "Examples in all, the same number of each task" })
      .option("split", { type: "string", default: "test", describe: "Their split" })
      .option("threads", { type: "number", default: 2, describe: "Threads of each" })
      .option("json", { type: "string", describe: "Write the figures here" })
      .option("save", {
        type: "boolean",
        default: false,
        describe: "Write them into results/, under the suite's name and the version of transformers",
      }) as never,
  handler: async (options) => {
    const report = await compare(options);
    const { suite, versions } = report;
    const [major] = (versions.transformers ?? "").split(".");
    const saved = join(RESULTS, `predictions-${suite}-transformers-${major}.json`);
    await finish(report, options.save ? saved : options.json);
  },
};

async function compare({ python: asked, suite: given, examples, split, threads }: Arguments) {
  const packages = ["torch", "transformers", "sentence-transformers", "safetensors", "pyarrow", "pillow"];
  const modules = ["torch", "transformers", "sentence_transformers", "safetensors", "pyarrow", "PIL"];
  const suite = await openSuite(resolve(given));
  const tasks = suite.tasks.map(({ name }) => name);
  return engineBesidePython({ asked, modules, packages, target: "predictions", threads }, async (beside) => {
    const { folder, versions, python } = beside;
    const model = join(folder, "merged");
    const adamerge = (...args: readonly string[]): string =>
      execFileSync(process.execPath, [MAIN, ...args], { maxBuffer: 2 ** 28, encoding: "utf8", cwd: folder });
    const config = `extends: presets/quickstart\nsuite: ${JSON.stringify(suite.path)}\ngranularity: task-wise\nthreads: ${threads}\n`;
    await writeFile(join(folder, "config.yaml"), config);
    const values = tasks.map(() => [COEFFICIENT]);
    const coefficients = { granularity: "task-wise", tasks, groups: ["all"], values, groupOf: {} };
    await writeFile(join(folder, "coefficients.json"), JSON.stringify(coefficients));
    adamerge("merge", "config.yaml", "--coefficients", "coefficients.json", "--output", model, "--quiet");
    const request = {
      model,
      of_each: Math.ceil(examples / tasks.length),
      examples: suite.tasks.map(({ dataset }) => join(dataset, "data", `${split}-00000-of-00001.parquet`)),
    };
    await writeFile(join(folder, "request.json"), JSON.stringify(request));
    python([SCRIPT, folder]);
    const theirs = theirSchema.parse(JSON.parse(await readFile(join(folder, "predictions.json"), "utf8")));
    const place = join(folder, "examples");
    const inPlace = Object.keys(theirs).includes("sentence-transformers") ? join(place, "examples.jsonl") : place;
    const flags = ["--format", "jsonl", "--top", "2", "--threads", String(threads), "--quiet"];
    const ours = ourRows(adamerge("predict", model, inPlace, ...flags));
    const readers = Object.entries(theirs).map(([reader, rows]) => ({ reader, ...differences(ours, rows) }));
    return {
      what: "labels and probabilities of examples by every head of a merged model's folder; those whose label differs, and the largest difference of a probability",
      suite: suite.name,
      command: `npm run compare -- predictions --python PYTHON --suite ${relative(ROOT, suite.path)}`,
      date: new Date().toISOString().slice(0, 10),
      versions,
      heads: tasks.length,
      readers,
      as_asked: readers.every(
        ({ compared, differing, largest_difference }) =>
          compared >= examples && differing === 0 && largest_difference <= MOST_DIFFERENCE,
      ),
    };
  });
}
