/**
 * The signs task: traffic signs as a camera meets them, in the manner of GTSRB (Stallkamp et al. 2012). As there, the
 * designs of a class are the same in all splits; what differs is how each image was taken: viewpoint, ground, light,
 * blur, noise and resolution are drawn anew for every image, so that no two images of two splits are nearly the same.
 * No design is held out: the designs of one meaning come from several countries and often share nothing but the
 * meaning (STOP in six scripts), so a design never seen could only be guessed.
 */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { DataError } from "../../../src/errors.js";
import { createRng, type Rng } from "../../../src/runtime/rng.js";
import { pick } from "./glyph-collections.js";
import { DATA_SEED, IMAGE_SIDE, type LabelledImage } from "./labelled-images.js";
import { addNoise, blur, type Levels, motionOffsets, relight, shade, softOffsets, toPixels } from "./pixel-effects.js";
import { SIGN_CLASSES } from "./sign-classes.js";
import { SPARE_FRACTION, SPLIT_SIZES, type TaskSplits } from "./splits.js";

const TRAIN_IMAGES = 12_000;
/** Side of the rasterised drawings that views are sampled from. */
const DRAWING_SIDE = 96;
/** Samples per pixel and axis when a view is taken. */
const SAMPLES = 3;
/** Share of the image's side that a sign fills. */
const [MIN_FILL, MAX_FILL] = [0.55, 0.95];
const MAX_DEGREES = 12;
/** Largest move of a corner as a share of the sign's side: perspective. */
const MAX_CORNER_MOVE = 0.09;
/** Least frequency of a class relative to the most frequent one. */
const MIN_FREQUENCY = 0.5;
const MAX_NOISE_LEVELS = 16;
/** Share of images taken from afar, and the least side in pixels that their sensor had. */
const FAR_FRACTION = 0.25;
const MIN_FAR_SIDE = 18;
/** Drawings on an opaque black or white box: the box would tell the class, and no such sign stands on a road. */
const BOXED = new Set([
  "warning--dangerous-crosswinds-right--g2.svg",
  "warning--roadworks--g6.svg",
  "warning--traffic-signals--g6.svg",
]);

interface Drawing {
  readonly file: string;
  /** uint8 RGBA, DRAWING_SIDE squared. */
  readonly pixels: Uint8Array;
}

/** Views of all designs of the 43 classes. */
export async function makeSignsTask(modules: string): Promise<TaskSplits> {
  const drawings = await readDrawings(join(modules, "mapillary_sprite_source", "package_signs"));
  const take = (split: string, count: number): LabelledImage[] => {
    const rng = createRng(DATA_SEED, "signs", split);
    return Array.from({ length: Math.ceil(count) }, (_, index) => {
      const label = drawClass(rng);
      const drawing = pick(drawings[label] ?? [], rng);
      return { pixelsHWC: view(drawing, rng), label, origin: `${drawing.file}/${String(index).padStart(5, "0")}.png` };
    });
  };
  return {
    name: "signs",
    classes: SIGN_CLASSES.map((name) => name.replace("--", ": ").replaceAll("-", " ")),
    test: take("test", SPLIT_SIZES.test * (1 + SPARE_FRACTION)),
    val: take("val", SPLIT_SIZES.val * (1 + SPARE_FRACTION)),
    adapt: take("adapt", SPLIT_SIZES.adapt * (1 + SPARE_FRACTION)),
    train: take("train", TRAIN_IMAGES),
  };
}

async function readDrawings(folder: string): Promise<Drawing[][]> {
  if (!existsSync(folder))
    throw new DataError(`${folder}: expected the drawings of mapillary_sprite_source, found nothing; run npm ci here`);
  const files = (await readdir(folder)).sort();
  return Promise.all(
    SIGN_CLASSES.map(async (name) => {
      const own = files.filter((file) => file.startsWith(`${name}--g`) && file.endsWith(".svg") && !BOXED.has(file));
      if (own.length === 0) throw new DataError(`${folder}: expected drawings of ${name}, found none`);
      return Promise.all(
        own.map(async (file) => ({ file: file.slice(0, -4), pixels: await rasterise(join(folder, file)) })),
      );
    }),
  );
}

async function rasterise(path: string): Promise<Uint8Array> {
  const transparent = { r: 0, g: 0, b: 0, alpha: 0 };
  const pixels = await sharp(path, { density: 300 })
    .resize(DRAWING_SIDE, DRAWING_SIDE, { fit: "contain", background: transparent })
    .ensureAlpha()
    .toColourspace("srgb")
    .raw()
    .toBuffer();
  return new Uint8Array(pixels);
}

/** Classes are not equally frequent, as on roads: class c has a fixed frequency between MIN_FREQUENCY and 1. */
const FREQUENCIES = SIGN_CLASSES.map(
  (name) => MIN_FREQUENCY + (1 - MIN_FREQUENCY) * createRng(DATA_SEED, "signs", "frequency", name).nextFloat(),
);
const TOTAL_FREQUENCY = FREQUENCIES.reduce((sum, frequency) => sum + frequency, 0);

