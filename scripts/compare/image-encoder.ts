/**
 * `compare image-encoder`: features of images by transformers (`image-encoder.py`) and by us, from the images' files to
 * the features of a ViT, DeiT or DINOv2 in a folder: pixels, class token, mean of the patches and, of a model that was
 * saved with one, the classifier. N images, E features, C classes.
 */
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import type { CommandModule } from "yargs";
import { z } from "zod";
import { openCheckpoint } from "../../dist/checkpoint/checkpoint.js";
import { readByteRange, readSafetensorsHeader } from "../../dist/checkpoint/safetensors.js";
import { architecturesOf } from "../../dist/checkpoint/saved-config.js";
import { rowsInMemory } from "../../dist/data/image/image-rows.js";
import { imageExamples } from "../../dist/data/image/pixels.js";
import { toPixels } from "../../dist/data/image/preprocessing.js";
import { readPreprocessing } from "../../dist/data/image/read-preprocessing.js";
import type { Engine } from "../../dist/engine/program.js";
import { familyOf } from "../../dist/model/families.js";
import type { FeatureChoice } from "../../dist/model/family.js";
import { exampleFeatures } from "../../dist/run/heads/example-features.js";
import { modelWeights } from "../../dist/run/suite/stored-weights.js";
import { engineBesidePython } from "./engine-beside-python.js";
import { finish } from "./finish.js";
import { relativeError } from "./relative-error.js";

const SCRIPT = join(import.meta.dirname, "image-encoder.py");
/** What is asked of features and logits: the norm of the difference by that of transformers' values. */
const MOST_RELATIVE_ERROR = 1e-5;

interface ImageEncoderArguments {
  readonly python: string | undefined;
  readonly model: string;
  readonly images: number;
  readonly threads: number;
  readonly json: string | undefined;
}

export const imageEncoderCommand: CommandModule<object, ImageEncoderArguments> = {
  command: "image-encoder",
  describe: "Features of a ViT, DeiT or DINOv2 by transformers and by us, from the images' files on",
  builder: (yargs) =>
    yargs
      .option("python", { type: "string", describe: "A Python with transformers 5 and pillow (default: python3)" })
      .option("model", { type: "string", demandOption: true, describe: "The model's folder, as transformers saves it" })
      .option("images", { type: "number", default: 20, describe: "How many images" })
      .option("threads", { type: "number", default: availableParallelism(), describe: "Threads of each" })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (options) => finish(await compare(options), options.json),
};

async function compare({ python: asked, model, images, threads }: ImageEncoderArguments) {
  const needs = {
    asked,
    modules: ["transformers", "torch", "PIL", "numpy", "safetensors"],
    packages: ["transformers", "torch", "pillow", "numpy", "safetensors"],
    target: "image-encoder",
    threads,
  };
  const place = resolve(model);
  return engineBesidePython(needs, async ({ engine, folder, versions, python }) => {
    python([SCRIPT, "make", place, folder, String(images)]);
    const report = await compareAll(engine, place, folder);
    return {
      command: `npm run compare -- image-encoder --python PYTHON --model FOLDER --images ${images}`,
      ...report,
      asked_at_most: MOST_RELATIVE_ERROR,
      as_asked: report.pixels.different === 0 && Object.values(report.relative_errors).every(isAsked),
      node: process.version,
      versions,
      date: new Date().toISOString().slice(0, 10),
    };
  });
}

/** Ours against transformers in float32, and both against it in float64. */
interface Errors {
  readonly ours_to_transformers: number;
  readonly ours_to_float64: number;
  readonly transformers_to_float64: number;
}

const rounded = (error: number): number => Number(error.toPrecision(3));
const isAsked = ({ ours_to_transformers }: Errors): boolean => ours_to_transformers < MOST_RELATIVE_ERROR;

async function compareAll(engine: Engine, place: string, folder: string) {
  const expected = await openCheckpoint(join(folder, "expected.safetensors"));
  const checkpoint = await openCheckpoint(place);
  const family = familyOf(checkpoint.config, place);
  const preprocessing = await readPreprocessing(place);
  const names = z.array(z.string()).parse(JSON.parse(await readFile(join(folder, "images.json"), "utf8")));
  const ours = await Promise.all(
    names.map(async (name) => toPixels(await readFile(join(folder, name)), preprocessing, name)),
  );
  const imagesBHWC = Uint8Array.from(Buffer.concat(ours));
  const imageBytes = imagesBHWC.length / names.length;
  const examples = imageExamples("images", names.length, rowsInMemory(imagesBHWC, imageBytes), imageBytes);
  const errors: Record<string, Errors> = {};
  const against = async (name: string, found: ArrayLike<number>): Promise<void> => {
    const [single, double] = [await expected.readFloat32(name), await expected.readFloat32(`${name}_f64`)];
    errors[name] = {
      ours_to_transformers: rounded(relativeError(found, single)),
      ours_to_float64: rounded(relativeError(found, double)),
      transformers_to_float64: rounded(relativeError(single, double)),
    };
  };
  const features = async (choice: FeatureChoice) => {
    const { model } = await family.open({ config: checkpoint.config, folder: place }, choice);
    const weights = await modelWeights(checkpoint, checkpoint, model);
    return { found: await exampleFeatures(engine, model, weights, examples), size: model.featureSize };
  };
  for (const pooling of ["cls", "mean"] as const)
    await against(pooling, (await features({ pooling, normalized: false })).found);
  const classifier = family.classifiers.find(({ architecture }) =>
    architecturesOf(checkpoint.config).includes(architecture),
  );
  if (classifier !== undefined && expected.tensors.has("logits")) {
    const { found, size } = await features(classifier.features);
    const weightCE = await checkpoint.readFloat32(classifier.weight);
    await against("logits", logits(found, size, weightCE, await checkpoint.readFloat32(classifier.bias)));
  }
  return {
    family: family.name,
    architecture: architecturesOf(checkpoint.config).join(),
    parameters: [...checkpoint.tensors.values()].reduce(
      (sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1),
      0,
    ),
    image_size: [preprocessing.height, preprocessing.width],
    pixels: {
      images: names.length,
      different: await differentPixels(join(folder, "expected.safetensors"), imagesBHWC),
    },
    relative_errors: errors,
  };
}

function logits(featuresNE: Float32Array, size: number, weightCE: Float32Array, biasC: Float32Array): Float64Array {
  const classes = biasC.length;
  return Float64Array.from({ length: (featuresNE.length / size) * classes }, (_value, index) => {
    const [row, column] = [Math.floor(index / classes), index % classes];
    let sum = biasC[column] ?? 0;
    for (let at = 0; at < size; at++) sum += (featuresNE[row * size + at] ?? 0) * (weightCE[column * size + at] ?? 0);
    return sum;
  });
}

/** Values of all images that are not those of transformers' processor. */
async function differentPixels(path: string, ours: Uint8Array): Promise<number> {
  const stored = (await readSafetensorsHeader(path)).tensors.get("pixels");
  if (stored === undefined || stored.byteLength !== ours.length) throw new Error(`${path}: other pixels than ours`);
  const theirs = await readByteRange(path, stored.byteOffset, stored.byteLength);
  return ours.reduce((count, value, index) => count + (value === theirs[index] ? 0 : 1), 0);
}
