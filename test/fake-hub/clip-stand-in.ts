/**
 * A trained stand-in for the public CLIP ViT-B/32 suite: mini8's tower, experts and images in exactly the layout of the public
 * repositories (openai/clip-vit-base-patch32, tanganke/clip-vit-base-patch32_<task>, the data sets' configs and splits), for the fake hub.
 * Every task of the table is played by a task of mini8 with no more classes. The text tower is small and random: heads that are
 * made of it can be compared, but mean nothing; stored heads are mini8's own.
 */
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parse, stringify } from "yaml";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { saveCheckpoint } from "../../src/checkpoint/save-checkpoint.js";
import { parseClipTextConfig } from "../../src/model/clip/config.js";
import { clipTextTensors, tokenTable } from "../../src/model/clip/text.js";
import { ROOT } from "../support/cli.js";
import { MINI8 } from "../support/mini8-files.js";
import { randomArray } from "../support/random.js";

interface Part {
  /** The task of mini8 that plays it. */
  readonly playedBy: string;
  /** Repository of the public data set. */
  readonly dataset: string;
  readonly config?: string;
}

/** By the public suite's names, in its order. */
export const PARTS: ReadonlyMap<string, Part> = new Map([
  ["sun397", { playedBy: "letters", dataset: "tanganke/sun397" }],
  ["stanford-cars", { playedBy: "earth", dataset: "tanganke/stanford_cars" }],
  ["resisc45", { playedBy: "thai", dataset: "tanganke/resisc45" }],
  ["eurosat", { playedBy: "fashion-mnist", dataset: "tanganke/eurosat" }],
  ["svhn", { playedBy: "digits", dataset: "ufldl-stanford/svhn", config: "cropped_digits" }],
  ["gtsrb", { playedBy: "signs", dataset: "tanganke/gtsrb" }],
  ["mnist", { playedBy: "mnist", dataset: "ylecun/mnist", config: "mnist" }],
  ["dtd", { playedBy: "emoji", dataset: "tanganke/dtd" }],
]);

/** Public names of splits by mini8's. */
const SPLITS = { adapt: "train", test: "test" };
const BASE = "openai/clip-vit-base-patch32";

/** Writes the repositories under `root`; `tokenizer` is a folder whose files go beside the base. */
export async function writeClipStandIn(root: string, tokenizer: string | undefined): Promise<void> {
  const base = join(root, "models", BASE);
  await writeWholeModel(base);
  for (const name of tokenizer === undefined ? [] : await readdir(tokenizer))
    await cp(join(tokenizer ?? "", name), join(base, name));
  for (const [task, part] of PARTS) {
    const expert = join(root, "models", `tanganke/clip-vit-base-patch32_${task}`);
    await cp(join(MINI8, "experts", part.playedBy), expert, { recursive: true, dereference: true });
    await writeDataset(join(root, "datasets", part.dataset), part);
  }
}

/**
 * The suite of these repositories as a file in `folder`: tasks as datasets/clip defines them, but for the numbers of images. With heads `stored`
 * the classes and heads are mini8's own; with `text` they are those of the definitions.
 */
export async function writeStandInSuite(folder: string, heads: "stored" | "text"): Promise<string> {
  const { logit_scale, tasks } = parse(await readFile(join(MINI8, "suite.yaml"), "utf8"));
  const described = [...PARTS].map(([name, { playedBy }]) => {
    const { classes, head } = tasks.find((task: { name: string }) => task.name === playedBy);
    const definition = join(ROOT, "datasets", "clip", "tasks", `${name}.yaml`);
    const common = { name, definition, expert: `tanganke/clip-vit-base-patch32_${name}`, images: {} };
    return heads === "text" ? common : { ...common, classes, head: join(MINI8, head) };
  });
  const path = join(folder, `${heads}.yaml`);
  await mkdir(folder, { recursive: true });
  await writeFile(path, stringify({ name: `stand-in-${heads}`, base: BASE, logit_scale, tasks: described }));
  return path;
}

/** The base as a whole CLIPModel: mini8's tower, a small random text tower, its projection and the logit scale. */
async function writeWholeModel(directory: string): Promise<void> {
  const vision = await openCheckpoint(join(MINI8, "base"));
  const {
    architectures: _,
    model_type,
    projection_dim,
    ...tower
  } = JSON.parse(await readFile(join(MINI8, "base", "config.json"), "utf8"));
  const textConfig = {
    model_type: "clip_text_model",
    vocab_size: 49_408,
    hidden_size: 32,
    intermediate_size: 64,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    projection_dim,
  };
  const parsed = parseClipTextConfig({ text_config: textConfig, projection_dim }, "config.json");
  const scale = { name: "logit_scale", shape: [] };
  const text = new Map([tokenTable(parsed), ...clipTextTensors(parsed), scale].map(({ name, shape }) => [name, shape]));
  const specs = [
    ...[...vision.tensors].map(([name, { shape }]) => ({ name, dtype: "F32" as const, shape })),
    ...[...text].map(([name, shape]) => ({ name, dtype: "F32" as const, shape })),
  ];
  const config = {
    architectures: ["CLIPModel"],
    model_type: "clip",
    projection_dim,
    logit_scale_init_value: 2.6592,
    text_config: textConfig,
    vision_config: { model_type, projection_dim, ...tower },
  };
  const preprocessor = JSON.parse(await readFile(join(MINI8, "base", "preprocessor_config.json"), "utf8"));
  const data = async (name: string) => {
    const shape = text.get(name);
    return shape === undefined ? vision.readFloat32(name) : randomTensor(name, shape);
  };
  await mkdir(dirname(directory), { recursive: true });
  await saveCheckpoint(directory, { config, preprocessor, specs, data });
}

function randomTensor(name: string, shape: readonly number[]): Float32Array {
  const size = shape.reduce((product, dim) => product * dim, 1);
  if (name === "logit_scale") return Float32Array.of(Math.log(8.8));
  if (name.includes("norm") && name.endsWith("weight")) return new Float32Array(size).fill(1);
  return randomArray(size, size + name.length, -0.3, 0.3);
}

/** The images of mini8 under the public names of splits and config, with a README that says so. */
async function writeDataset(directory: string, { playedBy, config }: Part): Promise<void> {
  const from = join(MINI8, "tasks", playedBy);
  const folder = config ?? "data";
  await mkdir(join(directory, folder), { recursive: true });
  for (const [own, named] of Object.entries(SPLITS))
    await cp(
      join(from, "data", `${own}-00000-of-00001.parquet`),
      join(directory, folder, `${named}-00000-of-00001.parquet`),
    );
  const files = Object.values(SPLITS).map((split) => ({ split, path: `${folder}/${split}-*` }));
  const head = { configs: [{ config_name: config ?? "default", data_files: files }] };
  await writeFile(join(directory, "README.md"), `---\n${stringify(head)}---\n`);
}
