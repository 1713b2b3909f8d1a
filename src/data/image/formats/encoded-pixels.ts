/**
 * What the readers of formats that sharp does not read (BMP, PNM) share: the image they give, the bound on its size, and the rounding of
 * samples as Pillow does it. The readers are strict: a file that is cut off or contradicts itself throws a plain Error whose text says what
 * is wrong; decode-image.ts says where.
 */

/** A few kilobytes can declare gigapixels. Pillow's own limit (DecompressionBombError): 2 x 89,478,485 pixels. */
export const MAX_PIXELS = 178_956_970;

/** 8-bit samples, row by row from the top; 3 channels are RGB, 4 are RGB with alpha. */
export interface DecodedImage {
  readonly width: number;
  readonly height: number;
  readonly channels: 3 | 4;
  readonly data: Uint8Array;
}

/** Throws for a size of nothing, and for one that no image has. */
export function checkSize(width: number, height: number): void {
  if (width < 1 || height < 1) throw new Error(`a size of ${width} x ${height}`);
  if (width * height > MAX_PIXELS) throw new Error(`a size of ${width} x ${height}, which is too large`);
}

/** `value` of `most`, brought to 0 .. `range`: Python's round, which takes halves to the even number. */
export function scaleSample(value: number, most: number, range: number): number {
  const exact = (value / most) * range;
  const floor = Math.floor(exact);
  const rest = exact - floor;
  const isUp = rest > 0.5 || (rest === 0.5 && floor % 2 === 1);
  return Math.min(range, floor + (isUp ? 1 : 0));
}
