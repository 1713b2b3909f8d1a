/**
 * A suite of an encoder and experts that differ from it by noise, with class prototypes as heads of what transformers'
 * classifiers read: models to compare where no fine-tuned ones are at hand.
 */
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { readStateDict, type StateDict, type SuiteTask, writeStateDict } from "../../dist/index.js";

/** Of a tensor's root mean square: as fine-tuning moves it, by order of magnitude. */
const NOISE = 0.05;

export interface NoisySuite {
  /** Folder of the encoder. */
  readonly base: string;
  /** Whose examples and classes it has. */
  readonly tasks: readonly SuiteTask[];
  readonly kind: "images" | "texts";
  readonly threads: number;
}

/** Writes suite.yaml, config.yaml and the experts into the folder; returns what the features are. */
export async function writeNoisySuite(folder: string, { base, tasks, kind, threads }: NoisySuite) {
  const config: unknown = JSON.parse(await readFile(join(base, "config.json"), "utf8"));
  const { model_type: type } = z.looseObject({ model_type: z.string() }).parse(config);
  const pooling = type === "bert" ? "pooler" : type.startsWith("dinov2") ? "cls_mean" : "cls";
  const state = await readStateDict(base);
  const described: string[] = [];
  for (const [index, { name, dataset, classes }] of tasks.entries()) {
    await mkdir(join(folder, name), { recursive: true });
    await cp(join(base, "config.json"), join(folder, name, "config.json"));
    await writeStateDict(join(folder, name, "model.safetensors"), moved(state, 1 + index));
    const head = "{prototypes: {split: adapt, model: base}}";
    described.push(
      `  - {name: ${name}, dataset: ${JSON.stringify(dataset)}, expert: ${name}, head: ${head}, classes: ${JSON.stringify(classes)}}\n`,
    );
  }
  const texts = kind === "texts" ? "max_length: 32\n" : "";
  const features = `features: {pooling: ${pooling}, normalize: false}\n`;
  await writeFile(
    join(folder, "suite.yaml"),
    `name: noisy\nbase: ${JSON.stringify(base)}\n${features}${texts}tasks:\n${described.join("")}`,
  );
  await writeFile(
    join(folder, "config.yaml"),
    `extends: presets/quickstart\nsuite: .\ngranularity: task-wise\nthreads: ${threads}\n`,
  );
  return { type, pooling };
}

/** The weights with noise, the same in every run: a sine of the element's number has no two alike. */
function moved(state: StateDict, seed: number): StateDict {
  return new Map(
    [...state].map(([name, { shape, values }]) => {
      const square = values.reduce((sum, value) => sum + value * value, 0) / values.length;
      const size = NOISE * Math.sqrt(square);
      return [name, { shape, values: values.map((value, at) => value + size * Math.sin((at + 1) * (12.9898 + seed))) }];
    }),
  );
}
