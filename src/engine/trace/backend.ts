/**
 * A tfjs backend that computes nothing: each kernel appends ONNX nodes to the current graph and returns
 * symbols. tfjs's own autodiff on top of it therefore records forward and backward passes as one static graph.
 * A symbol may be a lazy broadcast: its ONNX value has a smaller shape than the tfjs tensor it stands for, so that
 * `ones` and the gradient of a sum stay scalars; `materialize` expands it where an operator needs the full shape.
 */
import { assert, NumericError } from "../../errors.js";
import {
  type Attribute,
  addConstant,
  addInts,
  addNode,
  createGraph,
  type OnnxGraph,
  type OnnxNode,
} from "../onnx/graph.js";
import { sizeOf } from "../program.js";
import { type DataType, type TensorInfo, tfjs } from "../tfjs.js";

export const TRACE_BACKEND = "adamerge-trace";

/** What stands behind one traced tensor. */
interface SymbolData {
  readonly name: string;
  /** The shape of the ONNX value; broadcasts to the tensor's shape. */
  readonly storedShape: readonly number[];
  /** The value, when it is one known number everywhere. */
  readonly uniform?: number;
}

/** `batch` products of [rows, inner] with [inner, columns]. */
export interface MatrixProduct {
  readonly batch: number;
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
}

export class TraceBackend extends tfjs.KernelBackend {
  graph: OnnxGraph = createGraph();
  /** By the ONNX value that holds the result; for counting operations. */
  readonly products = new Map<string, MatrixProduct>();
  /** The float16 input behind a value that was widened from it. */
  readonly narrow = new Map<string, string>();
  /** ONNX operators that the device of this trace has no kernel for. */
  lacks: ReadonlySet<string> = new Set();
  private symbols = new WeakMap<object, SymbolData>();
  /** What a reshaped value was before. */
  private readonly unshaped = new Map<string, { readonly name: string; readonly shape: readonly number[] }>();
  /** Values that were reshaped or expanded, by what they came from and to which shape, so that each is made once. */
  private readonly views = new Map<string, string>();
  private count = 0;

  /** Starts an empty graph for a device without the operators in `lacks`; tensors of an earlier trace are no longer valid. */
  reset(lacks: ReadonlySet<string>): void {
    this.lacks = lacks;
    this.graph = createGraph();
    this.products.clear();
    this.narrow.clear();
    this.unshaped.clear();
    this.views.clear();
    this.symbols = new WeakMap();
    this.count = 0;
  }

  override numDataIds(): number {
    return this.count;
  }
  override epsilon(): number {
    return 1e-7;
  }
  override floatPrecision(): 16 | 32 {
    return 32;
  }
  override refCount(): number {
    return 1;
  }
  override incRef(): void {}
  override disposeData(): boolean {
    return true;
  }
  override timerAvailable(): boolean {
    return false;
  }

  /** tfjs hands over the values of a constant. */
  override write(values: unknown, shape: number[], dtype: DataType): object {
    return this.constant(numbersOf(values), shape, dtype).dataId;
  }

  override readSync(): never {
    throw new NumericError(
      "a program being compiled read the value of a tensor (dataSync, arraySync or a branch on data); " +
        "values do not exist while tracing: express the choice with tensor operations, or use engine=tfjs",
    );
  }

  override read(): never {
    return this.readSync();
  }

  /** A tensor of known values; one that holds a single repeated number becomes a scalar. */
  constant(values: ArrayLike<number>, shape: readonly number[], dtype: DataType): TensorInfo {
    const first = values[0] ?? 0;
    let uniform = true;
    for (let index = 1; uniform && index < values.length; index++) uniform = Object.is(values[index], first);
    if (uniform) return this.fill(first, shape, dtype);
    return this.symbol(this.storeConstant(values, shape, dtype), shape, dtype);
  }

  /** A tensor that is `value` everywhere, stored as a scalar. */
  fill(value: number, shape: readonly number[], dtype: DataType): TensorInfo {
    const name = this.storeConstant([value], [], dtype);
    return this.register({ name, storedShape: [], uniform: value }, shape, dtype);
  }

  private storeConstant(values: ArrayLike<number>, shape: readonly number[], dtype: DataType): string {
    if (dtype === "float32") return addConstant(this.graph, "float32", shape, Float32Array.from(values));
    if (dtype === "int32") return addConstant(this.graph, "int32", shape, Int32Array.from(values));
    if (dtype === "bool") return addConstant(this.graph, "bool", shape, Uint8Array.from(values));
    throw new NumericError(
      `cannot trace a constant of type ${dtype}; float32, int32 and bool exist in compiled programs`,
    );
  }

