/**
 * What learns outside the graph: parameters of which the merged weights are a function, tensor by tensor. A parametrisation gives the merged tensor
 * from its parameters and the gradient of its parameters from G = dL/dW; it knows no engine, objective or optimiser. One file each, with
 * its formula and its source. K tasks, S elements of one tensor, of R rows and C columns (a vector has none: R = S, C = 1).
 */

/** Parameters and moments: float64, or float32 where there are very many. */
export type Floats = Float32Array | Float64Array;

/** One tensor's base and task vectors. */
export interface TensorParts {
  readonly shape: readonly number[];
  /** W0, [S]. */
  readonly baseS: Float32Array;
  /** tau, [K, S]; empty for a form that does not read them. */
  readonly tauKS: Float32Array;
}

/** The parameters of one tensor, and what they do. */
export interface TensorForm {
  /** Whether `merge` and `gradient` look at task vectors, which need not be read otherwise. */
  readonly readsTaskVectors: boolean;
  /** Whether `start` does, in place of these two or besides. */
  readonly startsFromTaskVectors?: boolean;
  /** Writes the parameters at which W = W0 + initial * sum_t tau_t. */
  start(parts: TensorParts, initial: number, parameters: Floats): void;
  /** W(parameters), [S]. */
  merge(parts: TensorParts, parameters: Floats, mergedS: Float32Array): void;
  /** dL/d parameters from G = dL/dW [S]. */
  gradient(parts: TensorParts, parameters: Floats, gradientS: Float32Array, into: Float64Array): void;
}

export interface TensorSize {
  readonly shape: readonly number[];
  readonly tasks: number;
}

export interface Parametrisation {
  /** Number of a tensor's parameters. */
  size(of: TensorSize): number;
  /** Floats that a form keeps of a tensor besides its parameters; absent where a form follows from the shape alone. */
  kept?(of: TensorSize): number;
  /** Floats that `merge` or `gradient` takes for a moment, where they are more than the tensor with its task vectors. */
  working?(of: TensorSize): number;
  /** With `kept` it may look at base and task vectors once, e.g. to decompose them; else these are empty. */
  form(parts: TensorParts): TensorForm;
}

/** Rows and columns; a tensor of more than two axes is a matrix of its first axis and all others, a vector has one column. */
export function matrixSize(shape: readonly number[]): { readonly rows: number; readonly columns: number } {
  const [rows = 1, ...others] = shape;
  return { rows, columns: others.reduce((product, size) => product * size, 1) };
}

/** Whether a tensor is a matrix (or more), not a vector or a number. */
export const isMatrix = (shape: readonly number[]): boolean => shape.length > 1;

/** A start for forms whose parameters are coefficients, all of them. */
export const allInitial: TensorForm["start"] = (_parts, initial, parameters) => void parameters.fill(initial);

/** Number of task vectors. */
export const tasksOf = ({ baseS, tauKS }: TensorParts): number => tauKS.length / baseS.length;
