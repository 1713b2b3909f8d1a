/**
 * `compare onnx`: exported files in ONNX Runtime under Python (`onnx-export.py`) beside our engine and transformers, for
 * a CLIP tower, a ViT and a BERT of 12 layers with random weights, and for model folders of yours: batches of 1, 3 and
 * 17, texts of 5, 24 and 32 tokens with padding. N examples, L tokens, E features, C classes.
 */
import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import type { CommandModule } from "yargs";
import { openCheckpoint } from "../../dist/checkpoint/checkpoint.js";
import { decodeFloat16, encodeFloat16 } from "../../dist/checkpoint/float16.js";
import { writeSafetensors } from "../../dist/checkpoint/safetensors.js";
import { lookup } from "../../dist/engine/lookup.js";
import type { Engine, TensorSource, TensorSpec, TensorValues } from "../../dist/engine/program.js";
import { exportOnnx } from "../../dist/index.js";
import { writeHeadFile } from "../../dist/model/head-file.js";
import { applyHead, headSources, headSpecs } from "../../dist/model/head-program.js";
import type { Head } from "../../dist/model/heads.js";
import { givenWeights, weightSources, weightSpecs } from "../../dist/optimize/step-program.js";
import { openSavedClassifier } from "../../dist/run/predict/saved-classifier.js";
import { openSavedEncoder, type SavedEncoder } from "../../dist/run/predict/saved-encoder.js";
import { createRng, type Rng } from "../../dist/runtime/rng.js";
import { engineBesidePython } from "./engine-beside-python.js";
import { finish } from "./finish.js";

const SCRIPT = join(import.meta.dirname, "onnx-export.py");
const MADE = ["clip", "vit", "bert"];
/** The largest difference by the largest value, of features and of logits. */
const MOST = 1e-5;
const BATCHES = [1, 3, 17];
const LENGTHS = [5, 24, 32];
const CLASSES = 7;

interface Arguments {
  readonly python: string | undefined;
  readonly runtime: string | undefined;
  readonly model: readonly string[];
  readonly json: string | undefined;
}

export const onnxCommand: CommandModule<object, Arguments> = {
  command: "onnx",
  describe: "Exported models in ONNX Runtime under Python, beside our engine and transformers",
  builder: (yargs) =>
    yargs
      .option("python", {
        type: "string",
        describe: "A Python with transformers, onnx and onnxruntime (default: python3)",
      })
      .option("runtime", {
        type: "string",
        describe: "Another Python with onnxruntime and safetensors, which runs the files",
      })
      .option("model", { type: "string", array: true, default: [], describe: "Further folders of models" })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (options) => finish(await compare(options), options.json),
};

async function compare({ python: asked, runtime, model: given }: Arguments) {
  const packages = ["torch", "transformers", "onnx", "onnxruntime", "safetensors"];
  return engineBesidePython({ asked, modules: packages, packages, target: "onnx", threads: 1 }, async (beside) => {
    const { engine, folder, versions, python } = beside;
    python([SCRIPT, "make", folder]);
    const run = runtime === undefined ? python : otherPython(runtime);
    const models: Record<string, Awaited<ReturnType<typeof compareModel>>> = {};
    for (const place of [...MADE.map((name) => join(folder, name)), ...given.map((path) => resolve(path))])
      models[MADE.includes(basename(place)) ? basename(place) : place.split("/").slice(-2).join("/")] =
        await compareModel({
          ...{ engine, folder, python, run, place },
          isMade: place.startsWith(folder),
        });
    return {
      what: "exported models in ONNX Runtime beside the engine and transformers; the largest difference by the largest value, over all batches and lengths",
      command: "npm run compare -- onnx --python PYTHON [--runtime PYTHON] --model FOLDER",
      date: new Date().toISOString().slice(0, 10),
      versions,
      batches: BATCHES,
      tokens: LENGTHS,
      models,
      asked_at_most: MOST,
      as_asked: Object.values(models).every(({ differences }) =>
        Object.values(differences).every((one) => one <= MOST),
      ),
    };
  });
}

const otherPython =
  (command: string) =>
  (args: readonly string[]): void => {
    const { status } = spawnSync(command, [...args], { stdio: ["ignore", "inherit", "inherit"] });
    if (status !== 0) throw new Error(`${command} failed with ${status}`);
  };

interface Comparing {
  readonly engine: Engine;
  readonly folder: string;
  readonly place: string;
  readonly isMade: boolean;
  readonly python: (args: readonly string[]) => void;
  readonly run: (args: readonly string[]) => void;
}

