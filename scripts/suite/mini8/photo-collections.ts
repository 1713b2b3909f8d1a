/**
 * Photographs for pretraining, so that the towers see natural textures and objects: the stamps of Tux Paint (Debian
 * tuxpaint-stamps-default: cut-out photographs and some drawings, the folder is the label), and random crops of desktop
 * photographs (the label is the photograph). Nothing that a task shows: no letters, figures, road signs or earth.
 */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import sharp from "sharp";
import { DataError } from "../../../src/errors.js";
import { createRng, type Rng } from "../../../src/runtime/rng.js";
import {
  DATA_SEED,
  IMAGE_BYTES,
  IMAGE_SIDE,
  type ImageCollection,
  type LabelledImage,
  pixelDigest,
} from "./labelled-images.js";

/** A folder with fewer pictures joins the folder above it; a top folder with fewer is left out. */
const MIN_CLASS = 12;
const STAMP_VIEWS = 8;
/** Kept of a stamp until it is cropped: three times the side of a view. */
const STAMP_SIDE = 3 * IMAGE_SIDE;
/** Letters, figures, signs, Hebrew letters on dreidels, faces as in emoji, the earth; and mirrored copies. */
const STAMPS_SKIPPED =
  /^symbols\/(alphabets|math|faces|money\/00_symbols)\/|^town\/roadsigns\/|dreydl-|3_earth|globe|_mirror\./;
/** Levels of luminance between the mean of a stamp and its background. */
const MIN_BACKGROUND_DIFFERENCE = 45;
/** Standard deviation of a view's luminance in levels: less is an empty corner or a hairline. */
const MIN_STAMP_DEVIATION = 8;

/** Where the packages of PHOTOGRAPHS put them. */
export const PHOTO_FOLDERS = ["/usr/share/backgrounds", "/usr/share/wallpapers", "/usr/share/palapeli/collection"];

/** Photographs by Debian package; the packages' graphics, and photographs of little but sky or fog, are left out. */
const PHOTOGRAPHS: ReadonlyMap<string, readonly string[]> = new Map([
  [
    "mate-backgrounds",
    files(
      "mate/nature/*.jpg",
      "Aqua Blinds Dune FreshFlower Garden GreenMeadow LadyBird RainDrops TwoWings Wood YellowFlower",
    ),
  ],
  [
    "lomiri-wallpapers-16.04",
    files(
      "*.jpg",
      "Bridge_by_Sander_Klootwijk Dragonfly_by_Bolly Picture_0B_by_freespace Picture_1A_by_freespace " +
        "Wine_by_Jakkub_Mede aitzgorri_by_Aitzol_Berasategi free_by_Peter_Nerlich friends_by_Aitzol_Berasategi " +
        "greentock_by_Peter_Nerlich life_by_Aitzol_Berasategi picosdeeuropa_by_Aitzol_Berasategi " +
        "seeding_by_Clements_Engelhardt sunset_by_Aitzol_Berasategi",
    ),
  ],
  ["lomiri-wallpapers-20.04", files("*.jpg", "Kleiber_by_Lukas_Baubkus")],
  [
    "plasma-workspace-wallpapers",
    files(
      "*/contents/images/2560x1600.jpg",
      "BytheWater ColdRipple ColorfulCups EveningGlow FallenLeaf Grey Kite OneStandsOut Path",
    ),
  ],
  [
    "palapeli-data",
    files("*.jpg", "castle-maintenon cincinnati-bridge citrus-fruits european-honey-bee panther-chameleon-female"),
  ],
]);
/** All photographs are brought to this height or width, whichever is less, so that crops compare. */
const PHOTO_SIDE = 800;
const CROPS_PER_PHOTO = 385;
/** Side of a crop in pixels of the scaled photograph, drawn log-uniformly. */
const [MIN_CROP, MAX_CROP] = [32, 400];
/** Least standard deviation of a crop's luminance, and least mean difference of neighbours, in levels. */
const [MIN_CROP_DEVIATION, MIN_CROP_DETAIL] = [12, 3];
/** Photographs are mostly blurred or sky: some need many draws for one crop with enough structure. */
const MAX_DRAWS = 20;
/** Gain of each channel and offset of all, either way. */
const [MAX_GAIN, MAX_OFFSET] = [0.08, 16];

