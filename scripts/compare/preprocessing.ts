/**
 * `compare preprocessing`: 500 images of all kinds (`preprocessing.py` makes 420, the shipped suite gives 80) through our whole path - decode, resize, crop to 224 - and through transformers'
 * CLIPImageProcessor with Pillow. Differences are in levels of 255; lossless formats, whose pixels have one right answer, are summed up apart from JPEG and lossy WebP.
 */
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CommandModule } from "yargs";
import { readByteRange, readSafetensorsHeader } from "../../dist/checkpoint/safetensors.js";
import { openDataset } from "../../dist/data/dataset.js";
import { parsePreprocessing, toPixels } from "../../dist/data/image/preprocessing.js";
import { openSuite } from "../../dist/data/suite.js";
import { round } from "../bench/statistics.js";
import { findPython } from "./find-python.js";
import { finish } from "./finish.js";

const ROOT = join(import.meta.dirname, "..", "..");
const SCRIPT = join(import.meta.dirname, "preprocessing.py");
/** What is asked of a comparison, in levels of 255, over all images. */
const MOST_MEAN_DIFFERENCE = 1;
/** Where we differ on purpose: left out of the mean, and shown apart. */
const ON_PURPOSE = new Map([
  [
    "png 16-bit grey",
    "Pillow clips all values above 255 to white, which leaves little of the image; we keep the high byte",
  ],
]);
/** Of each task of the suite: 80 images, so that there are 500 in all. */
const IMAGES_PER_TASK = 10;

interface PreprocessingArguments {
  readonly python: string | undefined;
  readonly json: string | undefined;
}

interface KindOfImage {
  readonly file: string;
  readonly kind: string;
  /** Whether decoding it has one right answer. */
  readonly lossless: boolean;
}

interface Difference {
  readonly mean: number;
  readonly largest: number;
}

export const preprocessingCommand: CommandModule<object, PreprocessingArguments> = {
  command: "preprocessing",
  describe: "500 images of all kinds through our preprocessing and through transformers' with Pillow",
  builder: (yargs) =>
    yargs
      .option("python", { type: "string", describe: "A Python with transformers and pillow (default: python3)" })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (options) => finish(await compare(options), options.json),
};

async function compare(options: PreprocessingArguments) {
  const python = findPython(options.python, {
    modules: ["transformers", "torch", "PIL", "numpy", "safetensors"],
    packages: ["transformers", "torch", "pillow", "numpy", "safetensors"],
    target: "preprocessing",
  });
  const folder = await mkdtemp(join(tmpdir(), "adamerge-compare-"));
  try {
    run(python.command, [SCRIPT, "make", folder]);
    const kinds = await addSuiteImages(folder);
    run(python.command, [SCRIPT, "process", folder]);
    const differences = await differencesOf(folder, kinds);
    const isMeant = ({ kind }: KindOfImage): boolean => !ON_PURPOSE.has(kind);
    const mean = meanOf(differences.filter((_, row) => kinds[row] !== undefined && isMeant(kinds[row])));
    return {
      what: `${kinds.length} images decoded, resized and cropped to 224 by us and by CLIPImageProcessorPil; absolute differences in levels of 255`,
      command: "npm run compare -- preprocessing --python PYTHON",
      as_asked: mean <= MOST_MEAN_DIFFERENCE,
      mean_difference: Number(mean.toPrecision(3)),
      asked_at_most: MOST_MEAN_DIFFERENCE,
      lossless: summary(kinds, differences, (image) => isMeant(image) && image.lossless),
      lossy: summary(kinds, differences, (image) => isMeant(image) && !image.lossless),
      on_purpose: [...ON_PURPOSE].map(([kind, why]) => ({ kind, why })),
      mean_difference_with_those: Number(meanOf(differences).toPrecision(3)),
      kinds: Object.fromEntries(
        [...new Set(kinds.map(({ kind }) => kind))].map((kind) => [
          kind,
          summary(kinds, differences, (image) => image.kind === kind),
        ]),
      ),
      node: process.version,
      versions: python.versions,
      date: new Date().toISOString().slice(0, 10),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function run(command: string, args: readonly string[]): void {
  const { status, error } = spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"] });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${error?.message ?? status}`);
}

/** Writes images of the shipped suite, as its parquet files hold them, beside those that were made, and their entries into kinds.json. */
async function addSuiteImages(folder: string): Promise<readonly KindOfImage[]> {
  const list = join(folder, "kinds.json");
  const kinds: KindOfImage[] = JSON.parse(await readFile(list, "utf8"));
  for (const { name, dataset } of (await openSuite(join(ROOT, "datasets", "mini8"))).tasks) {
    const images = await openDataset({ kind: "image", path: dataset, split: "test", where: name });
    for (let index = 0; index < IMAGES_PER_TASK; index++) {
      const file = `${name}-${index}.png`;
      await writeFile(join(folder, file), await images.encoded(index));
      kinds.push({ file, kind: `suite, ${name}`, lossless: true });
    }
  }
  await writeFile(list, JSON.stringify(kinds));
  return kinds;
}

async function differencesOf(folder: string, kinds: readonly KindOfImage[]): Promise<Difference[]> {
  const configFile = join(folder, "preprocessor_config.json");
  const preprocessing = parsePreprocessing(JSON.parse(await readFile(configFile, "utf8")), configFile);
  const path = join(folder, "expected.safetensors");
  const stored = (await readSafetensorsHeader(path)).tensors.get("pixels");
  if (stored === undefined) throw new Error(`${path} has no pixels`);
  const bytes = preprocessing.height * preprocessing.width * 3;
  const differences: Difference[] = [];
  for (const [row, { file }] of kinds.entries()) {
    const ours = await toPixels(await readFile(join(folder, file)), preprocessing, file);
    differences.push(difference(ours, await readByteRange(path, stored.byteOffset + row * bytes, bytes)));
  }
  return differences;
}

function difference(ours: Uint8Array, theirs: Uint8Array): Difference {
  if (ours.length !== theirs.length) throw new Error(`${ours.length} values of ours, ${theirs.length} of theirs`);
  let [sum, largest] = [0, 0];
  for (const [index, value] of ours.entries()) {
    const apart = Math.abs(value - (theirs[index] ?? Number.NaN));
    sum += apart;
    largest = Math.max(largest, apart);
  }
  return { mean: sum / ours.length, largest };
}

function summary(
  kinds: readonly KindOfImage[],
  differences: readonly Difference[],
  isMeant: (image: KindOfImage) => boolean,
) {
  const own = differences.filter((_, row) => isMeant(kinds[row] ?? { file: "", kind: "", lossless: false }));
  return {
    images: own.length,
    equal_to_the_byte: own.filter(({ largest }) => largest === 0).length,
    mean: round(meanOf(own), 4),
    largest: Math.max(...own.map(({ largest }) => largest)),
  };
}

function meanOf(differences: readonly Difference[]): number {
  return differences.reduce((sum, { mean }) => sum + mean, 0) / differences.length;
}
