/**
 * Tensors whose elements do not lie in row-major order in their file: transposed, sliced and expanded views of a storage, as PyTorch saves them,
 * and matrices that another layout of a model has the other way round. Strides count elements and are never negative.
 */

/** Whether elements with these strides lie one after another in row-major order, so that no stride is needed to read them. */
export function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  if (shape.includes(0)) return true;
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const dim = shape[axis] ?? 0;
    // The stride of an axis of length 1 is never taken.
    if (dim > 1 && strides[axis] !== step) return false;
    step *= dim;
  }
  return true;
}

/** The strides of row-major order. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  const strides: number[] = [];
  let step = 1;
  for (const dim of shape.toReversed()) {
    strides.unshift(step);
    step *= dim;
  }
  return strides;
}

/** Elements of storage from the first to the last one of the view, both counted; 0 for a view without elements. */
export function spannedElements(shape: readonly number[], strides: readonly number[]): number {
  if (shape.includes(0)) return 0;
  return shape.reduce((last, dim, axis) => last + (dim - 1) * (strides[axis] ?? 0), 1);
}

/** A row-major copy of the view whose first element is the first of `source`. `itemBytes` is 1, 2, 4 or 8. */
export function gatherView(
  source: Uint8Array<ArrayBuffer>,
  itemBytes: number,
  shape: readonly number[],
  strides: readonly number[],
): Uint8Array<ArrayBuffer> {
  // Eight bytes are two words of four that lie side by side.
  if (itemBytes === 8) return gatherView(source, 4, [...shape, 2], [...strides.map((stride) => stride * 2), 1]);
  const count = shape.reduce((product, dim) => product * dim, 1);
  const bytes = new Uint8Array(count * itemBytes);
  copyInOrder(wordsOf(source, itemBytes), wordsOf(bytes, itemBytes), shape, strides);
  return bytes;
}

type Words = Uint8Array | Uint16Array | Uint32Array;

function wordsOf({ buffer, byteLength }: Uint8Array<ArrayBuffer>, itemBytes: number): Words {
  const Words = itemBytes === 4 ? Uint32Array : itemBytes === 2 ? Uint16Array : Uint8Array;
  return new Words(buffer, 0, byteLength / itemBytes);
}

function copyInOrder(from: Words, to: Words, shape: readonly number[], strides: readonly number[]): void {
  const last = shape.length - 1;
  const [length, step] = [shape[last] ?? 1, strides[last] ?? 1];
  // Indices of all axes but the last, counted up like an odometer; `start` is where they lead.
  const index = new Array<number>(Math.max(0, last)).fill(0);
  let start = 0;
  for (let done = 0; done < to.length; done += length) {
    for (let i = 0; i < length; i++) to[done + i] = from[start + i * step] ?? 0;
    for (let axis = last - 1; axis >= 0; axis--) {
      const stride = strides[axis] ?? 0;
      const next = (index[axis] ?? 0) + 1;
      start += stride;
      if (next < (shape[axis] ?? 0)) {
        index[axis] = next;
        break;
      }
      start -= next * stride;
      index[axis] = 0;
    }
  }
}
