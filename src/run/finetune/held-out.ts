/** Measuring on examples that are held out while a fine-tuning goes on, and keeping the weights that were best there. */
import { join } from "node:path";
import type { LabelledExamples } from "../../data/examples.js";
import type { Engine } from "../../engine/program.js";
import type { Model } from "../../model/family.js";
import type { Head } from "../../model/heads.js";
import { type Classifier, createClassifier, type Evaluation } from "../../optimize/evaluate.js";
import {
  type KeptRecord,
  readKeptRecord,
  readKeptWeights,
  writeKeptWeights,
} from "../../optimize/fine-tune/kept-weights.js";
import type { FineTunedWeights } from "../../optimize/fine-tune/options.js";

/** Examples per forward: enough for the cores, little memory for the largest model. */
const BATCH = 64;

/** The file of the best weights so far, in the run's folder. */
export const BEST_FILE = "best.safetensors";

export interface HeldOutOptions {
  readonly engine: Engine;
  readonly model: Model;
  readonly head: Head;
  /** Of every tensor, before the training. */
  readonly weights: ReadonlyMap<string, Float32Array>;
}

export interface Judge {
  /** Accuracy and loss of these weights; those before the training where none are given. */
  evaluate(store: LabelledExamples, learned?: FineTunedWeights): Promise<Evaluation>;
  close(): Promise<void>;
}

/** Compiles a forward that weights are put into. */
export async function createJudge({ engine, model, head, weights }: HeldOutOptions): Promise<Judge> {
  const classifier: Classifier = await createClassifier(engine, { model, heads: [head], batchSize: BATCH });
  return {
    evaluate: async (store, learned) => {
      await classifier.setWeights(learned === undefined ? weights : new Map([...weights, ...learned.tensors]));
      await classifier.setHeads(learned?.heads ?? [head]);
      return classifier.evaluate(head.task, store);
    },
    close: () => classifier.close(),
  };
}

export interface BestWeights {
  /** Keeps the weights unless others were as good before. */
  offer(learned: FineTunedWeights, record: KeptRecord): Promise<void>;
  /** Undefined where nothing was offered. */
  record(): Promise<KeptRecord | undefined>;
  read(): Promise<FineTunedWeights>;
}

/**
 * The best weights of a run, in its folder. A training that resumes offers some again, with the same scores, and what
 * is kept is what it would have been.
 */
export function bestWeights(runPath: string, { model, weights, head }: HeldOutOptions): BestWeights {
  const path = join(runPath, BEST_FILE);
  return {
    offer: async (learned, record) => {
      const kept = await readKeptRecord(path);
      if (
        kept !== undefined &&
        (kept.score > record.score || (kept.score === record.score && kept.step <= record.step))
      )
        return;
      await writeKeptWeights(path, learned, record, { model });
    },
    record: () => readKeptRecord(path),
    read: () => readKeptWeights(path, { model, weights, heads: [head] }),
  };
}
