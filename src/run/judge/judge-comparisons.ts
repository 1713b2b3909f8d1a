/** The models that a fit is read against. */
import type { RunConfig } from "../../config/schema.js";
import { stageConfigs } from "../../config/stages.js";
import { constrain, toTensorCoefficients, uniformCoefficients } from "../../merge/coefficients.js";
import { mergedTensors, unchangedTensors } from "../../merge/merged-weights.js";
import { AVERAGING, EXPERTS, START } from "../../report/summary.js";
import { constraintOf } from "../records/records.js";
import type { EvaluateOptions } from "../session/evaluate-options.js";
import type { Inputs } from "../session/inputs.js";
import { chooseMethod } from "./choose-method.js";
import { collect, type Evaluations, evaluateEach, evaluateOne } from "./evaluate-weights.js";
import { expertWeights, type Judged, judgeMethod, mergedAmong, rowOf } from "./judge-models.js";

/**
 * What a fit is read against: the base, the mean of the experts, each expert on its own task, and the model that the fit starts from. Where task vectors
 * are not the experts' changes of the base as they are, the experts are read from their files.
 */
export async function judgeComparisons(config: RunConfig, inputs: Inputs, options: EvaluateOptions): Promise<Judged[]> {
  const names = inputs.judged.map((task) => task.name);
  const references = await judgeReferences(config, inputs, options);
  const start = () => collect(mergedTensors(inputs.bundle, startCoefficients(config, inputs)));
  const evaluations = await evaluateOne(START, names, start, options);
  return [...references, { row: rowOf(START, names, evaluations), evaluations }];
}

/** Every coefficient [N, K] as a fit begins. */
function startCoefficients(config: RunConfig, { grouping, tasks }: Inputs): Float32Array {
  const [first = config] = stageConfigs(config);
  const initial = tasks.map(() => first.coefficients.initial);
  const values = uniformCoefficients(initial, grouping.groups.length);
  const { parametrisation } = first;
  const constrained = parametrisation === "scalar" ? constrain(values, tasks.length, constraintOf(first)) : values;
  return toTensorCoefficients(constrained, grouping, tasks.length);
}

async function judgeReferences(config: RunConfig, inputs: Inputs, options: EvaluateOptions): Promise<Judged[]> {
  const judge = (name: string) => judgeMethod(config, inputs, chooseMethod(name), options);
  const names = inputs.judged.map((task) => task.name);
  const own = mergedAmong(inputs, names);
  const base = await judge("pretrained");
  if (config.task_vectors.processing === "none" && config.task_vectors.origin === "pretrained")
    return [base, await judge(AVERAGING), ...(own.length === 0 ? [] : [await judge(EXPERTS)])];
  const row = (method: string, evaluations: Evaluations) => ({ row: rowOf(method, names, evaluations), evaluations });
  const averaged = row(AVERAGING, await evaluateOne(AVERAGING, names, () => averageOfExperts(inputs), options));
  if (own.length === 0) return [base, averaged];
  const expert = async (task: number) => changedOnly(inputs, await expertWeights(inputs, task));
  return [base, averaged, row(EXPERTS, await evaluateEach(EXPERTS, own, expert, options))];
}

/** Summed in float64, rounded once; what is not merged is the base's. One expert is in memory at a time. */
async function averageOfExperts(inputs: Inputs): Promise<ReadonlyMap<string, Float32Array>> {
  const sums = new Map<string, Float64Array>();
  const count = inputs.tasks.length;
  for (const task of inputs.tasks.keys())
    for (const [name, values] of await expertWeights(inputs, task)) {
      const sum = sums.get(name) ?? new Float64Array(values.length);
      for (let i = 0; i < values.length; i++) sum[i] = (sum[i] ?? 0) + (values[i] ?? 0) / count;
      sums.set(name, sum);
    }
  return changedOnly(inputs, new Map([...sums].map(([name, sum]) => [name, Float32Array.from(sum)])));
}

/** A model's weights with those of the base where nothing is merged (frozen tensors, a projection). */
async function changedOnly(
  { bundle }: Inputs,
  weights: ReadonlyMap<string, Float32Array>,
): Promise<ReadonlyMap<string, Float32Array>> {
  return new Map([...weights, ...(await unchangedTensors(bundle))]);
}
