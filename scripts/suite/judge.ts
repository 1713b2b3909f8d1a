/**
 * Accuracy, cross-entropy and entropy of given weights on a split of a suite's tasks, for its datasheet: the product's own forward and
 * evaluation. Labels are used, since this only measures.
 */
import { createClassifier, type Engine, type Head, type LabelledExamples, type Model } from "../../dist/internal.js";

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

export interface JudgedTask {
  readonly head: Head;
  readonly examples: LabelledExamples;
}

export async function createJudge(engine: Engine, model: Model, judged: readonly JudgedTask[]): Promise<Judge> {
  const tasks = new Map(judged.map((task) => [task.head.task, task]));
  const taskOf = (name: string): JudgedTask => {
    const task = tasks.get(name);
    if (task === undefined) throw new Error(`no task ${name} among ${[...tasks.keys()].join(", ")}`);
    return task;
  };
  const classifier = await createClassifier(engine, {
    model,
    heads: judged.map(({ head }) => head),
    batchSize: BATCH,
  });
  return {
    classes: (task) => taskOf(task).head.classes,
    setWeights: classifier.setWeights,
    judge: (task) => classifier.evaluate(task, taskOf(task).examples),
    close: classifier.close,
  };
}