function drawClass(rng: Rng): number {
  let left = rng.nextFloat() * TOTAL_FREQUENCY;
  for (const [label, frequency] of FREQUENCIES.entries()) {
    left -= frequency;
    if (left < 0) return label;
  }
  return FREQUENCIES.length - 1;
}

/** One photograph of a sign: ground, sign in perspective, then light, blur, noise. */
function view({ pixels }: Drawing, rng: Rng): Uint8Array {
  const levels = ground(rng);
  clutter(levels, rng);
  placeSign(levels, pixels, homography(rng));
  relight(levels, rng, 1.1);
  if (rng.nextFloat() < 0.25) shade(levels, rng);
  const unsharp = rng.nextFloat();
  if (unsharp < 0.3) blur(levels, softOffsets(rng.nextInt(8)));
  else if (unsharp < 0.5) blur(levels, motionOffsets(1.5 + 2.5 * rng.nextFloat(), rng));
  if (rng.nextFloat() < FAR_FRACTION) lowerResolution(levels, MIN_FAR_SIDE + rng.nextInt(IMAGE_SIDE - MIN_FAR_SIDE));
  addNoise(levels, 2 + MAX_NOISE_LEVELS * rng.nextFloat() ** 2, rng);
  return toPixels(levels);
}

/** What is behind signs: blotches of street colours (sky, leaves, walls, asphalt), interpolated from a coarse grid. */
function ground(rng: Rng): Levels {
  const cells = 2 + rng.nextInt(5);
  const corners = Array.from({ length: (cells + 1) ** 2 }, () => streetColour(rng));
  const levels = new Float64Array(IMAGE_SIDE * IMAGE_SIDE * 3);
  for (let y = 0; y < IMAGE_SIDE; y++)
    for (let x = 0; x < IMAGE_SIDE; x++) {
      const [fx, fy] = [(x / IMAGE_SIDE) * cells, (y / IMAGE_SIDE) * cells];
      const [left, top] = [Math.floor(fx), Math.floor(fy)];
      const [dx, dy] = [fx - left, fy - top];
      const corner = (column: number, row: number, channel: number) =>
        corners[row * (cells + 1) + column]?.[channel] ?? 0;
      for (let channel = 0; channel < 3; channel++)
        levels[(y * IMAGE_SIDE + x) * 3 + channel] =
          (1 - dy) * ((1 - dx) * corner(left, top, channel) + dx * corner(left + 1, top, channel)) +
          dy * ((1 - dx) * corner(left, top + 1, channel) + dx * corner(left + 1, top + 1, channel));
    }
  return levels;
}

/** Up to four soft-edged discs and bars over the ground: poles, windows, other signs, trees. */
function clutter(levels: Levels, rng: Rng): void {
  for (let shapes = rng.nextInt(5); shapes > 0; shapes--) {
    const colour = streetColour(rng);
    const [centreX, centreY] = [IMAGE_SIDE * rng.nextFloat(), IMAGE_SIDE * rng.nextFloat()];
    const [halfWidth, halfHeight] = [2 + 8 * rng.nextFloat(), 2 + 14 * rng.nextFloat()];
    const power = rng.nextFloat() < 0.5 ? 2 : 8;
    const softness = 0.1 + 0.5 * rng.nextFloat();
    for (let at = 0; at < levels.length; at++) {
      const pixel = Math.floor(at / 3);
      const dx = ((pixel % IMAGE_SIDE) + 0.5 - centreX) / halfWidth;
      const dy = (Math.floor(pixel / IMAGE_SIDE) + 0.5 - centreY) / halfHeight;
      const radius = (Math.abs(dx) ** power + Math.abs(dy) ** power) ** (1 / power);
      const cover = Math.min(1, Math.max(0, (1 - radius) / softness + 0.5));
      levels[at] = (1 - cover) * (levels[at] ?? 0) + cover * (colour[at % 3] ?? 0);
    }
  }
}

/** As if taken by a sensor of `side` pixels and enlarged: bilinear down to a coarse grid and up again. */
function lowerResolution(levels: Levels, side: number): void {
  const coarse = resample(levels, IMAGE_SIDE, side);
  levels.set(resample(coarse, side, IMAGE_SIDE));
}

function resample(source: Levels, from: number, to: number): Levels {
  const result = new Float64Array(to * to * 3);
  const step = from / to;
  const inside = (index: number): number => Math.min(Math.max(index, 0), from - 1);
  for (let y = 0; y < to; y++)
    for (let x = 0; x < to; x++) {
      const [sy, sx] = [(y + 0.5) * step - 0.5, (x + 0.5) * step - 0.5];
      const [top, left] = [Math.floor(sy), Math.floor(sx)];
      for (let channel = 0; channel < 3; channel++) {
        const value = (row: number, column: number) => source[(inside(row) * from + inside(column)) * 3 + channel] ?? 0;
        const upper = (left + 1 - sx) * value(top, left) + (sx - left) * value(top, left + 1);
        const lower = (left + 1 - sx) * value(top + 1, left) + (sx - left) * value(top + 1, left + 1);
        result[(y * to + x) * 3 + channel] = (top + 1 - sy) * upper + (sy - top) * lower;
      }
    }
  return result;
}

