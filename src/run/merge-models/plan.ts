/**
 * From a merge file to jobs: opens the headers of all models, compares them, resolves every setting for every tensor, and says what is
 * wrong before anything is written.
 */

import { describeAdapted } from "../../checkpoint/adapter/adapted-tensors.js";
import type { StoredCheckpoint } from "../../checkpoint/checkpoint.js";
import type { ConfigScalar } from "../../checkpoint/config-text.js";
import { isFloatDtype, READ_DTYPES } from "../../checkpoint/decode-floats.js";
import { locationOf } from "../../checkpoint/element-reader.js";
import type { Hub } from "../../checkpoint/hub/request.js";
import type { WriteSpec } from "../../checkpoint/safetensors-writer.js";
import type { StoredTensor } from "../../checkpoint/stored-tensor.js";
import { pytorchNotice } from "../../checkpoint/torch/notice.js";
import type { MergeFile, MergeFileModel } from "../../config/merge-file.js";
import {
  type MergeSetting,
  mergeSettingSchema,
  SETTING_FORMS,
  settingAt,
  type TensorPlace,
} from "../../config/merge-setting.js";
import { sizeOf } from "../../engine/program.js";
import { CheckpointError, ConfigError } from "../../errors.js";
import { tensorPlaces } from "../../merge/depth.js";
import { mergeMethods } from "../../merge/methods/registry.js";
import { tensorMethods } from "../../merge/per-tensor/registry.js";
import type { TensorMethod } from "../../merge/per-tensor/tensor-method.js";
import { nearest } from "../../runtime/nearest.js";
import { quote } from "../../runtime/printable.js";
import { checkCopied, precisionNotice, resultDtype } from "./copied-tensors.js";
import type { TensorJob } from "./jobs.js";
import { requireAllLayers } from "./layer-ranges.js";
import { matchTensors } from "./matched-tensors.js";
import { type MergeModel, openMergeModels } from "./models.js";
import { checkSettingNames } from "./setting-names.js";
import { checkTokenizer } from "./tokenizer-source.js";

export interface PlannedJob extends Omit<TensorJob, "output"> {
  /** What the checkpoints call the tensor. */
  readonly ownNames: { readonly pattern: string; readonly models: readonly string[] };
}

export interface MergePlan {
  /** Whose names, shapes and config the result has: the base, or the first model without one. */
  readonly pattern: StoredCheckpoint;
  readonly specs: readonly WriteSpec[];
  /** A job for each tensor but for where it goes; of a model with an adapter it names the tensors without it. */
  readonly jobs: readonly PlannedJob[];
  /** The base, where the method has one, and the models, in the order of the jobs'. */
  readonly base: MergeModel | undefined;
  readonly models: readonly MergeModel[];
  /** Which adapters are added to which tensors, as text. */
  readonly adapted: string;
  /** Folder whose tokenizer files are copied. */
  readonly tokenizer: string | undefined;
  readonly title: string;
  /** What a person should know of the file and the models: a sentence each. */
  readonly notices: readonly string[];
  /** Fields of config.json that are not the pattern's. */
  readonly configChanges: Readonly<Record<string, ConfigScalar>>;
}

