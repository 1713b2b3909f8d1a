/**
 * Stored elements of every float type that is read, as float32: the one place that knows which types these are. Values
 * of F64 are rounded to float32, in which all arithmetic begins; the others are exact.
 */
import { CheckpointError } from "../errors.js";
import { quote } from "../runtime/printable.js";
import { decodeFloat8Into, isFloat8 } from "./float8.js";
import { decodeBfloat16Into, decodeFloat16Into } from "./float16.js";

/** For messages. */
export const READ_DTYPES = "F64, F32, F16, BF16, F8_E4M3 or F8_E5M2";

/** Whether `decodeFloats` reads this dtype. */
export function isFloatDtype(dtype: string): boolean {
  return dtype === "F64" || dtype === "F32" || dtype === "F16" || dtype === "BF16" || isFloat8(dtype);
}

/** Where elements come from, for the error: `first` is the index of the first one in its tensor. */
export interface ElementsPlace {
  readonly path: string;
  readonly name: string;
  readonly dtype: string;
  readonly first: number;
}

/**
 * Decodes `buffer`, which holds at least as many elements, into `values`. Throws CheckpointError for numbers of F64
 * that float32 does not reach, and for a dtype that is not a float.
 */
export function decodeFloats(buffer: ArrayBuffer, place: ElementsPlace, values: Float32Array): void {
  const { dtype } = place;
  const { length } = values;
  if (dtype === "F32") values.set(new Float32Array(buffer, 0, length));
  else if (dtype === "F16") decodeFloat16Into(new Uint16Array(buffer, 0, length), values);
  else if (dtype === "BF16") decodeBfloat16Into(new Uint16Array(buffer, 0, length), values);
  else if (dtype === "F64") narrow(new Float64Array(buffer, 0, length), place, values);
  else if (isFloat8(dtype)) decodeFloat8Into(dtype, new Uint8Array(buffer, 0, length), values);
  else throw notFloats(place);
}

export function notFloats({ path, name, dtype }: Omit<ElementsPlace, "first">): CheckpointError {
  return new CheckpointError(
    `${path}: tensor ${quote(name)}: expected dtype ${READ_DTYPES}, found ${dtype}. Save the checkpoint again in one of these.`,
  );
}

function narrow(doubles: Float64Array, { path, name, first }: ElementsPlace, values: Float32Array): void {
  values.set(doubles);
  const at = values.findIndex((value, i) => !Number.isFinite(value) && Number.isFinite(doubles[i]));
  if (at < 0) return;
  throw new CheckpointError(
    `${path}: tensor ${quote(name)}: expected numbers within float32, in which models are merged, found ${doubles[at]} at index ${first + at}. Leave this model out, or check how it was saved.`,
  );
}
