/**
 * Resizes 8-bit RGB images exactly as Pillow's Image.resize does: separable, antialiased (the filter is widened
 * when shrinking), fixed-point weights, rounded to 8 bits between the two passes, whose order is that of Pillow 13. Not a general
 * resizer: no boxes, no alpha. Source: Pillow src/libImaging/Resample.c (precompute_coeffs,
 * normalize_coeffs_8bpc, ImagingResampleHorizontal_8bpc) and Geometry.c (nearest). H, W, C height, width, channels.
 */
import { assert } from "../../errors.js";

/** How pixels are interpolated, as PIL does it. */
export type ResampleFilter = "nearest" | "box" | "bilinear" | "bicubic";

/** An RGB image: `pixelsHWC` is row-major [height, width, 3]. */
export interface RgbImage {
  readonly height: number;
  readonly width: number;
  readonly pixelsHWC: Uint8Array;
}

/** A part of the resized image; the rest is never computed, which bounds the work on very long images. */
export interface Window {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/** Of an image, in pixels. */
export interface Size {
  readonly height: number;
  readonly width: number;
}

const CHANNELS = 3;
/** Fraction bits of the weights: 32 less 8 bits of pixel less 2 of head room for negative lobes. */
const PRECISION_BITS = 32 - 8 - 2;
const HALF = 1 << (PRECISION_BITS - 1);

/** Which inputs make each output of one axis, and how much each counts (fixed point, `taps` per output). */
interface AxisWeights {
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  readonly weights: Int32Array;
  readonly taps: number;
}

const kernels = {
  box: { support: 0.5, weight: (x: number) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x: number) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weight: cubic },
} as const;

