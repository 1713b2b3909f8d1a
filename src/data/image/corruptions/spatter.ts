/**
 * Spatter: mud on the lens. Where smoothed noise is above a threshold, brown covers the image. The published severities 1 to 3 are drops of water, which go through edge detection
 * and a distance transform of another library; they are not made here.
 */
import type { RgbImage } from "../resample.js";
import { byteOf, type Corruption, strength } from "./corruption.js";

const MUD = [63 / 255, 42 / 255, 20 / 255] as const;
/** Thinner mud is not seen. */
const LEAST_COVER = 0.8;
/** Where the Gaussian ends, in standard deviations. */
const TRUNCATED = 4;

interface MudSettings {
  readonly mean: number;
  readonly deviation: number;
  readonly smoothing: number;
  readonly threshold: number;
  readonly edge: number;
}

/** `normal(i)` is the noise of pixel i. */
export function coverWithMud(image: RgbImage, settings: MudSettings, normal: (i: number) => number): RgbImage {
  const { height, width, pixelsHWC } = image;
  const { mean, deviation, smoothing, threshold, edge } = settings;
  const liquid = Float64Array.from({ length: height * width }, (_, i) => mean + deviation * normal(i));
  const drops = gaussian(liquid, height, width, smoothing).map((value) => (value > threshold ? 1 : 0));
  const cover = gaussian(drops, height, width, edge).map((value) => (value < LEAST_COVER ? 0 : value));
  const covered = pixelsHWC.map((level, i) => {
    const share = cover[Math.floor(i / 3)] ?? 0;
    return byteOf((level / 255) * (1 - share) + share * (MUD[i % 3] ?? 0));
  });
  return { height, width, pixelsHWC: covered };
}

/** Gaussian filter of [H, W], columns then rows; outside, the edge goes on. */
export function gaussian(values: Float64Array, height: number, width: number, sigma: number): Float64Array {
  const radius = Math.trunc(TRUNCATED * sigma + 0.5);
  const raw = Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-((i - radius) ** 2) / (2 * sigma * sigma)));
  const total = raw.reduce((sum, weight) => sum + weight, 0);
  const along = (from: Float64Array, size: number, at: (line: number, place: number) => number, lines: number) => {
    const smoothed = new Float64Array(from.length);
    for (let line = 0; line < lines; line++)
      for (let place = 0; place < size; place++) {
        let sum = 0;
        for (const [i, weight] of raw.entries())
          sum += weight * (from[at(line, Math.min(Math.max(place + i - radius, 0), size - 1))] ?? 0);
        smoothed[at(line, place)] = sum / total;
      }
    return smoothed;
  };
  const down = along(values, height, (column, row) => row * width + column, width);
  return along(down, width, (row, column) => row * width + column, height);
}

const SMALL: readonly MudSettings[] = [
  { mean: 0.65, deviation: 0.1, smoothing: 0.7, threshold: 0.69, edge: 0.6 },
  { mean: 0.65, deviation: 0.1, smoothing: 0.5, threshold: 0.68, edge: 0.6 },
];
const LARGE: readonly MudSettings[] = [
  { mean: 0.65, deviation: 0.3, smoothing: 1, threshold: 0.65, edge: 1.5 },
  { mean: 0.67, deviation: 0.4, smoothing: 1, threshold: 0.65, edge: 1.5 },
];

export const spatter: Corruption = {
  name: "spatter",
  title: "Spatter (mud)",
  severities: [4, 5],
  at: (severity, isSmall) => {
    const settings = strength(SMALL, LARGE, severity - 3, isSmall);
    return (image, rng) => coverWithMud(image, settings, () => rng.nextNormal());
  },
};