async function compareModel({ engine, folder, place, isMade, python, run }: Comparing) {
  const rng = createRng(11);
  if (isMade) await writeHead(await openSavedEncoder(place), rng);
  const saved = await openSavedEncoder(place);
  const [task] = saved.headFiles.keys();
  const heads = task === undefined ? [] : (await openSavedClassifier(place, { tasks: [task], notice: () => {} })).heads;
  const at = (name: string): string => join(folder, name);
  const cases = casesOf(saved, rng);
  await writeCases(at("cases.safetensors"), saved, cases);
  const files: Record<string, number> = {};
  for (const dtype of ["float32", "float16"] as const) {
    const output = at(`${dtype}.onnx`);
    files[`${dtype}_bytes`] = (await exportOnnx(place, { output, task, dtype, overwrite: true })).bytes;
    run([SCRIPT, "runtime", output, at("cases.safetensors"), at(`${dtype}.safetensors`)]);
  }
  python([SCRIPT, "transformers", place, at("cases.safetensors"), at("transformers.safetensors"), at("float32.json")]);
  const found = await Promise.all(
    ["float32", "float16", "transformers"].map((name) => openCheckpoint(at(`${name}.safetensors`))),
  );
  const [float32, float16, theirs] = found as [(typeof found)[0], (typeof found)[0], (typeof found)[0]];
  const weights = await saved.weights();
  const halves = new Map([...weights].map(([name, values]) => [name, decodeFloat16(encodeFloat16(values))]));
  const differences: Record<string, number> = {};
  const note = (what: string, a: Float32Array, b: Float32Array): void => {
    differences[what] = Math.max(differences[what] ?? 0, Number(largestDifference(a, b).toPrecision(3)));
  };
  for (const one of cases) {
    const ours = await outputsOf(engine, saved, weights, one, heads);
    for (const [output, values] of ours) {
      const name = `${one.name}/${output}`;
      note(`${output}: file to engine`, await float32.readFloat32(name), values);
      if (output !== "features") continue;
      const expected = await theirs.readFloat32(name);
      note("features: file to transformers", await float32.readFloat32(name), expected);
      note("features: engine to transformers", values, expected);
    }
    for (const [output, values] of await outputsOf(engine, saved, halves, one, heads))
      note(
        `${output}: float16 file to engine with weights of float16`,
        await float16.readFloat32(`${one.name}/${output}`),
        values,
      );
  }
  const { onnxruntime } = JSON.parse(await readFile(at("float32.json"), "utf8"));
  return {
    family: saved.family.name,
    features: saved.model.featureChoice,
    onnxruntime,
    cases: cases.length,
    files,
    differences,
  };
}

/** A head whose logits are of about 1. */
async function writeHead({ folder, model }: SavedEncoder, rng: Rng): Promise<void> {
  const { featureSize, featureChoice } = model;
  const weight = Float32Array.from({ length: CLASSES * featureSize }, () => rng.nextFloat() - 0.5);
  const head = {
    task: "seven",
    classes: CLASSES,
    featureSize,
    logitScale: 2,
    weight,
    bias: new Float32Array(CLASSES).fill(0.1),
  };
  await writeHeadFile(join(folder, "heads", "seven.safetensors"), head, { features: featureChoice });
}

interface Case {
  readonly name: string;
  readonly count: number;
  readonly length?: number;
  readonly values: ReadonlyMap<string, Int32Array | Uint8Array>;
}

function casesOf(saved: SavedEncoder, rng: Rng): Case[] {
  if (saved.encoder.kind === "text")
    return BATCHES.flatMap((count) => LENGTHS.map((length) => texts(saved, count, length, rng)));
  const [, height = 0, width = 0] = saved.model.inputs(1).get("images")?.shape ?? [];
  return BATCHES.map((count) => {
    const levels = Uint8Array.from({ length: count * height * width * 3 }, () => 256 * rng.nextFloat());
    return { name: `${count}`, count, values: new Map([["images", levels]]) };
  });
}

/** The first of all tokens, the others shorter, in two segments where the model has some. */
function texts({ model }: SavedEncoder, count: number, length: number, rng: Rng): Case {
  const words = Math.max(...model.tensors.filter(({ isTable }) => isTable === true).map(({ shape }) => shape[0] ?? 0));
  const lists = new Map([...model.inputs(1).keys()].map((name) => [name, new Int32Array(count * length)]));
  for (let text = 0; text < count; text++) {
    const own = text === 0 ? length : 2 + Math.floor((length - 1) * rng.nextFloat());
    for (let token = 0; token < own; token++) {
      const index = text * length + token;
      for (const [name, list] of lists)
        list[index] =
          name === model.mask
            ? 1
            : name === "input_ids"
              ? Math.floor(words * rng.nextFloat())
              : token > own / 2
                ? 1
                : 0;
    }
  }
  return { name: `${count}x${length}`, count, length, values: lists };
}

async function writeCases(path: string, { model }: SavedEncoder, cases: readonly Case[]): Promise<void> {
  const tensors = cases.flatMap(({ name: of, count, length, values }) =>
    [...values].map(([input, list]) => {
      const [name, shape] = [`${of}/${input}`, model.inputs(count, length).get(input)?.shape ?? []];
      if (list instanceof Uint8Array) return { name, dtype: "U8", shape, data: list };
      return { name, dtype: "I64", shape, data: new Uint8Array(BigInt64Array.from(list, BigInt).buffer) };
    }),
  );
  await writeSafetensors(path, tensors);
}

/** By a static graph of just these sizes. */
async function outputsOf(
  engine: Engine,
  { model }: SavedEncoder,
  weights: ReadonlyMap<string, Float32Array>,
  { count, length, values }: Case,
  heads: readonly Head[],
): Promise<ReadonlyMap<string, Float32Array>> {
  const executable = await engine.compile({
    name: "compared",
    frozen: new Map<string, TensorSpec>([...weightSpecs(model), ...headSpecs(heads)]),
    inputs: model.inputs(count, length),
    build: (tensors) => {
      const get = lookup(tensors);
      const features = model.features(givenWeights(get), get);
      return new Map([
        ["features", features],
        ...heads.map((head) => ["logits", applyHead(head, features, get)] as const),
      ]);
    },
  });
  await executable.bind(new Map<string, TensorSource>([...weightSources(model, weights), ...headSources(heads)]));
  const given = [...values].map(([name, list]): [string, TensorValues] => [
    name,
    model.inputs(1).get(name)?.dtype === "uint8" ? Uint8Array.from(list) : list,
  ]);
  const outputs = await executable.run(new Map(given));
  await executable.close();
  return outputs;
}

function largestDifference(found: Float32Array, expected: Float32Array): number {
  if (found.length !== expected.length) throw new Error(`${found.length} values beside ${expected.length}`);
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const difference = found.reduce(
    (most, value, at) => Math.max(most, Math.abs(value - (expected[at] ?? Number.NaN))),
    0,
  );
  return difference / largest;
}
