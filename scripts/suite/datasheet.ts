/**
 * What a suite's models are, measured for its datasheet without any merging method: accuracies, loss between base and expert, geometry of the
 * task vectors.
 */
import { join } from "node:path";
import type { Judge } from "./judge.js";
import { along, cosine, depthProfile, norm, taskVector, type Weights } from "./task-vector-measures.js";

export interface TowerFacts {
  readonly parameters: number;
  readonly logitScale: number;
  /** Percent on `test`: model -> task -> accuracy. */
  readonly accuracyTest: Record<string, Record<string, number>>;
  readonly accuracyVal: Record<string, Record<string, number>>;
  /** Mean entropy on test as a share of log C. */
  readonly entropyShareTest: Record<string, Record<string, number>>;
  readonly normRatio: Record<string, Record<string, number>>;
  /** Between the first seed's task vectors, in the order of `tasks`. */
  readonly cosines: number[][];
  /** Between the two seeds of one task. */
  readonly seedCosines: Record<string, number>;
  /** ||tau|| / ||theta0|| by depth: task -> part -> ratio. */
  readonly depth: Record<string, Record<string, number>>;
  /** Loss on val along base + alpha * tau, in nats, and how far it rises above the straight line between its ends. */
  readonly paths: Record<string, { readonly loss: number[]; readonly barrier: number }>;
}

export const PATH_ALPHAS = [0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1];

export interface MeasureOptions {
  readonly judges: { readonly val: Judge; readonly test: Judge };
  /** A model's weights by its place in the suite's folder, such as `base` or `experts/mnist`. */
  readonly load: (path: string) => Promise<Weights>;
  /** Which tensors the geometry of the task vectors is of, the base's norm as well. */
  readonly isMeasured: (tensor: string) => boolean;
  /** The part of the model's depth that a tensor is in: "block 3". */
  readonly partOf: (tensor: string) => string;
  readonly logitScale: number;
  readonly tasks: readonly string[];
  /** Directory names of the expert seeds, such as `experts`. */
  readonly seeds: readonly string[];
  readonly hasMultitask: boolean;
  readonly log: (line: string) => void;
}

const round = (value: number, digits = 4): number => Number(value.toFixed(digits));

/** Measures one tower with all its models. */
export async function measureTower(options: MeasureOptions): Promise<TowerFacts> {
  const { judges, load, tasks, seeds, log } = options;
  const base = await load("base");
  const facts: TowerFacts = {
    parameters: [...base.values()].reduce((sum, values) => sum + values.length, 0),
    logitScale: options.logitScale,
    ...{ accuracyTest: {}, accuracyVal: {}, entropyShareTest: {}, normRatio: {}, cosines: [] },
    ...{ seedCosines: {}, depth: {}, paths: {} },
  };
  const { val, test } = judges;
  const judgeAll = async (model: string, weightsOf: (task: string) => Promise<Weights>, all: boolean) => {
    log(`datasheet: ${model}`);
    const [accuracyTest, accuracyVal, entropyShare]: Record<string, number>[] = [{}, {}, {}];
    for (const task of tasks) {
      if (!all || task === tasks[0]) await setBoth([test, val], await weightsOf(task));
      const [onTest, onVal] = [await test.judge(task), await val.judge(task)];
      Object.assign(accuracyTest ?? {}, { [task]: round(onTest.accuracyPercent, 2) });
      Object.assign(accuracyVal ?? {}, { [task]: round(onVal.accuracyPercent, 2) });
      Object.assign(entropyShare ?? {}, { [task]: round(onTest.entropyNats / Math.log(test.classes(task))) });
    }
    facts.accuracyTest[model] = accuracyTest ?? {};
    facts.accuracyVal[model] = accuracyVal ?? {};
    facts.entropyShareTest[model] = entropyShare ?? {};
  };
  await judgeAll("pretrained", async () => base, true);
  for (const seed of seeds) await judgeAll(seed, (task) => load(join(seed, task)), false);
  if (options.hasMultitask) {
    const multitask = await load("multitask");
    await judgeAll("multitask", async () => multitask, true);
  }
  await measureVectors(options, base, facts);
  await measurePaths(tasks, base, (task) => load(join(seeds[0] ?? "", task)), val, facts);
  return facts;
}

async function setBoth(judges: readonly Judge[], weights: Weights): Promise<void> {
  for (const judge of judges) await judge.setWeights(weights);
}

async function measureVectors(
  { tasks, seeds, load, partOf, isMeasured }: MeasureOptions,
  all: Weights,
  facts: TowerFacts,
): Promise<void> {
  const base = new Map([...all].filter(([name]) => isMeasured(name)));
  const baseNorm = norm(base);
  const bySeed: Map<string, Float64Array>[][] = [];
  for (const seed of seeds) {
    const vectors: Map<string, Float64Array>[] = [];
    for (const task of tasks) vectors.push(taskVector(base, await load(join(seed, task))));
    facts.normRatio[seed] = Object.fromEntries(
      tasks.map((task, index) => [task, round(norm(vectors[index] ?? new Map()) / baseNorm)]),
    );
    bySeed.push(vectors);
  }
  const [first = [], second] = bySeed;
  for (const [index, task] of tasks.entries()) {
    const vector = first[index] ?? new Map();
    facts.cosines.push(first.map((other) => round(cosine(vector, other), 3)));
    facts.depth[task] = Object.fromEntries(
      depthProfile(base, vector, partOf).map(({ part, ratio }) => [part, round(ratio)]),
    );
    const twin = second?.[index];
    if (twin !== undefined) facts.seedCosines[task] = round(cosine(vector, twin), 3);
  }
}

async function measurePaths(
  tasks: readonly string[],
  base: Weights,
  expertOf: (task: string) => Promise<Weights>,
  val: Judge,
  facts: TowerFacts,
): Promise<void> {
  for (const task of tasks) {
    const vector = taskVector(base, await expertOf(task));
    const loss: number[] = [];
    for (const alpha of PATH_ALPHAS) {
      await val.setWeights(along(base, vector, alpha));
      loss.push(round((await val.judge(task)).lossNats));
    }
    const [start = 0, end = 0] = [loss[0], loss.at(-1)];
    const rises = loss.map((value, index) => value - (start + (end - start) * (PATH_ALPHAS[index] ?? 0)));
    facts.paths[task] = { loss, barrier: round(Math.max(...rises)) };
  }
}
