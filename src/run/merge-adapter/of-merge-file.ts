/**
 * A merge file whose models are LoRA adapters of one base, written as one adapter. Settings mean what they mean for
 * `mergeModels`; methods are those that only weigh task vectors.
 */
import { dirname } from "node:path";
import { parseUri } from "../../checkpoint/hub/reference.js";
import type { MergeFile } from "../../config/merge-file.js";
import { locateOnHub } from "../../data/suite-paths.js";
import { CheckpointError, ConfigError } from "../../errors.js";
import { mergeMethods } from "../../merge/methods/registry.js";
import { tensorMethods } from "../../merge/per-tensor/registry.js";
import type { ModelWeights } from "../../merge/per-tensor/tensor-method.js";
import type { SummedAdapter } from "../../merge/summed-adapter.js";
import { codeSpan, markdownLine } from "../../report/markdown.js";
import { quote } from "../../runtime/printable.js";
import { mergeInputs } from "../merge-models/merge-place.js";
import type { MergeModel } from "../merge-models/models.js";
import { type MergePlan, type PlannedJob, planMerge } from "../merge-models/plan.js";
import {
  type MergeAdapterOptions,
  type NamedSummand,
  OTHERWISE,
  requireAdapterPlace,
  saveMergedAdapter,
} from "./save-adapter.js";

/** Sums of weights that were written with some digits. */
const MOST_FROM_ONE = 1e-6;

/**
 * Throws ConfigError for a method that does more than weigh task vectors and for weights that change the base itself,
 * CheckpointError for models that are no adapters of one base.
 */
export async function mergeFileToAdapter(file: MergeFile, options: MergeAdapterOptions): Promise<SummedAdapter> {
  await requireAdapterPlace(options, mergeInputs(file, options));
  requireWeighing(file);
  const plan = await planMerge(file, options.hub);
  for (const notice of plan.notices) options.log(`notice: ${notice}`);
  if (file.dtype !== undefined)
    options.log(
      `notice: dtype ${file.dtype} is of merged tensors, of which none is written; --dtype is of the factors`,
    );
  const base = commonBase(file, plan);
  const weightsOf = weighing(file, plan);
  const weights = new Map(
    plan.jobs.flatMap((job) => {
      const found = weightsOf(job);
      if (found === undefined) return [];
      requireBase(file, plan, job, found);
      return [[job.ownNames.pattern, found.modelsM] as const];
    }),
  );
  const summands = plan.models.flatMap(({ name, adapter }, at): NamedSummand[] =>
    adapter === undefined ? [] : [{ name, adapter, weightOf: (tensor: string) => weights.get(tensor)?.[at] ?? 0 }],
  );
  const named = (file.base ?? file.models[0])?.model.text ?? "";
  const hubId = parseUri(await locateOnHub(named, "model", dirname(file.path)))?.id;
  return saveMergedAdapter(
    {
      ...{ base: base.checkpoint, baseName: hubId ?? base.checkpoint.path, summands },
      how: `${markdownLine(plan.title)}: ${codeSpan(file.method.name)}${file.method.kind === "per-tensor" ? ", by mergekit's definition" : ""}.`,
    },
    options,
  );
}

/** Before any model is opened. */
function requireWeighing({ method, locate }: MergeFile): void {
  const found = method.kind === "per-tensor" ? tensorMethods.get(method.name) : mergeMethods.get(method.name);
  const key = method.kind === "per-tensor" ? "merge_method" : "method";
  // What is not known is said by planMerge, and so are wrong parameters.
  if (found === undefined || found.weights !== undefined) return;
  throw notWeighing(`${locate([key])}: ${key}`, method.name);
}

function notWeighing(where: string, method: string, settings = ""): ConfigError {
  const known = [
    ...[...tensorMethods.values()]
      .filter(({ weights }) => weights !== undefined)
      .map(({ name }) => `merge_method ${name}`),
    ...[...mergeMethods.values()].filter(({ weights }) => weights !== undefined).map(({ name }) => `method ${name}`),
  ];
  return new ConfigError(
    `${where}: expected a method that only weighs task vectors (${known.join(", ")}) to save the merge as an adapter, found ${method}${settings}, whose result is no sum of the adapters. ${OTHERWISE}`,
  );
}

/** What the adapters are of. Without a base of the method's it is the model that all of them change. */
function commonBase({ path }: MergeFile, { base, models }: MergePlan): MergeModel {
  const [common] = base === undefined ? models : [base];
  if (common === undefined) throw new ConfigError(`${path}: models: expected adapters, found none`);
  if (base?.adapter !== undefined)
    throw new CheckpointError(
      `${base.adapter.path}: expected a base_model without an adapter to save the merge as an adapter, found one. ${OTHERWISE}.`,
    );
  for (const { name, checkpoint, adapter } of models) {
    const isBase = adapter === undefined && base === undefined && models.some((other) => other.adapter !== undefined);
    if (adapter === undefined && !isBase)
      throw new CheckpointError(
        `${checkpoint.path}: expected LoRA adapters of one base to save the merge as an adapter, found model ${name}. ${OTHERWISE}.`,
      );
    if (checkpoint.path !== common.checkpoint.path)
      throw new CheckpointError(
        `${checkpoint.path}: expected adapters of ${common.checkpoint.path}, as that of ${common.name} is, found another base below model ${name}. ${OTHERWISE}.`,
      );
  }
  return { ...common, adapter: undefined };
}

/** What the models' values of a tensor are multiplied with; undefined for one that is copied from the base. */
function weighing(file: MergeFile, plan: MergePlan): (job: PlannedJob) => ModelWeights | undefined {
  const { method, parameters } = file;
  if (method.kind === "per-tensor") {
    const weights = tensorMethods.get(method.name)?.weights;
    return ({ name, work }) => (work.kind === "tensor" ? weights?.({ name }, work.perModelM, work.shared) : undefined);
  }
  const tensors = plan.jobs.filter(({ work }) => work.kind === "whole-model").map(({ name }) => name);
  const model = { tasks: plan.models.map(({ name }) => name), tensors };
  const weightsOf = mergeMethods.get(method.name)?.weights?.(model, parameters);
  if (weightsOf === undefined) throw notWeighing(`${file.path}: method`, method.name, " with these parameters");
  return ({ name, work }) => {
    if (work.kind !== "whole-model") return undefined;
    const modelsM = weightsOf(name);
    return { base: 1 - modelsM.reduce((sum, own) => sum + own, 0), modelsM };
  };
}

/** An adapter adds to the base, and cannot scale it. */
function requireBase({ path }: MergeFile, { models }: MergePlan, { name }: PlannedJob, found: ModelWeights): void {
  const sum = found.modelsM.reduce((total, own) => total + own, found.base);
  if (Math.abs(sum - 1) <= MOST_FROM_ONE) return;
  throw new ConfigError(
    `${path}: models: expected weights with a sum of 1 for tensor ${quote(name)}, as an adapter leaves the base as it is, found ${sum} of ${models.map((model) => model.name).join(", ")}. Use merge_method task_arithmetic, or normalize`,
  );
}
