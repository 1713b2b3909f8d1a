/**
 * The digits task: printed digits in scenes, like house numbers or price tags. One digit in the middle, often with neighbours of the
 * same number cut off at the sides, tilted, lit and photographed badly. Split by font family, so the digits of a test image are of a
 * type that no training image shows.
 */
import { createCanvas } from "@napi-rs/canvas";
import { createRng, type Rng } from "../../../src/runtime/rng.js";
import { checkPools, DIGIT_FAMILIES } from "./font-families.js";
import { type Drawable, dealFamilies, type Forms, pick, readForms } from "./glyph-collections.js";
import { drawColours, withoutAlpha } from "./glyphs.js";
import { DATA_SEED, IMAGE_SIDE, type LabelledImage } from "./labelled-images.js";
import { addNoise, blur, motionOffsets, relight, shade, softOffsets, toLevels, toPixels } from "./pixel-effects.js";
import { SPARE_FRACTION, SPLIT_SIZES, type TaskSplits } from "./splits.js";

const DIGITS: readonly string[] = [..."0123456789"];
const TRAIN_IMAGES = 12_000;

/** Height of the digits in pixels. */
const [MIN_HEIGHT, MAX_HEIGHT] = [15, 26];
const MAX_DEGREES = 9;
const MAX_SHEAR = 0.15;
const NEIGHBOUR_PROBABILITY = 0.65;
/** Least WCAG contrast of ink and ground: what a person still reads after blur and noise. */
const MIN_CONTRAST = 2.2;
const MAX_NOISE_LEVELS = 12;

const canvas = createCanvas(IMAGE_SIDE, IMAGE_SIDE);
const context = canvas.getContext("2d", { willReadFrequently: true });

/** Of every kind of family, 18 % go to test, 9 % to val, 18 % to adapt and the rest to train. */
export async function makeDigitsTask(modules: string): Promise<TaskSplits> {
  checkPools();
  const families = dealFamilies("digits", DIGIT_FAMILIES);
  const draw = async (split: keyof typeof families, count: number): Promise<LabelledImage[]> => {
    const formsOf = await readForms(modules, families[split], ["latin"], DIGITS);
    const rng = createRng(DATA_SEED, "digits", split);
    return Array.from({ length: Math.ceil(count) }, (_, index) => drawScene(formsOf, index, rng));
  };
  return {
    name: "digits",
    classes: DIGITS,
    test: await draw("test", SPLIT_SIZES.test * (1 + SPARE_FRACTION)),
    val: await draw("val", SPLIT_SIZES.val * (1 + SPARE_FRACTION)),
    adapt: await draw("adapt", SPLIT_SIZES.adapt * (1 + SPARE_FRACTION)),
    train: await draw("train", TRAIN_IMAGES),
  };
}

/** Image i shows digit i mod 10. */
function drawScene(formsOf: ReadonlyMap<string, Forms>, index: number, rng: Rng): LabelledImage {
  const label = index % DIGITS.length;
  const drawable = pick(pick(formsOf.get(DIGITS[label] ?? "") ?? [], rng), rng);
  const { background, foreground } = drawColours(rng, MIN_CONTRAST);
  paintGround(background, rng);
  paintNumber(formsOf, drawable, foreground, rng);
  const levels = toLevels(withoutAlpha(context.getImageData(0, 0, IMAGE_SIDE, IMAGE_SIDE).data));
  photograph(levels, rng);
  const origin = `${drawable.family}-${drawable.weight}/${String(index).padStart(5, "0")}.png`;
  return { pixelsHWC: toPixels(levels), label, origin };
}