  /** The tensor for the ONNX value `name` of exactly `shape`. */
  symbol(name: string, shape: readonly number[], dtype: DataType = "float32"): TensorInfo {
    return this.register({ name, storedShape: shape }, shape, dtype);
  }

  /** A tensor of `shape` whose ONNX value has a smaller shape that broadcasts to it. */
  broadcast(name: string, storedShape: readonly number[], shape: readonly number[], dtype: DataType): TensorInfo {
    return this.register({ name, storedShape }, shape, dtype);
  }

  /** The same values under another claimed shape; only for uniform tensors, or when storage does not change. */
  private register(data: SymbolData, shape: readonly number[], dtype: DataType): TensorInfo {
    const dataId = {};
    this.symbols.set(dataId, data);
    this.count += 1;
    return { dataId, shape: [...shape], dtype };
  }

  /** What stands behind `tensor`. */
  lookup(tensor: TensorInfo): SymbolData {
    const data = this.symbols.get(tensor.dataId);
    assert(data !== undefined, "a tensor from outside the trace reached a traced operation");
    return data;
  }

  /** The ONNX value of `tensor` with its full shape. */
  materialize(tensor: TensorInfo): string {
    const { name, storedShape } = this.lookup(tensor);
    if (sameShape(storedShape, tensor.shape)) return name;
    if (sizeOf(storedShape) === sizeOf(tensor.shape)) return this.reshapedValue(name, storedShape, tensor.shape);
    return this.once(`expand ${name} ${tensor.shape.join("x")}`, () =>
      addNode(this.graph, "Expand", [name, addInts(this.graph, tensor.shape)]),
    );
  }

  /** The same values in another shape. */
  reshaped(tensor: TensorInfo, shape: readonly number[]): TensorInfo {
    const { uniform } = this.lookup(tensor);
    if (uniform !== undefined) return this.fill(uniform, shape, tensor.dtype);
    return this.symbol(this.reshapedValue(this.materialize(tensor), tensor.shape, shape), shape, tensor.dtype);
  }

  /** Layers reshape to and fro, forward and backward: of a chain one node is left, of equal ones one, of a return to the start none. */
  private reshapedValue(name: string, from: readonly number[], shape: readonly number[]): string {
    const origin = this.unshaped.get(name) ?? { name, shape: from };
    if (sameShape(origin.shape, shape)) return origin.name;
    return this.once(`reshape ${origin.name} ${shape.join("x")}`, () => {
      const output = addNode(this.graph, "Reshape", [origin.name, addInts(this.graph, shape)]);
      this.unshaped.set(output, origin);
      return output;
    });
  }

  private once(key: string, add: () => string): string {
    const output = this.views.get(key) ?? add();
    this.views.set(key, output);
    return output;
  }

  /** Appends a node over full-shape values (strings are ONNX names already) and returns its single output. */
  emit(
    op: string,
    inputs: readonly (TensorInfo | string)[],
    shape: readonly number[],
    options: {
      dtype?: DataType;
      attributes?: Readonly<Record<string, Attribute>>;
      domain?: OnnxNode["domain"];
    } = {},
  ): TensorInfo {
    const names = inputs.map((input) => (typeof input === "string" ? input : this.materialize(input)));
    const output = addNode(this.graph, op, names, options.attributes, options.domain);
    return this.symbol(output, shape, options.dtype);
  }

  /** An int64 vector constant (shape, axes, starts, ...). */
  ints(values: readonly number[]): string {
    return addInts(this.graph, values);
  }
}

/** Whether two shapes are equal. */
export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

function numbersOf(values: unknown): ArrayLike<number> {
  assert(
    values instanceof Float32Array ||
      values instanceof Int32Array ||
      values instanceof Uint8Array ||
      Array.isArray(values),
    "tfjs wrote values of an unknown kind into a trace",
  );
  return values;
}

let instance: TraceBackend | undefined;

/** The one trace backend, registered with tfjs on first use. */
export function traceBackend(): TraceBackend {
  if (instance === undefined) {
    const created = new TraceBackend();
    tfjs.registerBackend(TRACE_BACKEND, () => created, 0);
    instance = created;
  }
  return instance;
}

/** Whether the code that calls this is being traced rather than computed. */
export function isTracing(): boolean {
  return tfjs.getBackend() === TRACE_BACKEND;
}