function streetColour(rng: Rng): readonly [number, number, number] {
  const light = 40 + 190 * rng.nextFloat();
  const tints: readonly (readonly [number, number, number])[] = [
    [0.85, 1, 1.25],
    [0.8, 1.1, 0.7],
    [1.15, 1, 0.85],
    [1, 1, 1],
  ];
  const [red, green, blue] = tints[rng.nextInt(tints.length)] ?? [1, 1, 1];
  return [light * red, light * green, light * blue];
}

/** Eight numbers of the projective map from image pixels to the drawing's unit square, for random corners of the sign. */
function homography(rng: Rng): readonly number[] {
  const side = IMAGE_SIDE * (MIN_FILL + (MAX_FILL - MIN_FILL) * rng.nextFloat());
  const angle = ((2 * rng.nextFloat() - 1) * MAX_DEGREES * Math.PI) / 180;
  const room = Math.max(0, IMAGE_SIDE - side) / 2 + 1.5;
  const [centreX, centreY] = [0, 0].map(() => IMAGE_SIDE / 2 + room * (2 * rng.nextFloat() - 1) * 0.8);
  const aspect = 0.82 + 0.18 * rng.nextFloat();
  const move = () => side * MAX_CORNER_MOVE * (2 * rng.nextFloat() - 1);
  const corners = [
    [-0.5, -0.5],
    [0.5, -0.5],
    [0.5, 0.5],
    [-0.5, 0.5],
  ].map(([u = 0, v = 0]): readonly [number, number] => {
    const [x, y] = [u * side * aspect, v * side];
    return [
      (centreX ?? 0) + x * Math.cos(angle) - y * Math.sin(angle) + move(),
      (centreY ?? 0) + x * Math.sin(angle) + y * Math.cos(angle) + move(),
    ];
  });
  return inverse(squareToQuad(corners));
}

/** The map of the unit square to four corners, row-major 3 x 3 (Heckbert 1989, section 2.2.3). */
function squareToQuad(corners: readonly (readonly [number, number])[]): number[] {
  const [[x0, y0] = [0, 0], [x1, y1] = [0, 0], [x2, y2] = [0, 0], [x3, y3] = [0, 0]] = corners;
  const [dx1, dx2, dx3] = [x1 - x2, x3 - x2, x0 - x1 + x2 - x3];
  const [dy1, dy2, dy3] = [y1 - y2, y3 - y2, y0 - y1 + y2 - y3];
  const determinant = dx1 * dy2 - dx2 * dy1;
  const g = (dx3 * dy2 - dx2 * dy3) / determinant;
  const h = (dx1 * dy3 - dx3 * dy1) / determinant;
  return [x1 - x0 + g * x1, x3 - x0 + h * x3, x0, y1 - y0 + g * y1, y3 - y0 + h * y3, y0, g, h, 1];
}

/** Inverse up to scale (the adjugate): all that a projective map needs. */
function inverse([a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0, i = 0]: readonly number[]): number[] {
  return [
    e * i - f * h,
    c * h - b * i,
    b * f - c * e,
    f * g - d * i,
    a * i - c * g,
    c * d - a * f,
    d * h - e * g,
    b * g - a * h,
    a * e - b * d,
  ];
}

/** Draws the sign over the ground, each pixel the mean of SAMPLES squared samples of the drawing, its transparency respected. */
function placeSign(
  levels: Levels,
  rgba: Uint8Array,
  [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0, i = 0]: readonly number[],
): void {
  for (let y = 0; y < IMAGE_SIDE; y++)
    for (let x = 0; x < IMAGE_SIDE; x++) {
      const at = (y * IMAGE_SIDE + x) * 3;
      const sum = [0, 0, 0];
      for (let sample = 0; sample < SAMPLES * SAMPLES; sample++) {
        const px = x + ((sample % SAMPLES) + 0.5) / SAMPLES;
        const py = y + (Math.floor(sample / SAMPLES) + 0.5) / SAMPLES;
        const w = g * px + h * py + i;
        const [u, v] = [(a * px + b * py + c) / w, (d * px + e * py + f) / w];
        const inside = u >= 0 && u < 1 && v >= 0 && v < 1;
        const from = inside ? (Math.floor(v * DRAWING_SIDE) * DRAWING_SIDE + Math.floor(u * DRAWING_SIDE)) * 4 : -1;
        const alpha = inside ? (rgba[from + 3] ?? 0) / 255 : 0;
        for (let channel = 0; channel < 3; channel++)
          sum[channel] =
            (sum[channel] ?? 0) + alpha * (rgba[from + channel] ?? 0) + (1 - alpha) * (levels[at + channel] ?? 0);
      }
      for (let channel = 0; channel < 3; channel++) levels[at + channel] = (sum[channel] ?? 0) / SAMPLES ** 2;
    }
}
