/**
 * What a training-free merging method is: parameters with defaults, what it needs to know, and a function that is given the
 * model in pieces. A method never sees where the model comes from (a bundle, checkpoints of any size) nor where the
 * result goes. K tasks, N elements of one piece.
 */
import type { z } from "zod";
import type { KeptChanges } from "./kept-changes.js";

/** A tensor that every expert changed. */
export interface SourceTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly size: number;
}

/** Neighbouring elements of one tensor, or all of it: the base and each task vector. */
export interface Piece {
  readonly tensor: SourceTensor;
  /** Index of the first element within the tensor. */
  readonly from: number;
  readonly baseN: Float32Array;
  /** K arrays of N, in the order of the tasks. */
  readonly taskVectors: readonly Float32Array[];
}

/** A model to be merged, read in pieces and as often as a method likes; tensors that no expert changed are not in it. */
export interface ModelSource {
  readonly tasks: readonly string[];
  readonly tensors: readonly SourceTensor[];
  /** Elements `from` to `to` (excluded) of a tensor, as fresh arrays that the caller may change. */
  read(tensor: SourceTensor, from: number, to: number): Promise<Piece>;
  /** A whole tensor of one task's expert, theta0 + tau [N]. */
  readExpert(tensor: SourceTensor, task: number): Promise<Float32Array>;
}

/** The merged values [N] of a piece, float32; of the model for one task where the method makes one for each. */
export type MergePiece = (piece: Piece, task?: number) => Float32Array | Promise<Float32Array>;

/** What a method may ask of models on the unlabelled images of a task: those that fits adapt on. All by the names of tensors. */
export interface ModelProbe {
  /**
   * X^T X [I, I] of the inputs X of the linear layers among `tensors`, over all tokens of the first `examples` images of task `task`, for the
   * model with these weights. Float64, row-major. Where examples differ in length, padding is left out and it is the mean over what is left, as in
   * the code of RegMean's authors (who count padding), so that tasks of long texts do not outweigh the others.
   */
  grams(
    task: number,
    weights: Weights,
    examples: number,
    tensors: readonly string[],
  ): Promise<ReadonlyMap<string, Float64Array>>;
  /**
   * The sums of x^2 [D] over the values x that each scale among `tensors` multiplies element by element: the normalised values of a norm, by the
   * name of its weight, what LayerScale scales. Of the same rows as `grams`. Vectors that the model does not say this of are not among the results.
   */
  squares(
    task: number,
    weights: Weights,
    examples: number,
    tensors: readonly string[],
  ): Promise<ReadonlyMap<string, Float64Array>>;
  /**
   * The diagonal of the Fisher information of every tensor, for the model with these weights on `examples` images of the task: the mean over
   * images of the sum over classes of p (d log p / d theta)^2. Classes are left out once those before them, the largest
   * p (1 - p) first, make up the share `coverage` of the sum of p (1 - p).
   */
  fisher(
    task: number,
    weights: Weights,
    examples: number,
    coverage: number,
  ): Promise<ReadonlyMap<string, Float64Array>>;
  /**
   * Begins a pass of the tasks' examples, the first `examples` of each, through the model part by part. Absent for a model of which nobody knows
   * the parts.
   */
  readonly partwise?: (examples: number) => PartwiseProbe;
  /** The gradient, with respect to every tensor, of the mean entropy of the model's predictions on `examples` images of the task. */
  entropyGradient(task: number, weights: Weights, examples: number): Promise<ReadonlyMap<string, Float64Array>>;
}

/** The tensors of one part of a model's forward pass. */
export interface ProbedPart {
  readonly tensors: readonly string[];
  /** Those of them that are matrices of linear layers. */
  readonly linear: readonly string[];
}

/**
 * A pass of examples through a model whose weights are found part by part: what goes into the next part is kept, so that nothing is computed again
 * from the first layer on.
 */
export interface PartwiseProbe {
  /** What is before the blocks, each block, what is behind them. */
  readonly parts: readonly ProbedPart[];
  /** `ModelProbe.grams` for the linear layers of the part that is next, with these weights in it, and those of `advance` before it. */
  grams(task: number, weights: Weights): Promise<ReadonlyMap<string, Float64Array>>;
  /** The examples of all tasks go through the part that is next, with these weights in it. */
  advance(weights: Weights): Promise<void>;
  /** Releases what was kept. */
  close(): Promise<void>;
}

/** Values of every tensor of a model, by name. */
export type Weights = ReadonlyMap<string, Float32Array>;