/** Keys' cubic convolution with a = -0.5, in the grouping of terms that Pillow uses. */
function cubic(offset: number): number {
  const a = -0.5;
  const x = Math.abs(offset);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/**
 * The part `window` (which must lie inside) of `image` resized to `size`: uint8 [window.height, window.width, 3].
 * An axis whose size does not change is copied, so an image already of that size keeps its exact bytes.
 */
export function resample(image: RgbImage, size: Size, filter: ResampleFilter, window: Window): Uint8Array {
  assert(
    window.top >= 0 &&
      window.left >= 0 &&
      window.top + window.height <= size.height &&
      window.left + window.width <= size.width,
    "the window of a resize lies outside of the image",
  );
  if (filter === "nearest") return nearest(image, size, window);
  const rows = axisWeights(image.height, size.height, filter, window.top, window.height);
  const columns = axisWeights(image.width, size.width, filter, window.left, window.width);
  return isVerticalFirst(image, size) ? vertical(image, rows, columns) : horizontal(image, rows, columns);
}

/**
 * Pillow 13 begins with the axis that leaves less to do, which its versions before did not; where it does, results differ by a few levels. The rule was found by
 * comparing both orders with its results: the height must shrink, by more than twice as many pixels as the width.
 */
function isVerticalFirst(image: Size, size: Size): boolean {
  const shrunk = image.height - size.height;
  return shrunk > 0 && shrunk > 2 * (image.width - size.width);
}

/** Columns of every needed row first, then rows. */
function horizontal(image: RgbImage, rows: AxisWeights, columns: AxisWeights): Uint8Array {
  const [firstRow, lastRow] = inputRange(rows);
  const stride = columns.starts.length * CHANNELS;
  const middle = new Uint8Array((lastRow - firstRow) * stride);
  for (let row = firstRow; row < lastRow; row++) {
    const source = row * image.width * CHANNELS;
    const target = (row - firstRow) * stride;
    for (let column = 0; column < columns.starts.length; column++)
      weighPixel(image.pixelsHWC, source, CHANNELS, columns, column, middle, target + column * CHANNELS);
  }
  const result = new Uint8Array(rows.starts.length * stride);
  for (let row = 0; row < rows.starts.length; row++) {
    for (let column = 0; column < columns.starts.length; column++) {
      const source = column * CHANNELS - firstRow * stride;
      weighPixel(middle, source, stride, rows, row, result, row * stride + column * CHANNELS);
    }
  }
  return result;
}

/** Rows of every needed column first, then columns. */
function vertical(image: RgbImage, rows: AxisWeights, columns: AxisWeights): Uint8Array {
  const [firstColumn, lastColumn] = inputRange(columns);
  const stride = (lastColumn - firstColumn) * CHANNELS;
  const middle = new Uint8Array(rows.starts.length * stride);
  for (let row = 0; row < rows.starts.length; row++) {
    for (let column = firstColumn; column < lastColumn; column++) {
      const target = row * stride + (column - firstColumn) * CHANNELS;
      weighPixel(image.pixelsHWC, column * CHANNELS, image.width * CHANNELS, rows, row, middle, target);
    }
  }
  const width = columns.starts.length;
  const result = new Uint8Array(rows.starts.length * width * CHANNELS);
  for (let row = 0; row < rows.starts.length; row++) {
    const source = row * stride - firstColumn * CHANNELS;
    for (let column = 0; column < width; column++)
      weighPixel(middle, source, CHANNELS, columns, column, result, (row * width + column) * CHANNELS);
  }
  return result;
}

/** From the first input that an axis needs to the end of the last. */
function inputRange({ starts, counts }: AxisWeights): readonly [number, number] {
  return [starts[0] ?? 0, (starts.at(-1) ?? 0) + (counts.at(-1) ?? 0)];
}

/** One output pixel: the weighted sum of inputs that lie `stride` bytes apart, rounded and clipped. */
function weighPixel(
  source: Uint8Array,
  base: number,
  stride: number,
  axis: AxisWeights,
  output: number,
  target: Uint8Array,
  at: number,
): void {
  const start = axis.starts[output] ?? 0;
  const count = axis.counts[output] ?? 0;
  let [red, green, blue] = [HALF, HALF, HALF];
  let from = base + start * stride;
  let tap = output * axis.taps;
  for (let n = 0; n < count; n++, from += stride, tap++) {
    const weight = axis.weights[tap] ?? 0;
    red += (source[from] ?? 0) * weight;
    green += (source[from + 1] ?? 0) * weight;
    blue += (source[from + 2] ?? 0) * weight;
  }
  target[at] = clip(red >> PRECISION_BITS);
  target[at + 1] = clip(green >> PRECISION_BITS);
  target[at + 2] = clip(blue >> PRECISION_BITS);
}

function clip(value: number): number {
  return Math.max(0, Math.min(255, value));
}

/** Weights of outputs `first` .. `first + count - 1` when `input` samples become `output` samples. */
function axisWeights(
  input: number,
  output: number,
  filter: keyof typeof kernels,
  first: number,
  count: number,
): AxisWeights {
  const scale = input / output;
  // Pillow skips the pass of an axis that keeps its size; a single weight of one does the same.
  if (input === output) {
    return {
      starts: Int32Array.from({ length: count }, (_, index) => first + index),
      counts: new Int32Array(count).fill(1),
      weights: new Int32Array(count).fill(1 << PRECISION_BITS),
      taps: 1,
    };
  }
  const kernel = kernels[filter];
  const filterScale = Math.max(scale, 1);
  const support = kernel.support * filterScale;
  const taps = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(count);
  const counts = new Int32Array(count);
  const weights = new Int32Array(count * taps);
  const exact = new Float64Array(taps);
  for (let index = 0; index < count; index++) {
    const center = (first + index + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - support + 0.5));
    const length = Math.min(input, Math.trunc(center + support + 0.5)) - start;
    let total = 0;
    for (let tap = 0; tap < length; tap++) {
      const weight = kernel.weight((tap + start - center + 0.5) * (1 / filterScale));
      exact[tap] = weight;
      total += weight;
    }
    for (let tap = 0; tap < length; tap++) {
      const fixed = ((exact[tap] ?? 0) / (total === 0 ? 1 : total)) * (1 << PRECISION_BITS);
      weights[index * taps + tap] = Math.trunc(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    }
    starts[index] = start;
    counts[index] = length;
  }
  return { starts, counts, weights, taps };
}

function nearest(image: RgbImage, size: Size, window: Window): Uint8Array {
  const rows = nearestInputs(image.height, size.height);
  const columns = nearestInputs(image.width, size.width);
  const result = new Uint8Array(window.height * window.width * CHANNELS);
  for (let row = 0; row < window.height; row++) {
    for (let column = 0; column < window.width; column++) {
      const source = (rows[window.top + row] ?? 0) * image.width + (columns[window.left + column] ?? 0);
      const target = (row * window.width + column) * CHANNELS;
      for (let channel = 0; channel < CHANNELS; channel++)
        result[target + channel] = image.pixelsHWC[source * CHANNELS + channel] ?? 0;
    }
  }
  return result;
}

/** The position is accumulated, not multiplied, because Pillow's ImagingScaleAffine rounds that way. */
function nearestInputs(input: number, output: number): Int32Array {
  const scale = input / output;
  const inputs = new Int32Array(output);
  let position = scale * 0.5;
  for (let index = 0; index < output; index++, position += scale)
    inputs[index] = Math.min(input - 1, Math.floor(position));
  return inputs;
}
