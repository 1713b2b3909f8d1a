/**
 * `compare text-encoder`: features of 200 texts by a sentence encoder of yours, from one word to more than it takes, by transformers,
 * sentence-transformers (`text-encoders.py`) and us. Tokens are transformers', so that it is the model that is compared.
 */
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { basename, join, resolve } from "node:path";
import type { CommandModule } from "yargs";
import { z } from "zod";
import { openCheckpoint } from "../../dist/checkpoint/checkpoint.js";
import { engineBesidePython } from "./engine-beside-python.js";
import { finish } from "./finish.js";
import { featuresOf, openTextModel } from "./our-text-model.js";
import { relativeError } from "./relative-error.js";

const SCRIPT = join(import.meta.dirname, "text-encoders.py");
/** What is asked: of the norm of all features, and of each text's. */
const MOST = 1e-5;
const tokensSchema = z.array(z.array(z.int()));

interface Arguments {
  readonly python: string | undefined;
  readonly model: string;
  readonly threads: number;
  readonly json: string | undefined;
}

export const textEncoderCommand: CommandModule<object, Arguments> = {
  command: "text-encoder",
  describe: "A sentence encoder by transformers, sentence-transformers and us: features of 200 texts",
  builder: (yargs) =>
    yargs
      .option("python", { type: "string", describe: "A Python with sentence-transformers (default: python3)" })
      .option("model", { type: "string", demandOption: true, describe: "The folder of a BERT, RoBERTa or DistilBERT" })
      .option("threads", { type: "number", default: availableParallelism(), describe: "Threads of each" })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (options) => finish(await compare(options), options.json),
};

async function compare({ python: asked, model: path, threads }: Arguments) {
  const needs = {
    asked,
    modules: ["torch", "transformers", "sentence_transformers", "safetensors"],
    packages: ["torch", "transformers", "sentence-transformers", "safetensors"],
    target: "text-encoder",
    threads,
  };
  const model = resolve(path);
  return engineBesidePython(needs, async ({ engine, folder, versions, python }) => {
    python([SCRIPT, "features", folder, model]);
    const texts = tokensSchema.parse(JSON.parse(await readFile(join(folder, "tokens.json"), "utf8")));
    const opened = await openTextModel(model, { pooling: "mean", normalized: true });
    const found = await featuresOf(engine, opened, texts);
    const expected = await openCheckpoint(join(folder, "expected.safetensors"));
    const width = opened.model.featureSize;
    const errors = {
      ours_to_transformers: relativeErrors(found, await expected.readFloat32("transformers"), width),
      ours_to_sentence_transformers: relativeErrors(found, await expected.readFloat32("sentence_transformers"), width),
      ours_to_float64: relativeErrors(found, await expected.readFloat32("float64"), width),
      transformers_to_float64: relativeErrors(
        await expected.readFloat32("transformers"),
        await expected.readFloat32("float64"),
        width,
      ),
    };
    return {
      what: "features of texts by transformers and sentence-transformers and by us; errors relative to the features' norm",
      command: `npm run compare -- text-encoder --python PYTHON --model ${basename(model)} --threads ${threads}`,
      date: new Date().toISOString().slice(0, 10),
      versions,
      texts: texts.length,
      tokens: {
        least: Math.min(...texts.map(({ length }) => length)),
        most: Math.max(...texts.map((text) => text.length)),
      },
      lengths: opened.model.lengths,
      errors,
      asked_at_most: MOST,
      as_asked: Object.values(errors).every(({ worst_text }) => worst_text < MOST),
    };
  });
}

/** Of all values together, and the worst of the rows. */
function relativeErrors(a: Float32Array, b: Float32Array, width: number): { all: number; worst_text: number } {
  if (a.length !== b.length) throw new Error(`${a.length} values beside ${b.length}`);
  const error = (from: number, to: number): number => relativeError(a.subarray(from, to), b.subarray(from, to));
  const rows = Array.from({ length: b.length / width }, (_, row) => error(row * width, (row + 1) * width));
  return { all: error(0, b.length), worst_text: Math.max(...rows) };
}
