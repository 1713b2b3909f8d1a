/**
 * `compare cards`: the lines of Python and of TypeScript in model cards, run as they stand in the models' folders, say
 * what `adamerge predict` says of the same input; and the cards' heads are what huggingface_hub reads (`cards.py`).
 * Models are fits of one step on two tasks: of mini8, of text8 by sentence-transformers, and of text8's encoder and a
 * vision transformer with the features of transformers' classifiers.
 */
import { execFileSync } from "node:child_process";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CommandModule } from "yargs";
import { z } from "zod";
import { openDataset } from "../../dist/data/dataset.js";
import { openSuite } from "../../dist/index.js";
import { engineBesidePython } from "./engine-beside-python.js";
import { finish } from "./finish.js";
import { writeNoisySuite } from "./noisy-suite.js";
import { ourRows } from "./prediction-differences.js";

const ROOT = join(import.meta.dirname, "..", "..");
const MAIN = join(ROOT, "dist", "cli", "main.js");
const SCRIPT = join(import.meta.dirname, "cards.py");
/** It makes the images' model, of random weights. */
const MAKER = join(import.meta.dirname, "classifiers.py");
/** Of probabilities. */
const MOST_DIFFERENCE = 1e-4;
const TASKS = 2;

interface Arguments {
  readonly python: string | undefined;
  readonly threads: number;
  readonly json: string | undefined;
}

export const cardsCommand: CommandModule<object, Arguments> = {
  command: "cards",
  describe: "The lines of Python and TypeScript in model cards, beside adamerge predict",
  builder: (yargs) =>
    yargs
      .option("python", {
        type: "string",
        describe: "A Python with transformers, sentence-transformers, huggingface_hub and pillow (default: python3)",
      })
      .option("threads", { type: "number", default: 2, describe: "Threads of each" })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (options) => finish(await compare(options), options.json),
};

const saidSchema = z.record(
  z.string(),
  z.object({
    printed: z.array(z.string()),
    lines: z.int(),
    library: z.string(),
    pipeline: z.string(),
    results: z.array(z.string()),
  }),
);