/** Eight views of every stamp: whole on white, and parts of several sizes, some mirrored, on plain backgrounds. */
export async function makeStamps(folder: string): Promise<ImageCollection> {
  if (!existsSync(folder))
    throw new DataError(
      `${folder}: expected Tux Paint's stamps, found nothing; run apt-get install tuxpaint-stamps-default`,
    );
  const classes = await stampClasses(folder);
  const images: LabelledImage[] = [];
  const seen = new Set<string>();
  for (const [label, [, members]] of classes.entries()) {
    for (const file of members) {
      const stamp = await readStamp(join(folder, file));
      const whole = { pixelsHWC: await stampOn(stamp, "#ffffff", IMAGE_SIDE - 2, 1, 1), label, origin: `${file}#0` };
      if (seen.has(pixelDigest(whole))) continue;
      seen.add(pixelDigest(whole));
      if (deviation(whole.pixelsHWC) >= MIN_STAMP_DEVIATION) images.push(whole);
      for (let view = 1; view < STAMP_VIEWS; view++) {
        const pixelsHWC = await stampView(stamp, createRng(DATA_SEED, "stamps", file, view));
        if (deviation(pixelsHWC) >= MIN_STAMP_DEVIATION) images.push({ pixelsHWC, label, origin: `${file}#${view}` });
      }
    }
  }
  return { name: "stamps", classes: classes.map(([name]) => name), images };
}

/** Random crops of PHOTOGRAPHS, which must lie in `folders`; the label says which photograph. */
export async function makePhotoCrops(folders: readonly string[]): Promise<ImageCollection> {
  const paths = [...PHOTOGRAPHS].flatMap(([name, members]) =>
    members.map((file) => ({ file, path: findPhoto(folders, name, file) })),
  );
  const images: LabelledImage[] = [];
  for (const [label, { file, path }] of paths.entries()) {
    const photo = await readPhoto(path);
    const rng = createRng(DATA_SEED, "photos", file);
    const views = new Set<string>();
    for (let draw = 0; views.size < CROPS_PER_PHOTO && draw < CROPS_PER_PHOTO * MAX_DRAWS; draw++) {
      const pixelsHWC = await photoCrop(photo, rng);
      if (deviation(pixelsHWC) < MIN_CROP_DEVIATION || detail(pixelsHWC) < MIN_CROP_DETAIL) continue;
      const image = { pixelsHWC: jittered(pixelsHWC, rng), label, origin: `${file}#${draw}` };
      if (views.has(pixelDigest(image))) continue;
      views.add(pixelDigest(image));
      images.push(image);
    }
  }
  return { name: "photos", classes: paths.map(({ file }) => file), images };
}

/** Each of the blank-separated names in the place of the star. */
function files(pattern: string, names: string): string[] {
  return names.split(" ").map((name) => pattern.replace("*", name));
}

/** Class names with their files: the folder, or the nearest one above it that holds enough with what its parts lack. */
async function stampClasses(folder: string): Promise<[string, string[]][]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const groups = new Map<string, string[]>();
  for (const entry of entries) {
    const file = relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/");
    if (!entry.isFile() || !/\.(png|svg)$/.test(file) || STAMPS_SKIPPED.test(file)) continue;
    addTo(groups, file.slice(0, file.lastIndexOf("/")), [file]);
  }
  const depth = (name: string) => name.split("/").length;
  for (let level = Math.max(0, ...[...groups.keys()].map(depth)); level > 1; level--) {
    for (const [name, members] of [...groups]) {
      if (depth(name) !== level || members.length >= MIN_CLASS) continue;
      groups.delete(name);
      addTo(groups, name.slice(0, name.lastIndexOf("/")), members);
    }
  }
  return [...groups]
    .filter(([, members]) => members.length >= MIN_CLASS)
    .map(([name, members]): [string, string[]] => [name, members.sort()])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

function addTo(groups: Map<string, string[]>, name: string, members: readonly string[]): void {
  groups.set(name, [...(groups.get(name) ?? []), ...members]);
}

/** RGB or RGBA as sharp gives it. */
interface Picture {
  readonly data: Uint8Array;
  readonly info: { readonly width: number; readonly height: number; readonly channels: 1 | 2 | 3 | 4 };
}

/** A stamp with alpha, without its empty border, at most 96 pixels a side. */
async function readStamp(path: string): Promise<Picture> {
  const { width, height } = await sharp(path).metadata();
  // Drawings are rendered at about twice the size that is kept, whatever size they name.
  const density = path.endsWith(".svg") ? (72 * 2 * STAMP_SIDE) / Math.max(width, height) : 72;
  return sharp(path, { density: Math.min(Math.max(density, 1), 2400) })
    .toColourspace("srgb")
    .ensureAlpha()
    .trim()
    .resize(STAMP_SIDE, STAMP_SIDE, { fit: "inside", withoutEnlargement: true })
    .raw()
    .toBuffer({ resolveWithObject: true });
}

async function stampView({ data, info }: Picture, rng: Rng): Promise<Uint8Array> {
  const part = 0.55 + 0.45 * rng.nextFloat();
  const [width, height] = [Math.ceil(info.width * part), Math.ceil(info.height * part)];
  const left = rng.nextInt(info.width - width + 1);
  const top = rng.nextInt(info.height - height + 1);
  const cut = sharp(data, { raw: info }).extract({ left, top, width, height });
  if (rng.nextFloat() < 0.5) cut.flop();
  const piece = await cut.raw().toBuffer({ resolveWithObject: true });
  const side = 22 + rng.nextInt(IMAGE_SIDE - 22 + 1);
  const place = () => rng.nextInt(IMAGE_SIDE - side + 1);
  return stampOn(piece, drawBackground(piece, rng), side, place(), place());
}

