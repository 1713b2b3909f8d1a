/**
 * Matrix products. Rank 2 goes to Gemm and batches with a transposed side to com.microsoft.FusedMatMul, so that
 * no transpose is ever computed; devices that lack it compute one.
 */
import { addNode } from "../../onnx/graph.js";
import { sizeOf } from "../../program.js";
import { type TensorInfo, tfjs } from "../../tfjs.js";
import { dimOf, flagAttr, inputOf, type KernelCall, type KernelTable } from "../kernel.js";

function batchMatMul(call: KernelCall): TensorInfo {
  const { backend } = call;
  const a = inputOf(call, "a");
  const b = inputOf(call, "b");
  const transA = flagAttr(call, "transposeA");
  const transB = flagAttr(call, "transposeB");
  const rank = Math.max(a.shape.length, b.shape.length);
  const rows = dimOf(a, a.shape.length - (transA ? 1 : 2));
  const columns = dimOf(b, b.shape.length - (transB ? 2 : 1));
  const inner = dimOf(a, a.shape.length - (transA ? 2 : 1));
  const flags = { transA: { int: transA ? 1 : 0 }, transB: { int: transB ? 1 : 0 } };
  const counted = (result: TensorInfo, batch = 1): TensorInfo => {
    backend.products.set(backend.lookup(result).name, { batch, rows, inner, columns });
    return result;
  };
  if (rank === 2) return counted(backend.emit("Gemm", [a, b], [rows, columns], { attributes: flags }));

  const batch = tfjs.backend_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const shape = [...batch, rows, columns];
  if (batch.every((dim) => dim === 1)) {
    const flat = (tensor: TensorInfo): TensorInfo => backend.reshaped(tensor, tensor.shape.slice(-2));
    const product = backend.emit("Gemm", [flat(a), flat(b)], [rows, columns], { attributes: flags });
    return backend.reshaped(counted(product), shape);
  }
  const size = sizeOf(batch);
  if ((transA || transB) && backend.lacks.has("FusedMatMul")) {
    const sides = [
      transA ? transposed(call, a) : backend.materialize(a),
      transB ? transposed(call, b) : backend.materialize(b),
    ];
    return counted(backend.emit("MatMul", sides, shape), size);
  }
  if (transA || transB) {
    return counted(backend.emit("FusedMatMul", [a, b], shape, { attributes: flags, domain: "com.microsoft" }), size);
  }
  return counted(backend.emit("MatMul", [a, b], shape), size);
}

/** The last two dimensions exchanged. */
function transposed({ backend }: KernelCall, tensor: TensorInfo): string {
  const rank = tensor.shape.length;
  const order = Array.from({ length: rank }, (_, axis) => (axis < rank - 2 ? axis : 2 * rank - 3 - axis));
  return addNode(backend.graph, "Transpose", [backend.materialize(tensor)], { perm: { ints: order } });
}

export const matrixKernels: KernelTable = { BatchMatMul: batchMatMul };
