/** Kernels that move, cut and join values without computing. */
import { addNode, typeCode } from "../../onnx/graph.js";
import { sizeOf } from "../../program.js";
import { type TensorInfo, tfjs } from "../../tfjs.js";
import { dimOf, inputList, inputOf, type KernelCall, type KernelTable, numberAttr, numbersAttr } from "../kernel.js";

function reshape(call: KernelCall): TensorInfo {
  const x = inputOf(call, "x");
  const shape = tfjs.util.inferFromImplicitShape(numbersAttr(call, "shape"), sizeOf(x.shape));
  return call.backend.reshaped(x, shape);
}

function expandDims(call: KernelCall): TensorInfo {
  const x = inputOf(call, "input");
  const dim = numberAttr(call, "dim");
  const shape = [...x.shape];
  shape.splice(dim < 0 ? x.shape.length + dim + 1 : dim, 0, 1);
  return call.backend.reshaped(x, shape);
}

function transpose(call: KernelCall): TensorInfo {
  const x = inputOf(call, "x");
  const perm = numbersAttr(call, "perm");
  const shape = perm.map((axis) => dimOf(x, axis));
  const { uniform } = call.backend.lookup(x);
  if (uniform !== undefined) return call.backend.fill(uniform, shape, x.dtype);
  return call.backend.emit("Transpose", [x], shape, { attributes: { perm: { ints: perm } }, dtype: x.dtype });
}

/** The part [begin, begin + size) of `x`; axes that are kept whole are not mentioned. */
function sliceNode(call: KernelCall, x: TensorInfo, begin: readonly number[], size: readonly number[]): TensorInfo {
  const axes = size.flatMap((dim, axis) => (dim === x.shape[axis] ? [] : [axis]));
  if (axes.length === 0) return call.backend.symbol(call.backend.materialize(x), size, x.dtype);
  const starts = axes.map((axis) => begin[axis] ?? 0);
  const ends = axes.map((axis, index) => (starts[index] ?? 0) + (size[axis] ?? 0));
  const { backend } = call;
  return backend.emit("Slice", [x, backend.ints(starts), backend.ints(ends), backend.ints(axes)], size, {
    dtype: x.dtype,
  });
}

function slice(call: KernelCall): TensorInfo {
  const x = inputOf(call, "x");
  const [begin, size] = tfjs.slice_util.parseSliceParams(
    tensorLike(x),
    numbersAttr(call, "begin"),
    numbersAttr(call, "size"),
  );
  return sliceNode(call, x, begin ?? [], size ?? x.shape);
}

/** slice_util only reads the shape, but is typed for whole tensors. */
function tensorLike(x: TensorInfo): ReturnType<ReturnType<typeof tfjs.engine>["makeTensorFromTensorInfo"]> {
  return tfjs.engine().makeTensorFromTensorInfo(x);
}

function concat(call: KernelCall): TensorInfo {
  const tensors = inputList(call);
  const first = tensors[0];
  if (first === undefined) throw new TypeError("Concat of nothing");
  const axis = tfjs.util.parseAxisParam(numberAttr(call, "axis"), first.shape)[0] ?? 0;
  const shape = tfjs.backend_util.computeOutShape(
    tensors.map((tensor) => tensor.shape),
    axis,
  );
  const filled = tensors.filter((tensor) => sizeOf(tensor.shape) > 0);
  return call.backend.emit("Concat", filled, shape, { attributes: { axis: { int: axis } }, dtype: first.dtype });
}

function splitAlong(call: KernelCall, x: TensorInfo, axis: number, sizes: readonly number[]): TensorInfo[] {
  let begin = 0;
  return sizes.map((length) => {
    const starts = x.shape.map((_, index) => (index === axis ? begin : 0));
    begin += length;
    return sliceNode(
      call,
      x,
      starts,
      x.shape.map((dim, index) => (index === axis ? length : dim)),
    );
  });
}

function splitV(call: KernelCall): TensorInfo[] {
  const x = inputOf(call, "x");
  const axis = tfjs.util.parseAxisParam(numberAttr(call, "axis"), x.shape)[0] ?? 0;
  const given = call.attrs.numOrSizeSplits;
  const splits = Array.isArray(given) ? given.map(Number) : Number(given);
  return splitAlong(call, x, axis, tfjs.backend_util.prepareSplitSize(tensorLike(x), splits, axis));
}

function unpack(call: KernelCall): TensorInfo[] {
  const value = inputOf(call, "value");
  const rank = value.shape.length;
  const axis = (numberAttr(call, "axis") + rank) % rank;
  const parts = splitAlong(call, value, axis, new Array<number>(dimOf(value, axis)).fill(1));
  const shape = value.shape.filter((_, index) => index !== axis);
  return parts.map((part) => call.backend.reshaped(part, shape));
}

