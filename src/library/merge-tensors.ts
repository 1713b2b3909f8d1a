/**
 * `mergeTensors` for programs: merges state dicts in memory, with every training-free method that needs no examples and by every definition of
 * merge files. The arithmetic is that of a merge from files (run/merge-models/), piece by piece, so that the result has the same bits.
 */
import { setImmediate } from "node:timers/promises";
import { ConfigError, NumericError } from "../errors.js";
import { expertOf } from "../merge/methods/expert-weights.js";
import type { MergeMethod, ModelSource, Piece } from "../merge/methods/method.js";
import { chooseMethod } from "../run/judge/choose-method.js";
import { PIECE_ELEMENTS } from "../run/merge-models/merge-tensor.js";
import { quote } from "../runtime/printable.js";
import { mergeEachTensor } from "./merge-each-tensor.js";
import { type NamedDicts, requireAlike, type StateDict, type StateTensor } from "./state-dict.js";

/** What both ways to merge have. */
interface MergeTensorsOptions {
  /** In order, or with names, which errors and per-task methods use. */
  readonly experts: readonly StateDict[] | NamedDicts;
  /** Over the method's defaults. */
  readonly settings?: Readonly<Record<string, unknown>> | undefined;
  /** Of everything random in the method; default: 0. */
  readonly seed?: number | undefined;
  /** Stops the merge: it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** By a method's paper: a name of `methods()`, as under `method` in merge files. */
export interface MergeByMethod extends MergeTensorsOptions {
  readonly base: StateDict;
  readonly method: string;
  /** Whose model is made, where the method makes one for each task: the expert's name, or its place. */
  readonly task?: string | number | undefined;
}

/** By mergekit's definition: each tensor by itself, as under `merge_method` in merge files. */
export interface MergeByDefinition extends MergeTensorsOptions {
  /** Only of definitions that have one; `linear` has none. */
  readonly base?: StateDict | undefined;
  readonly mergeMethod: string;
  /** Settings of each expert (`weight`, `density`), before those for all. */
  readonly expertSettings?: readonly Readonly<Record<string, unknown>>[] | undefined;
}

/**
 * The merged tensors, in the order of the base. Throws ConfigError for a method or setting that is not known, CheckpointError for a tensor that is
 * missing or has another shape, and NumericError for a merged value that is not finite.
 */
export async function mergeTensors(request: MergeByMethod | MergeByDefinition): Promise<Map<string, StateTensor>> {
  const experts = namedExperts(request.experts);
  const merged =
    "mergeMethod" in request
      ? await mergeEachTensor({ ...request, experts })
      : await mergeWholeModel({ ...request, experts });
  for (const [name, { values }] of merged) requireFinite(name, values);
  return merged;
}

function namedExperts(experts: readonly StateDict[] | NamedDicts): NamedDicts {
  if (experts instanceof Map) return experts;
  return new Map([...experts.values()].map((expert, index): [string, StateDict] => [`expert ${index}`, expert]));
}

async function mergeWholeModel({
  base,
  experts,
  method: name,
  settings = {},
  seed = 0,
  task,
  signal,
}: Omit<MergeByMethod, "experts"> & { readonly experts: NamedDicts }): Promise<Map<string, StateTensor>> {
  const chosen = chooseMethod(name, settings);
  if (chosen.kind === "reference")
    throw new ConfigError(
      `method: expected a method that merges, found ${name}, which is a model that is there already`,
    );
  const { method, parameters } = chosen;
  if (method.needsImages === true)
    throw new ConfigError(
      `method: ${name} looks at examples, which mergeTensors has none of; \`evaluate\` merges a suite with it`,
    );
  const at = taskIndex(method, task, [...experts.keys()]);
  requireAlike({ name: "the base", tensors: base }, experts);
  const source = memorySource(base, experts, signal);
  const merge = await method.prepare({ source, seed, pieceElements: PIECE_ELEMENTS }, parameters);
  const merged = new Map<string, StateTensor>();
  for (const tensor of source.tensors) {
    const values = new Float32Array(tensor.size);
    const most = method.unit === "tensor" ? Math.max(1, tensor.size) : PIECE_ELEMENTS;
    for (let from = 0; from < tensor.size; from += most) {
      const piece = await source.read(tensor, from, Math.min(tensor.size, from + most));
      values.set(await merge(piece, at), from);
    }
    merged.set(tensor.name, { shape: tensor.shape, values });
  }
  return merged;
}

/** Undefined for methods that make one model for all. */
function taskIndex(
  { name, perTask }: MergeMethod,
  task: string | number | undefined,
  tasks: readonly string[],
): number | undefined {
  if (perTask !== true) {
    if (task === undefined) return undefined;
    throw new ConfigError(`task: expected none with ${name}, which makes one model for all tasks, found ${task}`);
  }
  const index = typeof task === "number" ? task : tasks.indexOf(task ?? "");
  if (Number.isInteger(index) && index >= 0 && index < tasks.length) return index;
  throw new ConfigError(
    `task: expected one of ${tasks.join(", ")}, since ${name} makes a model for each task, found ${task ?? "none"}`,
  );
}

/** Pieces of base and task vectors, which are differences in float32, as those of files are. */
function memorySource(base: StateDict, experts: NamedDicts, signal: AbortSignal | undefined): ModelSource {
  const dicts = [...experts.values()];
  const read: ModelSource["read"] = async (tensor, from, to): Promise<Piece> => {
    // Merging blocks; whoever else is on this thread gets a turn between pieces.
    await setImmediate();
    signal?.throwIfAborted();
    const baseN = valuesOf(base, tensor.name).slice(from, to);
    const taskVectors = dicts.map((expert) => {
      const expertN = valuesOf(expert, tensor.name);
      return baseN.map((value, index) => (expertN[from + index] ?? 0) - value);
    });
    return { tensor, from, baseN, taskVectors };
  };
  return {
    tasks: [...experts.keys()],
    tensors: [...base].map(([name, { shape, values }]) => ({ name, shape, size: values.length })),
    read,
    readExpert: async (tensor, task) => expertOf(await read(tensor, 0, tensor.size), task),
  };
}

function valuesOf(tensors: StateDict, name: string): Float32Array {
  return tensors.get(name)?.values ?? new Float32Array();
}

function requireFinite(name: string, values: Float32Array): void {
  const index = values.findIndex((value) => !Number.isFinite(value));
  if (index < 0) return;
  throw new NumericError(
    `tensor ${quote(name)}: expected a finite merged value at index ${index}, found ${values[index]}; look for NaN and infinities in the models, or use smaller weights`,
  );
}