/** What a method is given before the first piece: the models, and what depends on the merge as a whole. */
export interface MergeContext {
  readonly source: ModelSource;
  /** Runs models on images; only methods with `needsImages` look for it. */
  readonly probe?: ModelProbe;
  /** The base's values of the tensors that no expert changed, for `probe`. */
  readonly unchanged?: () => Promise<Weights>;
  /** Of everything random in the method. */
  readonly seed: number;
  /** Elements of a task vector that may be in memory at once, for methods that look at the whole model first. */
  readonly pieceElements: number;
  /** What a method found out about the whole model: filled by the first who prepares it, and read by others, such as threads that share the work. */
  readonly findings?: Map<string, unknown>;
  /** For methods that only scale what took long; given where one of them merges the same model several times. */
  readonly changes?: KeptChanges;
}

/** How much of a tensor a method must see at once: any run of elements, or all of it. */
export type MergeUnit = "element" | "tensor";

/**
 * The weights of the task vectors [K], tensor by tensor, where a method's model is theta0 + sum_t w_t tau_t whatever
 * they hold.
 */
export type WeightsOf = (tensor: string) => readonly number[];

/** What `defineMethod` takes: a method's name, its settings as a schema, and what makes the function that merges a piece. */
export interface MethodSpec<Parameters extends z.ZodObject> {
  /** As in configs. */
  readonly name: string;
  readonly title: string;
  readonly paper: string;
  readonly parameters: Parameters;
  readonly unit: MergeUnit;
  /** Makes a model for each task instead of one for all: the task must be known at inference. */
  readonly perTask?: true;
  /** Looks at unlabelled images of every task, through the context's probe. */
  readonly needsImages?: true;
  /** What is stored beside one model of `elements` merged elements, so that each of the tasks has its own; 0 if not given. */
  readonly extraBytes?: (elements: number, tasks: number) => number;
  /**
   * For methods that only weigh task vectors, by which a merge of adapters is one adapter; undefined with settings by
   * which they do more.
   */
  readonly weights?: (
    model: { readonly tasks: readonly string[]; readonly tensors: readonly string[] },
    parameters: z.output<Parameters>,
  ) => WeightsOf | undefined;
  readonly prepare: (context: MergeContext, parameters: z.output<Parameters>) => Promise<MergePiece>;
}

/** A method as the registry holds it; `prepare` takes what the parameters' schema has made of a config. */
export interface MergeMethod extends Omit<MethodSpec<z.ZodObject>, "prepare" | "weights"> {
  /** Throws ZodError for wrong parameters, ConfigError for those that do not fit the model. */
  readonly weights?: (
    model: { readonly tasks: readonly string[]; readonly tensors: readonly string[] },
    parameters: unknown,
  ) => WeightsOf | undefined;
  /** Looks at the model as often as it needs, and returns the function that merges a piece. Throws ZodError for wrong parameters. */
  readonly prepare: (context: MergeContext, parameters: unknown) => Promise<MergePiece>;
}

/** Keeps the types of a method's parameters inside its file. */
export function defineMethod<Parameters extends z.ZodObject>(spec: MethodSpec<Parameters>): MergeMethod {
  const { weights, ...rest } = spec;
  return {
    ...rest,
    ...(weights === undefined
      ? {}
      : { weights: (model, parameters) => weights(model, spec.parameters.parse(parameters)) }),
    prepare: (context, parameters) => spec.prepare(context, spec.parameters.parse(parameters)),
  };
}

/** Every piece of the model, tensor by tensor: whole tensors for the unit `tensor`. */
export async function* piecesOf({ source, pieceElements }: MergeContext, unit: MergeUnit): AsyncGenerator<Piece> {
  for (const tensor of source.tensors) {
    const most = unit === "tensor" ? tensor.size : pieceElements;
    for (let from = 0; from < tensor.size; from += most)
      yield await source.read(tensor, from, Math.min(tensor.size, from + most));
  }
}

/**
 * What `find` finds out about the whole model, or what was found by that name and those settings before: of the method's settings those that the
 * finding depends on. Plain data, so that it can go to other threads.
 */
export async function remember<T>(
  { findings }: MergeContext,
  name: string,
  find: () => Promise<T>,
  settings: Readonly<Record<string, unknown>> = {},
): Promise<T> {
  const key = `${name} ${JSON.stringify(settings)}`;
  // The name is the method's own, and so is what is found under it.
  if (findings?.has(key)) return findings.get(key) as T;
  const found = await find();
  findings?.set(key, found);
  return found;
}

/** theta0 + the values that `change` gives for each element, summed in float64 and rounded once. */
export function addToBase({ baseN }: Piece, change: (element: number) => number): Float32Array {
  const merged = new Float32Array(baseN.length);
  for (let element = 0; element < merged.length; element++) merged[element] = (baseN[element] ?? 0) + change(element);
  return merged;
}