function pack(call: KernelCall): TensorInfo {
  const tensors = inputList(call);
  const first = tensors[0];
  if (first === undefined) throw new TypeError("Pack of nothing");
  const rank = first.shape.length + 1;
  const axis = (numberAttr(call, "axis") + rank) % rank;
  const { backend } = call;
  const thin = first.shape.toSpliced(axis, 0, 1);
  const shape = first.shape.toSpliced(axis, 0, tensors.length);
  const parts = tensors.map((tensor) => backend.reshaped(tensor, thin));
  return backend.emit("Concat", parts, shape, { attributes: { axis: { int: axis } }, dtype: first.dtype });
}

function pad(call: KernelCall): TensorInfo {
  const x = inputOf(call, "x");
  const paddings = call.attrs.paddings;
  if (!Array.isArray(paddings)) throw new TypeError("PadV2 without paddings");
  const pairs = paddings.map((pair): [number, number] => {
    if (!Array.isArray(pair)) throw new TypeError("PadV2 with malformed paddings");
    return [Number(pair[0]), Number(pair[1])];
  });
  const shape = x.shape.map((dim, axis) => dim + (pairs[axis]?.[0] ?? 0) + (pairs[axis]?.[1] ?? 0));
  const pads = call.backend.ints([...pairs.map((pair) => pair[0]), ...pairs.map((pair) => pair[1])]);
  const value = call.backend.fill(numberAttr(call, "constantValue"), [], x.dtype);
  return call.backend.emit("Pad", [x, pads, value], shape, { dtype: x.dtype });
}

function tile(call: KernelCall): TensorInfo {
  const x = inputOf(call, "x");
  const reps = numbersAttr(call, "reps");
  const shape = x.shape.map((dim, axis) => dim * (reps[axis] ?? 1));
  return call.backend.emit("Tile", [x, call.backend.ints(reps)], shape, { dtype: x.dtype });
}

/** Rows of what is stored as float16 are widened, not the whole: a table of words is a hundred megabytes. */
function gather(call: KernelCall): TensorInfo {
  const x = inputOf(call, "x");
  const indices = inputOf(call, "indices");
  const axis = tfjs.util.parseAxisParam(numberAttr(call, "axis"), x.shape)[0] ?? 0;
  if (numberAttr(call, "batchDims") !== 0) throw new TypeError("GatherV2 with batchDims cannot be traced");
  const { backend } = call;
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  const attributes = { axis: { int: axis } };
  const narrow = backend.narrow.get(backend.lookup(x).name);
  if (narrow === undefined) return backend.emit("Gather", [x, indices], shape, { attributes, dtype: x.dtype });
  const rows = addNode(backend.graph, "Gather", [narrow, backend.materialize(indices)], attributes);
  const widened = addNode(backend.graph, "Cast", [rows], { to: { int: typeCode("float32") } });
  backend.narrow.set(widened, rows);
  return backend.symbol(widened, shape);
}

/**
 * Sums of the rows of x [N, ...] that have the same number, as tfjs's gradient of a gathering asks for them. ScatterElements and not ScatterND,
 * whose additions ONNX Runtime may do at the same time where a number comes twice.
 */
function unsortedSegmentSum(call: KernelCall): TensorInfo {
  const x = inputOf(call, "x");
  const segments = inputOf(call, "segmentIds");
  const { backend } = call;
  const shape = [numberAttr(call, "numSegments"), ...x.shape.slice(1)];
  const column = backend.reshaped(segments, [dimOf(x, 0), ...x.shape.slice(1).map(() => 1)]);
  const numbers = addNode(backend.graph, "Expand", [backend.materialize(column), backend.ints(x.shape)]);
  const attributes = { axis: { int: 0 }, reduction: { string: "add" } };
  return backend.emit("ScatterElements", [backend.fill(0, shape, x.dtype), numbers, x], shape, {
    attributes,
    dtype: x.dtype,
  });
}

/** tfjs puts the classes last; ONNX wants depth and the pair (off, on) as inputs. */
function oneHot(call: KernelCall): TensorInfo {
  const indices = inputOf(call, "indices");
  const depth = numberAttr(call, "depth");
  const { backend } = call;
  const values = backend.constant(
    Float32Array.of(numberAttr(call, "offValue"), numberAttr(call, "onValue")),
    [2],
    "float32",
  );
  const depthScalar = backend.fill(depth, [], "int32");
  const output = backend.emit(
    "OneHot",
    [indices, depthScalar, backend.materialize(values)],
    [...indices.shape, depth],
    {
      attributes: { axis: { int: -1 } },
    },
  );
  return output;
}

export const shapeKernels: KernelTable = {
  Reshape: reshape,
  ExpandDims: expandDims,
  Transpose: transpose,
  Slice: slice,
  Concat: concat,
  SplitV: splitV,
  Unpack: unpack,
  Pack: pack,
  PadV2: pad,
  Tile: tile,
  GatherV2: gather,
  UnsortedSegmentSum: unsortedSegmentSum,
  OneHot: oneHot,
};
