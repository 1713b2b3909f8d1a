/**
 * Between files and the kernels' memory: pieces of stored tensors are read into it and decoded, merged values encoded. M models, N elements of
 * a piece.
 */
import type { ElementReader, TensorLocation } from "../../checkpoint/element-reader.js";
import { bytesInMemory, clearBehind } from "../../merge/kernels/kernel-memory.js";
import type { HalfDtype, Kernels } from "../../merge/kernels/kernels.js";
import { BYTES_TO_TRIM } from "../../merge/per-tensor/kept-elements.js";
import type { TensorPiece } from "../../merge/per-tensor/tensor-method.js";
import { type Encode, PIECE_ELEMENTS, plainEncode, type TensorInput } from "./merge-tensor.js";

/** What a method has beside the arrays of its models: addresses, weights. */
const SMALL_ARRAYS_BYTES = 1 << 16;

/** Enough memory for kernels to merge a tensor of as many models and a base. */
export function kernelBytes(models: number): number {
  const values = bytesInMemory(PIECE_ELEMENTS * Float32Array.BYTES_PER_ELEMENT);
  // Bits to be decoded and bits that were encoded take half as much each.
  return (models + 2) * values + models * (BYTES_TO_TRIM + SMALL_ARRAYS_BYTES) + SMALL_ARRAYS_BYTES;
}

/** What gives the tensor's pieces in order, as often as wanted; as task vectors the base is taken away from the models. */
export function kernelPieces(
  kernels: Kernels,
  reader: ElementReader,
  { size, base, models }: TensorInput,
  asTaskVectors: boolean,
): () => Iterable<TensorPiece> {
  const most = Math.min(size, PIECE_ELEMENTS);
  const bits = kernels.memory.halves(most);
  const baseN = base === undefined ? undefined : kernels.memory.floats(most);
  const arrays = models.map((location) => ({ location, values: kernels.memory.floats(most) }));
  const read = (location: TensorLocation, from: number, values: Float32Array): Float32Array => {
    const length = Math.min(values.length, size - from);
    const own = values.subarray(0, length);
    if (!isHalf(location.dtype)) {
      reader.readFloat32(location, from, own);
      // Only the last piece has something behind it.
      if (length < most) clearBehind(values, length);
      return own;
    }
    const target = bits.subarray(0, length);
    reader.readBytes(location, from * target.BYTES_PER_ELEMENT, bytesOf(target));
    if (length < most) clearBehind(bits, length);
    kernels.decode(location.dtype, target, own);
    return own;
  };
  return function* () {
    for (let from = 0; from < size; from += most) {
      const ownBase = base === undefined || baseN === undefined ? undefined : read(base, from, baseN);
      const modelsMN = arrays.map(({ location, values }) => read(location, from, values));
      if (asTaskVectors && ownBase !== undefined) for (const values of modelsMN) kernels.subtract(values, ownBase);
      yield { from, baseN: ownBase, modelsMN };
    }
  };
}

/** What gives the bytes of merged values in the result's dtype, until the next call. */
export function kernelEncode(kernels: Kernels, dtype: string): Encode {
  if (dtype === "F32") return (values) => ({ bytes: bytesOf(values), allFinite: kernels.areFinite(values) });
  if (!isHalf(dtype)) return plainEncode(dtype);
  const bits = kernels.memory.halves(PIECE_ELEMENTS);
  return (values) => {
    const own = bits.subarray(0, values.length);
    const allFinite = kernels.encode(dtype, values, own);
    return { bytes: bytesOf(own), allFinite };
  };
}

/** Whether the kernels have this type; the others are decoded and encoded by themselves. */
function isHalf(dtype: string): dtype is HalfDtype {
  return dtype === "F16" || dtype === "BF16";
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array | Uint16Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
