/**
 * `compare adapter`: a fine-tuned text encoder of yours written as adapters of its base, truncated to ranks 32 and 16,
 * and read by peft and by us: weights, and features of 100 texts. Also how much of the change each of some ranks
 * misses, and the time of the decompositions.
 */
import { readFile, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import type { CommandModule } from "yargs";
import { z } from "zod";
import { type Checkpoint, openCheckpoint } from "../../dist/checkpoint/checkpoint.js";
import { towerTensors } from "../../dist/checkpoint/layout/tower-names.js";
import type { Engine } from "../../dist/engine/program.js";
import { singularParts } from "../../dist/merge/low-rank-approximation.js";
import { type ChangedModel, saveTruncatedAdapter } from "../../dist/merge/truncated-adapter.js";
import { familyOf } from "../../dist/model/families.js";
import { openBase, openExpert } from "../../dist/model/open-models.js";
import { engineBesidePython } from "./engine-beside-python.js";
import { finish } from "./finish.js";
import { featuresOf, openTextModel } from "./our-text-model.js";
import { relativeError } from "./relative-error.js";

const SCRIPT = join(import.meta.dirname, "adapter.py");
const RANKS = [32, 16];
const LARGEST_RANK = Math.max(...RANKS);
/** Of which only the error is asked. */
const OTHER_RANKS = [8, 16, 32, 64];
const TEXTS = 100;
/** Weights are rounded sums of the same numbers, features float32 in another order. */
const MOST_WEIGHTS = 1e-6;
const MOST_FEATURES = 1e-5;
const tokensSchema = z.array(z.array(z.int()));

interface Arguments {
  readonly python: string | undefined;
  readonly base: string;
  readonly model: string;
  readonly dtype: "F16" | "F32";
  readonly only: string;
  readonly json: string | undefined;
}

export const adapterCommand: CommandModule<object, Arguments> = {
  command: "adapter",
  describe: "A fine-tuned text encoder as truncated adapters of its base: weights and features by peft and us",
  builder: (yargs) =>
    yargs
      .option("python", { type: "string", describe: "A Python with peft (default: python3)" })
      .option("base", { type: "string", demandOption: true, describe: "The folder of a BERT, RoBERTa or DistilBERT" })
      .option("model", { type: "string", demandOption: true, describe: "The folder of one fine-tuned from it" })
      .option("dtype", { choices: ["F16", "F32"], default: "F16", describe: "Of the factors" })
      .option("only", { type: "string", default: "", describe: "Take what the base's names begin with, as encoder." })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (options) => finish(await compare(options), options.json),
};

async function compare({ python: asked, base: basePath, model: modelPath, dtype, only }: Arguments) {
  const packages = ["torch", "transformers", "peft", "safetensors"];
  const needs = { asked, modules: packages, packages, target: "adapter", threads: 1 };
  const [base, expert] = [
    await openBase(resolve(basePath)),
    await openExpert(resolve(modelPath), await openBase(resolve(basePath))),
  ];
  const model = inBaseNames(base, expert, only);
  return engineBesidePython(needs, async ({ engine, folder, versions, python }) => {
    const written = [];
    for (const rank of RANKS) {
      const began = performance.now();
      const adapter = join(folder, `rank-${rank}`);
      const options = { base, model, rank, dtype, baseName: basePath, taskType: "FEATURE_EXTRACTION" } as const;
      const { truncated, whole, error } = await saveTruncatedAdapter(adapter, options);
      const seconds = (performance.now() - began) / 1000;
      written.push({ rank, adapter, seconds, error, matrices: truncated.length, in_full: whole.length });
    }
    await writeFile(join(folder, "texts.json"), JSON.stringify(await madeTexts(resolve(basePath))));
    python([SCRIPT, folder, resolve(basePath), resolve(modelPath), ...written.map(({ adapter }) => adapter)]);
    const texts = tokensSchema.parse(JSON.parse(await readFile(join(folder, "tokens.json"), "utf8")));
    const adapters = [];
    for (const [number, { adapter, ...figures }] of written.entries()) {
      const read = await openExpert(adapter, base);
      const peft = await openCheckpoint(join(folder, `${number}.safetensors`));
      const weights = await comparedWeights(base, read, peft);
      const ours = await ourFeatures(engine, basePath, base, read, texts);
      const of = (name: string): Promise<Float32Array> => peft.readFloat32(name);
      const features = {
        ours_to_merged_by_peft: relativeError(ours, await of("merged")),
        ours_to_adapted_by_peft: relativeError(ours, await of("adapted")),
        truncated_to_whole: relativeError(await of("merged"), await of("whole")),
      };
      const as_asked =
        weights.worst_tensor < MOST_WEIGHTS && features.ours_to_merged_by_peft < MOST_FEATURES && weights.tensors > 0;
      adapters.push({
        ...figures,
        bytes: (await readFile(join(adapter, "adapter_model.safetensors"))).length,
        weights,
        features,
        as_asked,
      });
    }
    return {
      what: "a fine-tuned text encoder as truncated adapters of its base, read by peft and by us; errors relative to norms",
      command: `npm run compare -- adapter --python PYTHON --base ${basename(basePath)} --model ${basename(modelPath)} --dtype ${dtype}${only === "" ? "" : ` --only ${only}`}`,
      date: new Date().toISOString().slice(0, 10),
      versions,
      texts: texts.length,
      // Without the rounding to the stored type.
      matrices: await truncationErrors(base, model),
      adapters,
      asked_at_most: { weights: MOST_WEIGHTS, features: MOST_FEATURES },
      as_asked: adapters.every(({ as_asked }) => as_asked),
    };
  });
}

/** The expert's tensors that the base has and that begin so, by the names of the base's files. */
function inBaseNames(base: Checkpoint, expert: Checkpoint, only: string): ChangedModel {
  const { layout } = familyOf(base.config, base.path);
  const own = towerTensors(layout, expert.tensors.keys(), expert.path).names;
  const names = new Map<string, string>();
  for (const [canonical, name] of towerTensors(layout, base.tensors.keys(), base.path).names) {
    const stored = own.get(canonical);
    if (stored !== undefined && name.startsWith(only)) names.set(name, stored);
  }
  return {
    path: expert.path,
    tensors: new Map(
      [...names].flatMap(([name, stored]) => {
        const tensor = expert.tensors.get(stored);
        return tensor === undefined ? [] : [[name, tensor] as const];
      }),
    ),
    readFloat32: (name) => expert.readFloat32(names.get(name) ?? name),
  };
}

/**
 * Of all matrices together: what each rank misses, and the time of their decompositions without reading and writing.
 */
async function truncationErrors(base: Checkpoint, model: ChangedModel) {
  const missed = new Map(OTHER_RANKS.map((rank) => [rank, 0]));
  let [all, count, seconds] = [0, 0, 0];
  for (const [name, { shape }] of model.tensors) {
    const [rows = 0, columns = 0] = shape;
    if (shape.length !== 2 || name.includes("embedding")) continue;
    const before = await base.readFloat32(name);
    const change = (await model.readFloat32(name)).map((value, index) => value - (before[index] ?? 0));
    const squares = change.reduce((sum, value) => sum + value * value, 0);
    if (squares === 0) continue;
    const began = performance.now();
    const parts = singularParts(change, columns);
    parts.factors(Math.min(LARGEST_RANK, rows, columns));
    seconds += (performance.now() - began) / 1000;
    count += 1;
    all += squares;
    for (const rank of OTHER_RANKS)
      missed.set(rank, (missed.get(rank) ?? 0) + squares * parts.truncationError(Math.min(rank, rows, columns)) ** 2);
  }
  const errors = Object.fromEntries([...missed].map(([rank, sum]) => [rank, Math.sqrt(sum / all)]));
  return { count, seconds_of_decompositions: seconds, truncation_error_by_rank: errors };
}

/** The adapter's tensors, and that peft changed no others. */
async function comparedWeights(base: Checkpoint, read: Checkpoint, peft: Checkpoint) {
  const { layout } = familyOf(base.config, base.path);
  const names = towerTensors(layout, base.tensors.keys(), base.path).names;
  let [worst, change, tensors] = [0, 0, 0];
  for (const [canonical, name] of names) {
    if (!peft.tensors.has(`weight.${name}`)) continue;
    const before = await base.readFloat32(name);
    const ours = read.tensors.has(canonical) ? await read.readFloat32(canonical) : before;
    const theirs = await peft.readFloat32(`weight.${name}`);
    // A tensor of zeros has no norm to be relative to.
    const error = ours.every((value, index) => value === theirs[index]) ? 0 : relativeError(ours, theirs);
    worst = Math.max(worst, error);
    tensors += 1;
    if (read.tensors.has(canonical)) {
      const difference = (values: Float32Array) => values.map((value, index) => value - (before[index] ?? 0));
      change = Math.max(change, relativeError(difference(ours), difference(theirs)));
    }
  }
  return { tensors, worst_tensor: worst, worst_change_of_a_tensor: change };
}

async function ourFeatures(
  engine: Engine,
  basePath: string,
  base: Checkpoint,
  read: Checkpoint,
  texts: readonly (readonly number[])[],
): Promise<Float32Array> {
  const opened = await openTextModel(resolve(basePath), { pooling: "mean", normalized: true });
  return featuresOf(engine, { ...opened, checkpoint: read, base }, texts);
}

/** Of words of the base's vocabulary, one to some forty. */
async function madeTexts(folder: string): Promise<readonly string[]> {
  const words = (await readFile(join(folder, "vocab.txt"), "utf8"))
    .split("\n")
    .filter((word) => /^[a-z]{3,}$/.test(word));
  let state = 1;
  const next = (): string => {
    state = (state * 48271) % 2147483647;
    return words[state % words.length] ?? "";
  };
  return Array.from({ length: TEXTS }, (_, text) => Array.from({ length: 1 + (text % 40) }, next).join(" "));
}