/** Throws ConfigError for settings, CheckpointError for models that do not fit together, and HubError for those that do not come. */
export async function planMerge(file: MergeFile, hub: Hub | undefined): Promise<MergePlan> {
  const method = methodOf(file);
  const needsBase = method.base === "required";
  if (needsBase && file.base === undefined)
    throw new ConfigError(
      `${file.path}: base_model: expected the model that the others come from, found none; ${file.method.name} needs it`,
    );
  const base = needsBase ? file.base : undefined;
  const listed = file.models.filter(({ path }) => path !== base?.path);
  const models = isAverageOfBase(file, method) ? [...listed, ...(file.base === undefined ? [] : [file.base])] : listed;
  if (models.length === 0) throw new ConfigError(`${file.path}: models: expected a model besides the base, found none`);
  if (method.count !== undefined && models.length !== method.count)
    throw new ConfigError(
      `${file.path}: models: expected ${method.count} besides the base for ${file.method.name}, found ${models.length}`,
    );
  const passedOver = method.tensor === undefined ? [] : checkSettingNames(file, method.tensor);
  const opened = await openMergeModels(file, { base, models }, hub);
  const checkpoints = opened.models.map(({ checkpoint }) => checkpoint);
  const pattern = base === undefined ? checkpoints[0] : opened.base?.checkpoint;
  if (pattern === undefined) throw new ConfigError(`${file.path}: models: expected at least one, found none`);
  const all = [...opened.models, ...(opened.base === undefined ? [] : [opened.base])];
  for (const [at, { checkpoint }] of opened.models.entries()) {
    const model = models[at];
    if (model !== undefined) requireAllLayers(model, checkpoint);
  }
  if (base !== undefined) requireAllLayers(base, pattern);
  const first = base === undefined ? opened.models[0] : opened.base;
  const role = base === undefined ? "first model" : "base";
  const matches = await matchTensors({ name: first?.name ?? "", checkpoint: pattern, role }, opened.models);
  const { tensors, configChanges } = matches;
  await checkCopied(pattern, tensors, opened.models);
  const named = all.map(({ name, checkpoint }) => ({ name, path: checkpoint.path }));
  const notices = [
    ...file.notices,
    ...passedOver,
    ...(await checkTokenizer(file, opened.tokenizer, named)),
    ...matches.notices,
    ...precisionNotice(all),
  ];
  const places = tensorPlaces(tensors.map(({ name }) => name));
  const specs: WriteSpec[] = [];
  const jobs = tensors.map((tensor, index) => {
    const { name, pattern: own } = tensor;
    const { shape, dtype } = own.stored;
    const isMerged = tensor.work === "merge" && isFloatDtype(dtype);
    const inModels = isMerged ? tensor.models : [];
    inModels.forEach(({ name: inModel, stored }, at) => {
      requireFloat(inModel, stored, checkpoints[at]);
    });
    specs.push({ name, shape, dtype: isMerged ? resultDtype(file, pattern, own.name, dtype) : dtype });
    return {
      name,
      shape,
      size: sizeOf(shape),
      base: base === undefined ? undefined : locationOf(own.stored),
      models: inModels.map(({ stored }) => locationOf(stored)),
      modelNames: models.map((model) => model.name),
      work: isMerged
        ? workOf(file, models, method.tensor, places[index] ?? { name, depth: 0 })
        : ({ kind: "copy", from: locationOf(own.stored) } as const),
      ownNames: { pattern: own.name, models: inModels.map((model) => model.name) },
    };
  });
  const pytorch = pytorchNotice([...new Set([pattern, ...checkpoints])]);
  const adapted = all.map(({ adapter, checkpoint }) => adapter && describeAdapted(adapter, checkpoint)).join("\n");
  return {
    pattern,
    specs,
    jobs,
    ...opened,
    adapted,
    title: method.title,
    notices: pytorch === undefined ? notices : [pytorch, ...notices],
    configChanges,
  };
}

interface PlannedMethod {
  readonly title: string;
  readonly base: "required" | "unused";
  readonly count?: number | undefined;
  /** Where it merges each tensor by itself. */
  readonly tensor?: TensorMethod;
}

/** A base that no method needs and no list has is one more model for mergekit, if the file has a weight for all. */
function isAverageOfBase({ base, models, parameters }: MergeFile, { tensor }: PlannedMethod): boolean {
  return tensor?.base === "unused" && base !== undefined && !models.includes(base) && parameters.weight !== undefined;
}

