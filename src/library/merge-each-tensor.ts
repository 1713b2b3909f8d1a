/**
 * Merges state dicts in memory by the definitions of merge files: each tensor by itself, in the kernels' memory, with settings that may differ from
 * tensor to tensor. M models, N elements of a piece.
 */
import { setImmediate } from "node:timers/promises";
import { mergeSettingSchema, SETTING_FORMS, settingAt, type TensorPlace } from "../config/merge-setting.js";
import { ConfigError } from "../errors.js";
import { tensorPlaces } from "../merge/depth.js";
import { clearBehind } from "../merge/kernels/kernel-memory.js";
import { type Kernels, loadKernels } from "../merge/kernels/kernels.js";
import { tensorMethods } from "../merge/per-tensor/registry.js";
import type { TensorMethod, TensorPiece } from "../merge/per-tensor/tensor-method.js";
import { kernelBytes } from "../run/merge-models/kernel-pieces.js";
import { PIECE_ELEMENTS } from "../run/merge-models/merge-tensor.js";
import { nearest } from "../runtime/nearest.js";
import { type NamedDicts, requireAlike, type StateDict, type StateTensor } from "./state-dict.js";

export interface MergeEachOptions {
  readonly base?: StateDict | undefined;
  readonly experts: NamedDicts;
  readonly mergeMethod: string;
  readonly settings?: Settings | undefined;
  readonly expertSettings?: readonly Settings[] | undefined;
  readonly seed?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

type Settings = Readonly<Record<string, unknown>>;

/** Throws as `mergeTensors`. */
export async function mergeEachTensor(options: MergeEachOptions): Promise<Map<string, StateTensor>> {
  const { experts, mergeMethod, settings = {}, expertSettings = [], seed = 0, signal } = options;
  const method = methodOf(mergeMethod);
  const base = baseFor(method, options.base);
  requireCounts(method, experts, expertSettings);
  for (const given of [settings, ...expertSettings]) requireKnown(method, given);
  const [first] = experts;
  const pattern = base === undefined ? first?.[1] : base;
  requireAlike({ name: base === undefined ? (first?.[0] ?? "") : "the base", tensors: pattern ?? new Map() }, experts);
  const names = [...(pattern?.keys() ?? [])];
  const places = tensorPlaces(names);
  const kernels = loadKernels(kernelBytes(experts.size));
  const merged = new Map<string, StateTensor>();
  for (const [at, name] of names.entries()) {
    // Merging blocks; whoever else is on this thread gets a turn between tensors.
    await setImmediate();
    signal?.throwIfAborted();
    const place = places[at] ?? { name, depth: 0 };
    const perModelM = [...experts.keys()].map((expert, model) =>
      checked(method, "perModel", { own: expertSettings[model] ?? {}, common: settings }, place, expert),
    );
    const shared = checked(method, "shared", { own: {}, common: settings }, place, "settings");
    const models = [...experts.values()].map((expert) => valuesOf(expert, name));
    const shape = pattern?.get(name)?.shape ?? [];
    const values = new Float32Array(models[0]?.length ?? 0);
    kernels.memory.release();
    const pieces = memoryPieces(kernels, base && valuesOf(base, name), models, method.inputs === "task-vectors");
    const merge = method.prepare({ name, size: values.length, seed, kernels, stream: pieces }, perModelM, shared);
    for (const piece of pieces()) values.set(merge(piece), piece.from);
    merged.set(name, { shape, values });
  }
  return merged;
}

function methodOf(name: string): TensorMethod {
  const found = tensorMethods.get(name);
  if (found !== undefined) return found;
  const guess = nearest(name, tensorMethods.keys());
  throw new ConfigError(
    `mergeMethod: expected one of ${[...tensorMethods.keys()].join(", ")}, found ${name}${guess === undefined ? "" : `; did you mean ${guess}?`}`,
  );
}

function baseFor({ name, base: use }: TensorMethod, base: StateDict | undefined): StateDict | undefined {
  if (use === "required" && base === undefined)
    throw new ConfigError(`base: expected the model that the experts come from, found none; ${name} needs it`);
  if (use === "unused" && base !== undefined)
    throw new ConfigError(`base: expected none with ${name}, which merges all models alike; put it among the experts`);
  return base;
}

function requireCounts({ name, count }: TensorMethod, experts: NamedDicts, settings: readonly Settings[]): void {
  if (count !== undefined && experts.size !== count)
    throw new ConfigError(`experts: expected ${count} besides the base for ${name}, found ${experts.size}`);
  if (settings.length > 0 && settings.length !== experts.size)
    throw new ConfigError(
      `expertSettings: expected settings for each of the ${experts.size} experts, or for none, found ${settings.length}`,
    );
}

function requireKnown({ name, perModel, shared }: TensorMethod, settings: Settings): void {
  const known = [...Object.keys(perModel.shape), ...Object.keys(shared.shape)];
  const unknown = Object.keys(settings).find((key) => !known.includes(key));
  if (unknown === undefined) return;
  const guess = nearest(unknown, known);
  throw new ConfigError(
    `settings: unknown setting ${unknown} of ${name}, which has ${known.join(", ") || "none"}${guess === undefined ? "" : `; did you mean ${guess}?`}`,
  );
}

/** The settings of one tensor: an expert's own, else those for all; what neither has is the method's default. */
function checked(
  method: TensorMethod,
  part: "perModel" | "shared",
  { own, common }: { readonly own: Settings; readonly common: Settings },
  place: TensorPlace,
  where: string,
): Settings {
  const schema = method[part];
  const found: Record<string, unknown> = {};
  for (const key of Object.keys(schema.shape)) {
    const value = valueAt(own[key], key, place) ?? valueAt(common[key], key, place);
    if (value !== undefined) found[key] = value;
  }
  const parsed = schema.safeParse(found);
  if (parsed.success) return found;
  const [issue] = parsed.error.issues;
  const key = String(issue?.path[0] ?? "");
  throw new ConfigError(
    `${where}: ${key}: ${issue?.message.replace(/^Invalid input: /, "")} for tensor ${place.name}, found ${key in found ? String(found[key]) : "none"}`,
  );
}

function valueAt(value: unknown, key: string, place: TensorPlace): number | boolean | undefined {
  if (value === undefined) return undefined;
  const setting = mergeSettingSchema.safeParse(value);
  if (setting.success) return settingAt(setting.data, place);
  throw new ConfigError(`settings: ${key}: ${SETTING_FORMS}`);
}

/** What gives the tensor's pieces in order, as often as wanted, in arrays of the kernels' memory. */
function memoryPieces(
  kernels: Kernels,
  base: Float32Array | undefined,
  models: readonly Float32Array[],
  asTaskVectors: boolean,
): () => Iterable<TensorPiece> {
  const size = models[0]?.length ?? 0;
  const most = Math.min(size, PIECE_ELEMENTS);
  const sourceOf = (values: Float32Array) => ({ values, array: kernels.memory.floats(most) });
  const baseSource = base === undefined ? undefined : sourceOf(base);
  const modelSources = models.map(sourceOf);
  const read = (from: number, { values, array }: ReturnType<typeof sourceOf>): Float32Array => {
    const length = Math.min(most, size - from);
    array.set(values.subarray(from, from + length));
    // Only the last piece has something behind it.
    if (length < most) clearBehind(array, length);
    return array.subarray(0, length);
  };
  return function* () {
    for (let from = 0; from < size; from += most) {
      const baseN = baseSource && read(from, baseSource);
      const modelsMN = modelSources.map((source) => read(from, source));
      if (asTaskVectors && baseN !== undefined) for (const values of modelsMN) kernels.subtract(values, baseN);
      yield { from, baseN, modelsMN };
    }
  };
}

function valuesOf(tensors: StateDict, name: string): Float32Array {
  return tensors.get(name)?.values ?? new Float32Array();
}
