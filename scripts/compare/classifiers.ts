/**
 * `compare classifiers`: what `adamerge export --classifier` writes, run by transformers' `pipeline`
 * (`classifiers.py`): labels and probabilities are those that `adamerge predict` has from the merged model with its
 * heads, and from the written folder. Models are merges of an encoder with two that differ from it by noise, with class
 * prototypes as heads: of MiniLM's pooler on text8's texts, and of a vision transformer on mini8's images.
 */
import { execFileSync } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import type { CommandModule } from "yargs";
import { openDataset } from "../../dist/data/dataset.js";
import { openSuite, type SuiteTask } from "../../dist/index.js";
import { engineBesidePython } from "./engine-beside-python.js";
import { finish } from "./finish.js";
import { writeNoisySuite } from "./noisy-suite.js";
import { differences, ourRows, theirSchema } from "./prediction-differences.js";

const ROOT = join(import.meta.dirname, "..", "..");
const MAIN = join(ROOT, "dist", "cli", "main.js");
const SCRIPT = join(import.meta.dirname, "classifiers.py");
const TASKS = 2;
/** Of probabilities: float32 in another order, scaled by logit scales of up to 100. */
const MOST_DIFFERENCE = 1e-4;
/** Torchvision's resizing is not Pillow's: the pipeline as it is may see other pixels than those of training. */
const BOUND_READERS: ReadonlySet<string> = new Set(["pipeline with Pillow", "ours"]);

interface Arguments {
  readonly python: string | undefined;
  readonly base: string | undefined;
  readonly kind: "images" | "texts";
  readonly examples: number;
  readonly threads: number;
  readonly json: string | undefined;
}

export const classifiersCommand: CommandModule<object, Arguments> = {
  command: "classifiers",
  describe: "Labels from exported classifiers, by transformers' pipeline and by adamerge predict",
  builder: (yargs) =>
    yargs
      .option("python", {
        type: "string",
        describe: "A Python with transformers and pillow (default: python3)",
      })
      .option("kind", { choices: ["images", "texts"] as const, default: "texts", describe: "Of the examples" })
      .option("base", {
        type: "string",
        describe: "Folder of a ViT or DINOv2 (default: a ViT of random weights), or of a BERT (default: text8's)",
      })
      .option("examples", { type: "number", default: 500, describe: "Examples, the same number of each task" })
      .option("threads", { type: "number", default: 2, describe: "Threads of each" })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (options) => finish(await compare(options), options.json),
};

async function compare({ python: asked, base: given, kind, examples, threads }: Arguments) {
  const packages = ["torch", "transformers", "pillow"];
  const modules = ["torch", "transformers", "PIL"];
  const suite = await openSuite(join(ROOT, "datasets", kind === "texts" ? "text8" : "mini8"));
  const tasks = suite.tasks.slice(0, TASKS);
  return engineBesidePython({ asked, modules, packages, target: "classifiers", threads }, async (beside) => {
    const { folder, versions, python } = beside;
    const adamerge = (...args: readonly string[]): string =>
      execFileSync(process.execPath, [MAIN, ...args], { maxBuffer: 2 ** 28, encoding: "utf8", cwd: folder });
    if (given === undefined && kind === "images") python([SCRIPT, "make", folder]);
    const base = given === undefined ? (kind === "images" ? join(folder, "vit") : suite.base) : resolve(given);
    const { type, pooling } = await writeNoisySuite(folder, { base, tasks, kind, threads });
    const coefficients = {
      ...{ granularity: "task-wise", tasks: tasks.map(({ name }) => name), groups: ["all"] },
      ...{ values: tasks.map(() => [0.5]), groupOf: {} },
    };
    await writeFile(join(folder, "coefficients.json"), JSON.stringify(coefficients));
    adamerge("merge", "config.yaml", "--coefficients", "coefficients.json", "--output", "merged", "--quiet");
    const classifiers = Object.fromEntries(tasks.map(({ name }) => [name, join(folder, `${name}-classifier`)]));
    for (const [task, place] of Object.entries(classifiers))
      adamerge("export", "merged", "--classifier", "--task", task, "--output", place, "--quiet");
    await writeExamples(join(folder, "examples"), tasks, kind, Math.ceil(examples / tasks.length));
    await writeFile(join(folder, "request.json"), JSON.stringify({ classifiers }));
    python([SCRIPT, "read", folder]);
    const theirs = theirSchema.parse(JSON.parse(await readFile(join(folder, "predictions.json"), "utf8")));
    const place = kind === "texts" ? join(folder, "examples", "examples.jsonl") : join(folder, "examples");
    const flags = ["--format", "jsonl", "--top", "2", "--threads", String(threads), "--quiet"];
    const ours = ourRows(adamerge("predict", "merged", place, ...flags));
    const own = Object.entries(classifiers).map(([task, written]) => {
      const rows = ourRows(adamerge("predict", written, place, ...flags));
      return rows.map(({ predictions }) => [task, predictions[0]?.labels[0]] as const);
    });
    const ofWritten = ours.map((_, row) =>
      Object.fromEntries(own.flatMap((rows) => (rows[row]?.[1] === undefined ? [] : [[rows[row][0], rows[row][1]]]))),
    );
    const readers = Object.entries({ ...theirs, ours: ofWritten }).map(([reader, rows]) => ({
      reader,
      ...differences(ours, rows),
    }));
    return {
      what: "labels and probabilities of a merged model with its heads, and of its heads written as classifiers of transformers",
      command: `npm run compare -- classifiers --python PYTHON --kind ${kind}${given === undefined ? "" : " --base FOLDER"}`,
      date: new Date().toISOString().slice(0, 10),
      versions,
      model: { model_type: type, pooling, suite: relative(ROOT, suite.path) },
      readers,
      as_asked: readers
        .filter(({ reader }) => kind === "texts" || BOUND_READERS.has(reader))
        .every(
          ({ compared, differing, largest_difference }) =>
            compared >= examples && differing === 0 && largest_difference <= MOST_DIFFERENCE,
        ),
    };
  });
}

/** Test examples of each task, as files that both read. */
async function writeExamples(
  place: string,
  tasks: readonly SuiteTask[],
  kind: Arguments["kind"],
  ofEach: number,
): Promise<void> {
  await mkdir(place);
  const lines: string[] = [];
  for (const { name, dataset } of tasks) {
    const one = kind === "texts" ? "text" : "image";
    const opened = await openDataset({ kind: one, path: dataset, split: "test", where: name });
    for (let index = 0; index < Math.min(ofEach, opened.size); index++) {
      const encoded = await opened.encoded(index);
      if (kind === "images") await writeFile(join(place, `${name}-${String(index).padStart(5, "0")}.png`), encoded);
      else lines.push(`${JSON.stringify({ text: Buffer.from(encoded).toString("utf8") })}\n`);
    }
  }
  if (kind === "texts") await writeFile(join(place, "examples.jsonl"), lines.join(""));
}