function methodOf({ path, method, parameters, locate }: MergeFile): PlannedMethod {
  if (method.kind === "per-tensor") {
    const found = tensorMethods.get(method.name);
    if (found !== undefined) return { title: found.title, base: found.base, count: found.count, tensor: found };
    const elsewhere = mergeMethods.has(method.name) ? `; \`method: ${method.name}\` is its paper's definition` : "";
    throw unknown(locate(["merge_method"]), "merge_method", method.name, tensorMethods.keys(), elsewhere);
  }
  const found = mergeMethods.get(method.name);
  if (found === undefined) throw unknown(locate(["method"]), "method", method.name, mergeMethods.keys(), "");
  if (found.perTask === true)
    throw new ConfigError(
      `${path}: method: ${method.name} makes a model for each task; \`adamerge eval\` judges it, one model cannot be written`,
    );
  if (found.needsImages === true)
    throw new ConfigError(
      `${path}: method: ${method.name} looks at examples, which a merge file does not have; \`adamerge eval --method ${method.name}\` merges a suite with it`,
    );
  const parsed = found.parameters.safeParse(parameters);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new ConfigError(
      `${path}: parameters: ${issue?.path.join(".") || method.name}: ${issue?.message}; see \`adamerge methods ${method.name}\``,
    );
  }
  return { title: found.title, base: "required" };
}

function unknown(place: string, key: string, name: string, known: Iterable<string>, more: string): ConfigError {
  const names = [...known];
  const guess = nearest(name, names);
  return new ConfigError(
    `${place}: ${key}: expected one of ${names.join(", ")}, found ${name}${guess === undefined ? "" : `; did you mean ${guess}?`}${more}`,
  );
}

/** The settings of one tensor: a model's own, else those of the file, else the method's defaults. */
function workOf(
  file: MergeFile,
  models: readonly MergeFileModel[],
  method: TensorMethod | undefined,
  place: TensorPlace,
): TensorJob["work"] {
  if (method === undefined) return { kind: "whole-model" };
  const common = (key: string): unknown => {
    const value = file.parameters[key];
    if (value === undefined) return undefined;
    const setting = mergeSettingSchema.safeParse(value);
    if (setting.success) return settingAt(setting.data, place);
    throw new ConfigError(`${file.locate(["parameters", key])}: parameters: ${key}: ${SETTING_FORMS}`);
  };
  const settings = (keys: readonly string[], own: Readonly<Record<string, MergeSetting>>): Record<string, unknown> => {
    const found: Record<string, unknown> = {};
    for (const key of keys) {
      const setting = own[key];
      const value = (setting === undefined ? undefined : settingAt(setting, place)) ?? common(key);
      if (value !== undefined) found[key] = value;
    }
    return found;
  };
  const perModelM = models.map(({ name, parameters }) =>
    checked(file, method.perModel, settings(Object.keys(method.perModel.shape), parameters), `models: ${name}`, place),
  );
  const shared = checked(file, method.shared, settings(Object.keys(method.shared.shape), {}), "parameters", place);
  return { kind: "tensor", perModelM, shared };
}

function checked(
  { path }: MergeFile,
  schema: TensorMethod["perModel"],
  settings: Readonly<Record<string, unknown>>,
  where: string,
  { name }: TensorPlace,
): Record<string, unknown> {
  const parsed = schema.safeParse(settings);
  if (parsed.success) return settings;
  const issue = parsed.error.issues[0];
  const key = String(issue?.path[0] ?? "");
  const found = key in settings ? String(settings[key]) : "none";
  throw new ConfigError(
    `${path}: ${where}: ${key}: ${issue?.message.replace(/^Invalid input: /, "")} for tensor ${name}, found ${found}`,
  );
}

function requireFloat(name: string, { dtype }: StoredTensor, checkpoint: StoredCheckpoint | undefined): void {
  if (isFloatDtype(dtype)) return;
  throw new CheckpointError(
    `${checkpoint?.path}: tensor ${quote(name)}: expected ${READ_DTYPES}, as in the base, found ${dtype}`,
  );
}
