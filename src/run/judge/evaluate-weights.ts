/** Weights of models judged on the examples of the tasks: one model for all, one for each, or the mean of all their logits. */
import { kindOf } from "../../data/kinds.js";
import { type Evaluation, judgeExamples, type UnlabelledEvaluation } from "../../optimize/evaluate.js";
import { inParts } from "../../runtime/progress.js";
import type { EvaluateOptions } from "../session/evaluate-options.js";

/** Evaluations by task, in the order of the suite. */
export type Evaluations = ReadonlyMap<string, Evaluation | UnlabelledEvaluation>;

/** Options that tell how many examples are judged. */
interface ToldOptions extends EvaluateOptions {
  readonly onExamples?: (examples: number) => void;
}

/** Evaluates with options that tell of the examples as parts of one piece; every example is judged `passes` times. */
async function telling<T>(
  options: EvaluateOptions,
  name: string,
  tasks: readonly string[],
  evaluate: (told: ToldOptions) => Promise<T>,
  passes = 1,
): Promise<T> {
  const { examples, limit = Number.POSITIVE_INFINITY, onProgress } = options;
  const stores = tasks.flatMap((task) => examples.get(task) ?? []);
  const total = passes * stores.reduce((sum, { size }) => sum + Math.min(limit, size), 0);
  const [first] = stores;
  const unit = first === undefined ? {} : { unit: kindOf(first.kind).many };
  return inParts(onProgress, { what: `judging ${name}`, total, ...unit }, (onExamples) =>
    evaluate({ ...options, onExamples }),
  );
}

async function evaluateWeights(
  weights: Weights,
  { classifier, examples, limit, signal, onExamples }: ToldOptions,
  tasks: readonly string[],
): Promise<Evaluations> {
  await classifier.setWeights(weights);
  const results = new Map<string, Evaluation | UnlabelledEvaluation>();
  for (const task of tasks) {
    const store = examples.get(task);
    if (store !== undefined) results.set(task, await classifier.evaluate(task, store, { limit, signal, onExamples }));
  }
  return results;
}

type Weights = ReadonlyMap<string, Float32Array>;

/** One model judged on the given tasks, in their order. `row` is for people. */
export async function evaluateOne(
  row: string,
  tasks: readonly string[],
  weightsOf: () => Promise<Weights>,
  options: EvaluateOptions,
): Promise<Evaluations> {
  return telling(options, row, tasks, async (told) => evaluateWeights(await weightsOf(), told, tasks));
}

/** Each task judged on a model of its own. */
export async function evaluateEach(
  row: string,
  tasks: readonly (readonly [string, number])[],
  weightsOf: (task: number) => Promise<Weights>,
  options: EvaluateOptions,
): Promise<Evaluations> {
  const names = tasks.map(([name]) => name);
  return telling(options, row, names, async (told) => {
    const results = new Map<string, Evaluation | UnlabelledEvaluation>();
    for (const [name, task] of tasks) {
      const weights = await weightsOf(task);
      for (const [found, result] of await evaluateWeights(weights, told, [name])) results.set(found, result);
    }
    return results;
  });
}

/** The mean of the models' logits on every example, summed in float64. */
export async function evaluateEnsemble(
  row: string,
  tasks: readonly string[],
  models: readonly (() => Promise<Weights>)[],
  options: EvaluateOptions,
): Promise<Evaluations> {
  return telling(options, row, tasks, (told) => ensemble(models, told, tasks), models.length);
}

async function ensemble(
  models: readonly (() => Promise<Weights>)[],
  { classifier, examples, limit, signal, onExamples }: ToldOptions,
  names: readonly string[],
): Promise<Evaluations> {
  const sums = new Map<string, Float64Array>();
  for (const model of models) {
    await classifier.setWeights(await model());
    for (const name of names) {
      const store = examples.get(name);
      if (store === undefined) continue;
      const logits = await classifier.taskLogits(name, store, { limit, signal, onExamples });
      const sum = sums.get(name) ?? new Float64Array(logits.length);
      for (let i = 0; i < logits.length; i++) sum[i] = (sum[i] ?? 0) + (logits[i] ?? 0) / models.length;
      sums.set(name, sum);
    }
  }
  const results = new Map<string, Evaluation | UnlabelledEvaluation>();
  for (const [name, sum] of sums) {
    const store = examples.get(name);
    if (store === undefined) continue;
    const classes = sum.length / Math.min(limit ?? store.size, store.size);
    results.set(name, judgeExamples(name, Float32Array.from(sum), classes, store));
  }
  return results;
}

/** A stream of tensors as weights by name; `more` is told of each. */
export async function collect(
  tensors: AsyncIterable<{ name: string; values: Float32Array }>,
  more: (tensors: number) => void = () => {},
): Promise<Map<string, Float32Array>> {
  const weights = new Map<string, Float32Array>();
  for await (const { name, values } of tensors) {
    weights.set(name, values);
    more(1);
  }
  return weights;
}
