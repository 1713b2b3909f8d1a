/**
 * `compare saved-models`: models that transformers 4 and 5 saved (`saved-models.py`), merged by us as a suite and by merge files, load in both
 * without missing, unexpected or made-up tensors, and predict the same there, if the models that were merged do.
 */
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CommandModule } from "yargs";
import { z } from "zod";
import { writeSafetensors } from "../../dist/checkpoint/safetensors.js";
import { type FoundPython, findPython } from "./find-python.js";
import { finish } from "./finish.js";

const ROOT = join(import.meta.dirname, "..", "..");
const SCRIPT = join(import.meta.dirname, "saved-models.py");
const MAIN = join(ROOT, "dist", "cli", "main.js");
/** Between two versions on the same weights, of values of about 1: float32 in another order. */
const MOST_DIFFERENCE = 1e-5;
const KINDS = ["llama", "tied", "bert", "vit", "t5"];
const BASES = ["clip", "vision"];

interface SavedModelsArguments {
  readonly python: string | undefined;
  readonly other: string;
  readonly json: string | undefined;
}

export const savedModelsCommand: CommandModule<object, SavedModelsArguments> = {
  command: "saved-models",
  describe: "Merged models from files of transformers 4 and 5 load in both and predict the same",
  builder: (yargs) =>
    yargs
      .option("python", { type: "string", describe: "A Python with transformers 5 (default: python3)" })
      .option("other", { type: "string", demandOption: true, describe: "A Python with transformers 4" })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async ({ python, other, json }) => finish(await compare(python, other), json),
};

const loadedSchema = z.record(
  z.string(),
  z.object({
    architecture: z.string(),
    dtype: z.string(),
    said: z.array(z.string()),
    values: z.array(z.number()).min(1),
  }),
);

async function compare(asked: string | undefined, other: string) {
  const needs = {
    modules: ["torch", "transformers", "PIL"],
    packages: ["torch", "transformers"],
    target: "saved-models",
  };
  const pythons = [findPython(asked, needs), findPython(other, needs)];
  const folder = await mkdtemp(join(tmpdir(), "adamerge-compare-"));
  const models: Record<string, object> = {};
  try {
    for (const writer of pythons) {
      const place = join(folder, versionOf(writer));
      await mkdir(place);
      runPython(writer, ["make", place]);
      await mergeAll(place);
      const loaded = await Promise.all(pythons.map((reader) => load(reader, place)));
      const [first = {}, second = {}] = loaded;
      const differenceOf = (name: string): number =>
        Math.max(
          ...(first[name]?.values ?? [Number.NaN]).map((value, i) =>
            Math.abs(value - (second[name]?.values[i] ?? Number.NaN)),
          ),
        );
      for (const [name, { architecture, dtype }] of Object.entries(first)) {
        if (!name.startsWith("merged-")) continue;
        const difference = differenceOf(name);
        // What the versions read differently in the model that was merged (rope_parameters, which 4 does not know) is not the merge's.
        const kind = name.replace(/^merged-|-bfloat16$/g, "");
        const of_source = differenceOf(BASES.includes(kind) ? kind : `${kind}-0`);
        const said = loaded.flatMap((one) => one[name]?.said ?? ["not loaded"]);
        const isEqual = difference <= MOST_DIFFERENCE || of_source > MOST_DIFFERENCE;
        const as_asked = said.length === 0 && isEqual && second[name]?.dtype === dtype;
        models[`${versionOf(writer)} ${name}`] = { architecture, dtype, said, difference, of_source, as_asked };
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const as_asked =
    Object.keys(models).length === pythons.length * (2 * KINDS.length + BASES.length) &&
    Object.values(models).every((model) => "as_asked" in model && model.as_asked === true);
  return { versions: pythons.map(({ versions }) => versions), models, as_asked };
}

const versionOf = ({ versions }: FoundPython): string => `transformers-${versions.transformers}`;

function runPython({ command }: FoundPython, args: readonly string[]): void {
  const env = { ...process.env, HF_HUB_OFFLINE: "1" };
  execFileSync(command, [SCRIPT, ...args], { stdio: ["ignore", "ignore", "inherit"], env });
}

async function load(reader: FoundPython, place: string) {
  const out = join(place, `${versionOf(reader)}.json`);
  runPython(reader, ["load", place, out]);
  return loadedSchema.parse(JSON.parse(await readFile(out, "utf8")));
}

/** Merge files in the stored type and in another, and the suite with each base. */
async function mergeAll(place: string): Promise<void> {
  const adamerge = (...args: readonly string[]) =>
    execFileSync(process.execPath, [MAIN, "merge", ...args], { cwd: place, stdio: ["ignore", "ignore", "inherit"] });
  for (const kind of KINDS) {
    for (const dtype of ["", "dtype: bfloat16\n"]) {
      const name = `${kind}${dtype === "" ? "" : "-bfloat16"}`;
      const models = [0, 1].map((seed) => `  - {model: ${kind}-${seed}, parameters: {weight: 1}}\n`).join("");
      await writeFile(join(place, `${name}.yaml`), `models:\n${models}merge_method: linear\n${dtype}`);
      adamerge(`${name}.yaml`, "--output", `merged-${name}`);
    }
  }
  await mkdir(join(place, "data"));
  const data = Float32Array.from({ length: 16 }, (_, i) => Math.sin(i));
  await writeSafetensors(join(place, "head.safetensors"), [{ name: "weight", dtype: "F32", shape: [2, 8], data }]);
  const tasks = ["a", "b", "c"];
  const list = tasks.map(
    (task) => `  - {name: ${task}, dataset: data, expert: expert-${task}, head: head.safetensors, classes: [x, y]}\n`,
  );
  const coefficients = { granularity: "task-wise", tasks, groups: ["all"], values: [[0.3], [0.2], [0.4]], groupOf: {} };
  await writeFile(join(place, "coefficients.json"), JSON.stringify(coefficients));
  for (const base of BASES) {
    await mkdir(join(place, `suite-${base}`));
    const suite = `name: set\nbase: ../${base}\nlogit_scale: 10\ntasks:\n${list.join("").replaceAll(/(expert: |dataset: |head: )/g, "$1../")}`;
    await writeFile(join(place, `suite-${base}`, "suite.yaml"), suite);
    await writeFile(
      join(place, `${base}.yaml`),
      `extends: presets/quickstart\nsuite: suite-${base}\ngranularity: task-wise\n`,
    );
    adamerge(`${base}.yaml`, "--coefficients", "coefficients.json", "--output", `merged-${base}`);
  }
}