async function compare({ python: asked, threads }: Arguments) {
  const packages = ["torch", "transformers", "sentence-transformers", "safetensors", "huggingface_hub", "pillow"];
  const modules = ["torch", "transformers", "sentence_transformers", "safetensors", "huggingface_hub", "PIL"];
  return engineBesidePython({ asked, modules, packages, target: "cards", threads }, async (beside) => {
    const { folder, versions, python } = beside;
    const adamerge = (...args: readonly string[]): string =>
      execFileSync(process.execPath, [MAIN, ...args], { maxBuffer: 2 ** 28, encoding: "utf8", cwd: folder });
    const suites = {
      images: await openSuite(join(ROOT, "datasets/mini8")),
      texts: await openSuite(join(ROOT, "datasets/text8")),
    };
    python([MAKER, "make", folder]);
    const firstOf = { images: suites.images.tasks.slice(0, TASKS), texts: suites.texts.tasks.slice(0, TASKS) };
    for (const [kind, base] of [
      ["images", join(folder, "vit")],
      ["texts", suites.texts.base],
    ] as const) {
      await mkdir(join(folder, `noisy-${kind}`));
      await writeNoisySuite(join(folder, `noisy-${kind}`), { base, tasks: firstOf[kind], kind, threads });
    }
    const fits = [
      { name: "mini8", config: "mini8", kind: "images" },
      { name: "text8", config: "text8", kind: "texts" },
      { name: "classifier-images", config: "noisy-images/config.yaml", kind: "images" },
      { name: "classifier-texts", config: "noisy-texts/config.yaml", kind: "texts" },
    ] as const;
    const models = new Map<string, { readonly place: string; readonly task: string }>();
    const image = await openDataset({
      kind: "image",
      path: firstOf.images[0]?.dataset ?? "",
      split: "test",
      where: "mini8",
    });
    await mkdir(join(folder, "program", "node_modules"), { recursive: true });
    await symlink(ROOT, join(folder, "program", "node_modules", "adamerge"), "dir");
    const found: Record<string, { readonly typescript: string; readonly predict: readonly string[] }> = {};
    for (const { name, config, kind } of fits) {
      if (name === "text8")
        await writeFile(
          join(folder, "text8.yaml"),
          `extends: presets/quickstart\nsuite: ${JSON.stringify(suites.texts.path)}\n`,
        );
      const tasks = firstOf[kind];
      const names = tasks.map((task) => task.name);
      const settings = [
        `tasks=[${names.join(",")}]`,
        "steps=1",
        "save_report=false",
        "data.eval_limit=50",
        `threads=${threads}`,
        "experiment=cards",
        `name=${name}`,
      ];
      adamerge("fit", name === "text8" ? "text8.yaml" : config, ...settings, "output=runs", "--quiet");
      const place = join(folder, "runs", "cards", name, "model");
      await writeFile(join(place, "photo.jpg"), await image.encoded(0));
      const card = await readFile(join(place, "README.md"), "utf8");
      const [, lines = ""] = /```ts\n([\s\S]*?)\n```/.exec(card) ?? [];
      const [, task = ""] = /tasks: \["(.*?)"\]/.exec(lines) ?? [];
      models.set(name, { place, task });
      await writeFile(join(folder, "program", `${name}.mjs`), lines);
      const typescript = execFileSync(process.execPath, [join(folder, "program", `${name}.mjs`)], {
        cwd: place,
        encoding: "utf8",
      });
      const [, text = ""] = /texts: \["(.*?)"\]/.exec(lines) ?? [];
      const given = kind === "texts" ? ["--text", text] : [join(place, "photo.jpg")];
      const flags = ["--task", task, "--format", "jsonl", "--top", "2", "--quiet"];
      const rows = ourRows(adamerge("predict", place, ...given, ...flags));
      const labels = rows.map(({ predictions }) => predictions[0]?.labels[0]);
      found[name] = { typescript, predict: labels.map((one) => `${one?.label} ${one?.probability}`) };
    }
    const request = Object.fromEntries([...models].map(([name, { place }]) => [name, place]));
    await writeFile(join(folder, "request.json"), JSON.stringify(request));
    python([SCRIPT, folder]);
    const said = saidSchema.parse(JSON.parse(await readFile(join(folder, "said.json"), "utf8")));
    const cards = [...models.keys()].map((name) => {
      const [theirs, ours] = [said[name], found[name]];
      const [predicted = ""] = ours?.predict ?? [];
      const texts = [theirs?.printed[0] ?? "", ours?.typescript.trimEnd() ?? ""];
      const results = theirs?.results ?? [];
      return {
        ...{ model: name, library: theirs?.library, pipeline: theirs?.pipeline, lines: theirs?.lines, results },
        ...{ predict: predicted, python: texts[0], typescript: texts[1] },
        as_asked:
          texts.every((text) => isSame(text, predicted)) && theirs?.printed.length === 1 && results.length === TASKS,
      };
    });
    return {
      what: "what the lines in model cards print, as they stand, beside adamerge predict; the cards' heads by huggingface_hub",
      command: "npm run compare -- cards --python PYTHON",
      date: new Date().toISOString().slice(0, 10),
      versions,
      cards,
      as_asked: cards.every((card) => card.as_asked),
    };
  });
}

/** The same label, and the same probability up to rounding. */
function isSame(a: string, b: string): boolean {
  const parts = (text: string) => /^(.*) (\S+)$/.exec(text) ?? [];
  const [[, label, p], [, other, q]] = [parts(a), parts(b)];
  return label !== undefined && label === other && Math.abs(Number(p) - Number(q)) <= MOST_DIFFERENCE;
}