/** The picture fitted into a square of `side` pixels on a plain background. */
async function stampOn(
  { data, info }: Picture,
  background: string,
  side: number,
  left: number,
  top: number,
): Promise<Uint8Array> {
  const rest = IMAGE_SIDE - side;
  const pixels = await sharp(data, { raw: info })
    .flatten({ background })
    .resize(side, side, { fit: "contain", background })
    .extend({ top, bottom: rest - top, left, right: rest - left, background })
    .toColourspace("srgb")
    .raw()
    .toBuffer();
  if (pixels.byteLength !== IMAGE_BYTES) throw new DataError(`stamps: ${pixels.byteLength} bytes are no RGB image`);
  return new Uint8Array(pixels);
}

/** A random colour that is lighter or darker than what is opaque in the picture. */
function drawBackground({ data }: Picture, rng: Rng): string {
  let [sum, weight] = [0, 0];
  for (let at = 0; at < data.length; at += 4) {
    const alpha = data[at + 3] ?? 0;
    sum += alpha * luminance(data[at] ?? 0, data[at + 1] ?? 0, data[at + 2] ?? 0);
    weight += alpha;
  }
  const mean = weight > 0 ? sum / weight : 0;
  for (;;) {
    const [red, green, blue] = [rng.nextInt(256), rng.nextInt(256), rng.nextInt(256)];
    if (Math.abs(luminance(red, green, blue) - mean) >= MIN_BACKGROUND_DIFFERENCE)
      return `#${[red, green, blue].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  }
}

function findPhoto(folders: readonly string[], debianPackage: string, file: string): string {
  const path = folders.map((folder) => join(folder, file)).find((candidate) => existsSync(candidate));
  if (path === undefined)
    throw new DataError(
      `${folders.join(", ")}: expected the photograph ${file}, found nothing; run apt-get install ${debianPackage}`,
    );
  return path;
}

async function readPhoto(path: string): Promise<Picture> {
  return sharp(path)
    .rotate()
    .toColourspace("srgb")
    .removeAlpha()
    .resize(PHOTO_SIDE, PHOTO_SIDE, { fit: "outside" })
    .raw()
    .toBuffer({ resolveWithObject: true });
}

async function photoCrop({ data, info }: Picture, rng: Rng): Promise<Uint8Array> {
  const side = Math.round(MIN_CROP * (MAX_CROP / MIN_CROP) ** rng.nextFloat());
  const left = rng.nextInt(info.width - side + 1);
  const top = rng.nextInt(info.height - side + 1);
  const crop = sharp(data, { raw: info }).extract({ left, top, width: side, height: side });
  if (rng.nextFloat() < 0.5) crop.flop();
  const pixels = await crop.resize(IMAGE_SIDE, IMAGE_SIDE).raw().toBuffer();
  if (pixels.byteLength !== IMAGE_BYTES) throw new DataError(`photos: ${pixels.byteLength} bytes are no RGB image`);
  return new Uint8Array(pixels);
}

function jittered(pixelsHWC: Uint8Array, rng: Rng): Uint8Array {
  const either = () => 2 * rng.nextFloat() - 1;
  const gains = [1 + MAX_GAIN * either(), 1 + MAX_GAIN * either(), 1 + MAX_GAIN * either()];
  const offset = MAX_OFFSET * either();
  return pixelsHWC.map((byte, at) => Math.min(255, Math.max(0, Math.round(byte * (gains[at % 3] ?? 1) + offset))));
}

/** Standard deviation of the luminance, in levels. */
function deviation(pixelsHWC: Uint8Array): number {
  const grey = greyOf(pixelsHWC);
  const mean = grey.reduce((sum, value) => sum + value, 0) / grey.length;
  return Math.sqrt(grey.reduce((sum, value) => sum + (value - mean) ** 2, 0) / grey.length);
}

/** Mean difference of luminance between horizontal neighbours, in levels: small for sky, blur and gradients. */
function detail(pixelsHWC: Uint8Array): number {
  const grey = greyOf(pixelsHWC);
  let sum = 0;
  for (let at = 1; at < grey.length; at++)
    if (at % IMAGE_SIDE !== 0) sum += Math.abs((grey[at] ?? 0) - (grey[at - 1] ?? 0));
  return sum / (IMAGE_SIDE * (IMAGE_SIDE - 1));
}

function greyOf(pixelsHWC: Uint8Array): Float64Array {
  return Float64Array.from({ length: pixelsHWC.length / 3 }, (_, pixel) =>
    luminance(pixelsHWC[pixel * 3] ?? 0, pixelsHWC[pixel * 3 + 1] ?? 0, pixelsHWC[pixel * 3 + 2] ?? 0),
  );
}

/** Luma of ITU-R BT.601, 0..255. */
function luminance(red: number, green: number, blue: number): number {
  return 0.299 * red + 0.587 * green + 0.114 * blue;
}
