/**
 * A suite of images as small as it can be: a tower of two layers with random weights that takes images of 16 x 16, two
 * experts made of it by small changes, heads with random rows, and PNGs of one colour each in class folders.
 */
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { type WritableTensor, writeSafetensors } from "../../src/checkpoint/safetensors-writer.js";
import { ROOT } from "./cli.js";
import { randomArray } from "./random.js";

const CLIP = join(ROOT, "test", "conformance", "clip");
const FEATURES = 16;
/** By task, its classes. */
export const IMAGE_TASKS = { colours: ["dark", "light", "red"], pair: ["no", "yes"] };

/** Writes `images/<task>/test/<class>/<n>.png`, more than a batch of predictions holds in all. */
async function writeImages(folder: string, task: string, classes: readonly string[], each: number): Promise<void> {
  for (const [label, name] of classes.entries()) {
    const place = join(folder, "images", task, "test", name);
    await mkdir(place, { recursive: true });
    for (let index = 0; index < each; index++) {
      const [r = 0, g = 0, b = 0] = randomArray(3, 100 * label + index + task.length, 0, 256).map(Math.floor);
      const create = { width: 16 + index, height: 16, channels: 3 as const, background: { r, g, b } };
      // Of two colours, so that sizes and crops matter.
      const half = { create: { ...create, width: 8, background: { r: b, g: r, b: g } } };
      const image = sharp({ create }).composite([{ input: half, left: 0, top: 0 }]);
      await writeFile(join(place, `${String(index).padStart(2, "0")}.png`), await image.png().toBuffer());
    }
  }
}

/**
 * Writes `base`, an expert for each task, heads, images, `suite.yaml`, `config.yaml` and `coefficients.json` into the
 * folder.
 */
export async function writeImageSuite(folder: string, imagesOfClass = 12): Promise<void> {
  await mkdir(join(folder, "base"), { recursive: true });
  for (const name of ["model.safetensors", "config.json", "preprocessor_config.json"])
    await cp(join(CLIP, name), join(folder, "base", name));
  const base = await openCheckpoint(join(CLIP, "model.safetensors"));
  const tasks: string[] = [];
  for (const [at, [task, classes]] of Object.entries(IMAGE_TASKS).entries()) {
    const tensors: WritableTensor[] = [];
    for (const [index, [name, { shape }]] of [...base.tensors].entries()) {
      if (!/^vision_model\.|^visual_projection/.test(name)) continue;
      const values = await base.readFloat32(name);
      const moves = randomArray(values.length, index + 1000 * at, -0.1, 0.1);
      tensors.push({ name, dtype: "F32", shape, data: values.map((value, i) => value + (moves[i] ?? 0)) });
    }
    await mkdir(join(folder, task), { recursive: true });
    await writeSafetensors(join(folder, task, "model.safetensors"), tensors);
    const rows = randomArray(classes.length * FEATURES, 7 + at);
    const weight = { name: "weight", dtype: "F32", shape: [classes.length, FEATURES], data: rows };
    const bias = { name: "bias", dtype: "F32", shape: [classes.length], data: randomArray(classes.length, 9 + at) };
    await writeSafetensors(join(folder, `${task}.safetensors`), [weight, bias]);
    await writeImages(folder, task, classes, imagesOfClass);
    tasks.push(
      `  - {name: ${task}, dataset: images/${task}, expert: ${task}, head: ${task}.safetensors, classes: ${JSON.stringify(classes)}}\n`,
    );
  }
  await writeFile(join(folder, "suite.yaml"), `name: tiny\nbase: base\nlogit_scale: 5\ntasks:\n${tasks.join("")}`);
  const data = "data: { adapt_split: test, eval_split: test, eval_batch_size: 8 }";
  await writeFile(
    join(folder, "config.yaml"),
    `extends: presets/quickstart\nsuite: .\ngranularity: task-wise\nthreads: 1\n${data}\n`,
  );
  await writeFile(join(folder, "coefficients.json"), coefficientsOf(Object.keys(IMAGE_TASKS)));
}

/** The same for every tensor: 0.5 of the first task, 0.25 of the second. */
export function coefficientsOf(tasks: readonly string[]): string {
  const values = tasks.map((_, index) => [0.5 / (index + 1)]);
  return JSON.stringify({ granularity: "task-wise", tasks, groups: ["all"], values, groupOf: {} });
}