/** A plain ground, a gradient, or boards; sometimes with a frame. */
function paintGround(colour: string, rng: Rng): void {
  context.resetTransform();
  context.fillStyle = colour;
  context.fillRect(0, 0, IMAGE_SIDE, IMAGE_SIDE);
  const kind = rng.nextInt(4);
  const dark = (alpha: number): string => `rgba(0,0,0,${alpha})`;
  if (kind === 1) {
    const gradient = context.createLinearGradient(0, 0, IMAGE_SIDE * rng.nextFloat(), IMAGE_SIDE);
    gradient.addColorStop(0, dark(0.25 * rng.nextFloat()));
    gradient.addColorStop(1, dark(0));
    context.fillStyle = gradient;
    context.fillRect(0, 0, IMAGE_SIDE, IMAGE_SIDE);
  }
  if (kind === 2) {
    const step = 5 + rng.nextInt(8);
    context.fillStyle = dark(0.2);
    for (let at = rng.nextInt(step); at < IMAGE_SIDE; at += step)
      if (rng.nextFloat() < 0.5 || step > 8) context.fillRect(0, at, IMAGE_SIDE, 1);
      else context.fillRect(at, 0, 1, IMAGE_SIDE);
  }
  if (kind === 3) {
    context.strokeStyle = dark(0.4);
    context.lineWidth = 1 + rng.nextInt(2);
    const inset = rng.nextInt(4);
    context.strokeRect(inset, inset, IMAGE_SIDE - 2 * inset, IMAGE_SIDE - 2 * inset);
  }
}

/** The digit in the middle and, of the same family and weight, what stands before and after it in its number. */
function paintNumber(formsOf: ReadonlyMap<string, Forms>, middle: Drawable, colour: string, rng: Rng): void {
  const height = MIN_HEIGHT + rng.nextFloat() * (MAX_HEIGHT - MIN_HEIGHT);
  const scale = Math.min(height / middle.glyph.height, (IMAGE_SIDE - 4) / middle.glyph.width);
  const jitter = () => 3 * (rng.nextFloat() - 0.5);
  context.translate(IMAGE_SIDE / 2 + jitter(), IMAGE_SIDE / 2 + jitter());
  context.rotate(((2 * rng.nextFloat() - 1) * MAX_DEGREES * Math.PI) / 180);
  context.transform(1, 0, MAX_SHEAR * (2 * rng.nextFloat() - 1), 1, 0, 0);
  context.scale(scale * (0.9 + 0.2 * rng.nextFloat()), -scale);
  context.fillStyle = colour;
  const gap = (0.06 + 0.1 * rng.nextFloat()) * middle.glyph.height;
  for (const side of [-1, 0, 1]) {
    const other = side === 0 ? middle : neighbour(formsOf, middle, rng);
    if (other === undefined) continue;
    const { glyph } = other;
    const distance = side * (middle.glyph.width / 2 + gap + glyph.width / 2);
    context.save();
    context.translate(distance - glyph.minX - glyph.width / 2, -middle.glyph.minY - middle.glyph.height / 2);
    context.fill(glyph.path);
    context.restore();
  }
}

/** Another digit of the same family and weight, or nothing. */
function neighbour(formsOf: ReadonlyMap<string, Forms>, { family, weight }: Drawable, rng: Rng): Drawable | undefined {
  if (rng.nextFloat() >= NEIGHBOUR_PROBABILITY) return undefined;
  const digit = DIGITS[rng.nextInt(DIGITS.length)] ?? "";
  return formsOf
    .get(digit)
    ?.flat()
    .find((drawable) => drawable.family === family && drawable.weight === weight);
}

function photograph(levels: Float64Array, rng: Rng): void {
  relight(levels, rng, 0.8);
  if (rng.nextFloat() < 0.2) shade(levels, rng);
  const unsharp = rng.nextFloat();
  if (unsharp < 0.3) blur(levels, softOffsets(rng.nextInt(10)));
  else if (unsharp < 0.45) blur(levels, motionOffsets(1.5 + 2 * rng.nextFloat(), rng));
  addNoise(levels, MAX_NOISE_LEVELS * rng.nextFloat() ** 2, rng);
}
