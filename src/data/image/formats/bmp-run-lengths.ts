/**
 * The run lengths of BMP files (RLE8 and RLE4), decoded to one index a pixel, row by row as they are stored, as Pillow does it
 * (BmpRleDecoder): runs end with their row, what a jump leaves out is colour 0, and a file that ends before its last pixel is cut off.
 */

const CODE = { endOfLine: 0, endOfBitmap: 1, jump: 2 } as const;

/** Throws Error when pixels are missing. */
export function runLengthIndices(data: Uint8Array, width: number, height: number, isRle4: boolean): Uint8Array {
  const indices = new Uint8Array(width * height);
  let [at, done, column] = [0, 0, 0];
  while (done < indices.length && at + 1 < data.length) {
    const [count = 0, value = 0] = data.subarray(at, at + 2);
    at += 2;
    if (count > 0) {
      const kept = Math.min(count, Math.max(0, width - column), indices.length - done);
      for (let index = 0; index < kept; index++) indices[done++] = isRle4 ? nibble(value, index) : value;
      column += kept;
    } else if (value === CODE.endOfLine) {
      done = Math.ceil(done / width) * width;
      column = 0;
    } else if (value === CODE.endOfBitmap) break;
    else if (value === CODE.jump) {
      if (at + 1 >= data.length) break;
      const [right = 0, up = 0] = data.subarray(at, at + 2);
      at += 2;
      done = Math.min(indices.length, done + right + up * width);
      column = done % width;
    } else {
      const length = Math.min(indices.length - done, value);
      const bytes = isRle4 ? Math.ceil(length / 2) : length;
      if (at + bytes > data.length) break;
      for (let index = 0; index < length; index++)
        indices[done++] = isRle4 ? nibble(data[at + (index >> 1)] ?? 0, index) : (data[at + index] ?? 0);
      column += value;
      // Literal pixels fill up to an even byte, counted from the beginning of the file: pixels begin at an even one.
      at += bytes + (bytes % 2);
    }
  }
  if (done < indices.length) throw new Error(`${done} pixels in run lengths, of ${indices.length}`);
  return indices;
}

function nibble(byte: number, index: number): number {
  return index % 2 === 0 ? byte >> 4 : byte & 15;
}
