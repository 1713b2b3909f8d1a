/**
 * Accuracy, cross-entropy and entropy of given weights on a split of the suite's tasks, for the datasheet. The product's own reader and
 * classifier; labels are used, since this only measures. N images, A classes of all heads together.
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { exampleBatches } from "../../../dist/data/batches.js";
import { openDataset } from "../../../dist/data/dataset.js";
import { requireLabels } from "../../../dist/data/examples.js";
import { parsePreprocessing } from "../../../dist/data/image/preprocessing.js";
import {
  clipVisionModel,
  createClassifier,
  type Engine,
  type Head,
  type LabelledExamples,
  loadHead,
  loadPixels,
} from "../../../dist/index.js";
import { NORMALIZATION, type Tower } from "./towers.js";

const BATCH = 100;

export interface Judgement {
  readonly accuracyPercent: number;
  readonly lossNats: number;
  readonly entropyNats: number;
}

export interface Judge {
  /** Number of classes of a task. */
  classes(task: string): number;
  /** Weights that all following judgements are of. */
  setWeights(weights: ReadonlyMap<string, Float32Array>): Promise<void>;
  judge(task: string): Promise<Judgement>;
  close(): Promise<void>;
}

export interface JudgeOptions {
  /** Directory with `tasks/<task>`. */
  readonly suiteDir: string;
  /** The tower's directory with `base` and `heads`. */
  readonly towerDir: string;
  readonly tower: Tower;
  readonly tasks: readonly string[];
  readonly split: string;
  readonly logitScale: number;
}

export async function createJudge(engine: Engine, options: JudgeOptions): Promise<Judge> {
  const { tower, tasks } = options;
  const stores = new Map<string, LabelledExamples>();
  const heads: Head[] = [];
  for (const task of tasks) {
    const store = await readSplit(options, task);
    stores.set(task, store);
    heads.push(
      await loadHead(join(options.towerDir, "heads", `${task}.safetensors`), {
        task,
        classes: store.classes?.length ?? 0,
        featureSize: tower.config.projectionSize,
        logitScale: options.logitScale,
      }),
    );
  }
  const classifier = await createClassifier(engine, {
    model: clipVisionModel(tower.config, NORMALIZATION),
    heads,
    batchSize: BATCH,
  });
  const judge = async (task: string): Promise<Judgement> => {
    const index = heads.findIndex((head) => head.task === task);
    const store = stores.get(task);
    const classes = heads[index]?.classes;
    if (store === undefined || classes === undefined) throw new Error(`no task ${task} among ${tasks.join(", ")}`);
    const first = heads.slice(0, index).reduce((sum, head) => sum + head.classes, 0);
    const totals = { correct: 0, loss: 0, entropy: 0 };
    for (const { inputs, indices } of exampleBatches(store, BATCH)) {
      const logits = await classifier.logits(inputs);
      const columns = logits.length / BATCH;
      for (const [row, index] of indices.entries()) {
        const own = logits.subarray(row * columns + first, row * columns + first + classes);
        addRow(totals, own, store.labels[index] ?? 0);
      }
    }
    return {
      accuracyPercent: (100 * totals.correct) / store.size,
      lossNats: totals.loss / store.size,
      entropyNats: totals.entropy / store.size,
    };
  };
  const classes = (task: string): number => heads.find((head) => head.task === task)?.classes ?? 0;
  return { classes, setWeights: classifier.setWeights, judge, close: classifier.close };
}

function addRow(totals: { correct: number; loss: number; entropy: number }, logits: Float32Array, label: number): void {
  const top = logits.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const logSum = top + Math.log(logits.reduce((sum, value) => sum + Math.exp(value - top), 0));
  if (logits.indexOf(top) === label) totals.correct += 1;
  totals.loss += logSum - (logits[label] ?? 0);
  totals.entropy += logits.reduce((sum, value) => sum - Math.exp(value - logSum) * (value - logSum), 0);
}

async function readSplit({ suiteDir, towerDir, split }: JudgeOptions, task: string): Promise<LabelledExamples> {
  const preprocessorPath = join(towerDir, "base", "preprocessor_config.json");
  const preprocessing = parsePreprocessing(JSON.parse(await readFile(preprocessorPath, "utf8")), preprocessorPath);
  const dataset = await openDataset({
    kind: "image",
    path: join(suiteDir, "tasks", task),
    split,
    where: `task ${task}`,
  });
  return requireLabels(await loadPixels(dataset, preprocessing), `task ${task}`);
}
