/**
 * Draws single characters of @fontsource families. The outlines come from the font file itself (fontkit), not
 * from a text engine, so a character that a font lacks is known to be lacking and never replaced by another font.
 */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createCanvas, Path2D } from "@napi-rs/canvas";
import { create, type Font } from "fontkit";
import { DataError } from "../../../src/errors.js";
import type { Rng } from "../../../src/runtime/rng.js";
import { IMAGE_SIDE } from "./labelled-images.js";

/** A character's outline in font units, y upwards. */
export interface Glyph {
  readonly path: Path2D;
  readonly minX: number;
  readonly minY: number;
  readonly width: number;
  readonly height: number;
}

/** Upright files of one weight; a family's subsets are separate files. */
export interface FontWeight {
  readonly family: string;
  readonly weight: number;
  readonly fonts: readonly Font[];
}

export interface GlyphStyle {
  /** Longer side of the glyph in pixels, before rotation. */
  readonly minSize: number;
  readonly maxSize: number;
  /** Largest rotation either way, in degrees. */
  readonly maxDegrees: number;
}

/** Light, regular, bold and black; what a family lacks is skipped, and one with none of them uses what it has. */
const WEIGHTS = [300, 400, 700, 900];
/** Free pixels between the glyph and the border. */
const MARGIN = 1;
/** WCAG contrast ratio (1 to 21) that foreground and background keep at least. */
const MIN_CONTRAST = 2.5;
/** Part of the images that are plain dark on light or light on dark, as in print and in handwriting data. */
const GREY_FRACTION = 0.25;

const canvas = createCanvas(IMAGE_SIDE, IMAGE_SIDE);
const context = canvas.getContext("2d", { willReadFrequently: true });

/**
 * The weights of a family under `modules` (a node_modules folder), with the files of the named subsets ("latin",
 * "greek", ...) that it has. Throws DataError when the family is not installed.
 */
export async function readFamily(modules: string, family: string, subsets: readonly string[]): Promise<FontWeight[]> {
  const folder = join(modules, "@fontsource", family, "files");
  if (!existsSync(folder)) {
    throw new DataError(`${folder}: expected the font files of @fontsource/${family}, found nothing; run npm ci here`);
  }
  const wanted = subsets.map((subset) => new RegExp(`^${family}-${subset}-\\d+-normal\\.woff2$`));
  const upright = (await readdir(folder)).filter((name) => wanted.some((pattern) => pattern.test(name))).sort();
  const weightOf = (name: string) => Number(/-(\d+)-normal\.woff2$/.exec(name)?.[1]);
  const present = [...new Set(upright.map(weightOf))];
  const usual = present.filter((weight) => WEIGHTS.includes(weight));
  const weights = usual.length > 0 ? usual : present.slice(0, 1);
  return Promise.all(
    weights.map(async (weight) => {
      const files = upright.filter((name) => weightOf(name) === weight);
      const parsed = await Promise.all(files.map(async (name) => create(await readFile(join(folder, name)))));
      return { family, weight, fonts: parsed.flatMap((font) => ("fonts" in font ? font.fonts : [font])) };
    }),
  );
}

/** The outline of a character; undefined when the font lacks it or draws nothing for it. */
export function findGlyph(weight: FontWeight, character: string): Glyph | undefined {
  const codePoint = character.codePointAt(0) ?? 0;
  const font = weight.fonts.find((candidate) => candidate.hasGlyphForCodePoint(codePoint));
  if (font === undefined) return undefined;
  const { path } = font.glyphForCodePoint(codePoint);
  const { minX, minY, maxX, maxY } = path.bbox;
  if (!(maxX > minX) || !(maxY > minY)) return undefined;
  return { path: new Path2D(path.toSVG()), minX, minY, width: maxX - minX, height: maxY - minY };
}

/** One 32 x 32 RGB drawing (uint8 HWC) with random size, place, rotation and colours; never clipped. */
export function drawGlyph(glyph: Glyph, style: GlyphStyle, rng: Rng): Uint8Array {
  const { background, foreground } = drawColours(rng);
  const angle = ((2 * rng.nextFloat() - 1) * style.maxDegrees * Math.PI) / 180;
  const cosine = Math.cos(angle);
  const sine = Math.abs(Math.sin(angle));
  const longer = Math.max(glyph.width, glyph.height);
  const wanted = (style.minSize + rng.nextFloat() * (style.maxSize - style.minSize)) / longer;
  // Upper bounds of the rotated box, in font units.
  const boundWidth = glyph.width * cosine + glyph.height * sine;
  const boundHeight = glyph.width * sine + glyph.height * cosine;
  const room = IMAGE_SIDE - 2 * MARGIN;
  const scale = Math.min(wanted, room / boundWidth, room / boundHeight);
  const offset = (bound: number) => (rng.nextFloat() - 0.5) * (room - bound * scale);
  const half = IMAGE_SIDE / 2;

  context.resetTransform();
  context.fillStyle = background;
  context.fillRect(0, 0, IMAGE_SIDE, IMAGE_SIDE);
  context.translate(half + offset(boundWidth), half + offset(boundHeight));
  context.rotate(angle);
  context.scale(scale, -scale);
  context.translate(-glyph.minX - glyph.width / 2, -glyph.minY - glyph.height / 2);
  context.fillStyle = foreground;
  context.fill(glyph.path);

  return withoutAlpha(context.getImageData(0, 0, IMAGE_SIDE, IMAGE_SIDE).data);
}

/** RGB of opaque RGBA pixels, both uint8 HWC. */
export function withoutAlpha(rgba: Uint8ClampedArray): Uint8Array {
  const pixels = rgba.length / 4;
  const rgb = new Uint8Array(pixels * 3);
  for (let pixel = 0; pixel < pixels; pixel++) rgb.set(rgba.subarray(pixel * 4, pixel * 4 + 3), pixel * 3);
  return rgb;
}

/** Two CSS colours of sufficient contrast. */
export function drawColours(rng: Rng, minContrast: number = MIN_CONTRAST): { background: string; foreground: string } {
  const grey = rng.nextFloat() < GREY_FRACTION;
  for (;;) {
    const background = drawColour(rng, grey);
    const foreground = drawColour(rng, grey);
    const [dark = 0, light = 0] = [luminance(background), luminance(foreground)].sort((a, b) => a - b);
    if ((light + 0.05) / (dark + 0.05) < minContrast) continue;
    return { background: `rgb(${background.join(",")})`, foreground: `rgb(${foreground.join(",")})` };
  }
}

function drawColour(rng: Rng, grey: boolean): [number, number, number] {
  const red = rng.nextInt(256);
  return grey ? [red, red, red] : [red, rng.nextInt(256), rng.nextInt(256)];
}

/** Relative luminance of an sRGB colour, as WCAG 2.1 defines it. */
function luminance(rgb: readonly [number, number, number]): number {
  const [red, green, blue] = rgb;
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}

function linear(byte: number): number {
  const value = byte / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}
