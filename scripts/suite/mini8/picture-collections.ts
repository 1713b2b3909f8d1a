/**
 * Coloured pictures for pretraining: Open Clip Art (Debian openclipart-png, the folder is the label) and IconPark
 * (npm @iconify-json/icon-park, its categories, recoloured). Neither holds a drawing of the emoji vendors.
 */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import sharp from "sharp";
import { DataError } from "../../../src/errors.js";
import { createRng, permutation, type Rng } from "../../../src/runtime/rng.js";
import { drawIcon, readIconSet } from "./icon-sets.js";
import { DATA_SEED, IMAGE_BYTES, IMAGE_SIDE, type ImageCollection, type LabelledImage } from "./labelled-images.js";

/** Folders whose name says how a picture is used, not what it shows, and the signs, which are a task. */
const CLIPART_SKIPPED = new Set(["unsorted", "special", "buttons", "logos", "signs_and_symbols"]);
/** A subfolder becomes a class of its own from this many pictures, and no class has more than the maximum. */
const MIN_CLASS = 25;
const MAX_CLASS = 300;
/** A handful of posters take longer to decode than everything else together. */
const MAX_PIXELS = 25_000_000;
/** Smaller ones are dots and lines. */
const MIN_SIDE = 8;
/** Kept of a picture until it is cropped: three times the side of a view. */
const PICTURE_SIDE = 3 * IMAGE_SIDE;
const CLIPART_VIEWS = 2;
const ICON_VIEWS = 3;
/** Categories of signs, of emoji, and of what fits nowhere. */
const ICONS_SKIPPED = new Set(["Emoji", "Character", "Others", "Base", "Abstract"]);
/** IconPark draws every icon in these two colours and white. */
const ICON_STROKE = /#000\b|#000000\b|black/gi;
const ICON_FILL = /#2F88FF/gi;

/** Two views of each picture: whole on white, and a random part, perhaps mirrored, on a random light colour. */
export async function makeClipart(folder: string): Promise<ImageCollection> {
  if (!existsSync(folder)) {
    throw new DataError(`${folder}: expected Open Clip Art, found nothing; run apt-get install openclipart-png`);
  }
  const classes = await clipartClasses(folder);
  const images: LabelledImage[] = [];
  for (const [label, [name, files]] of classes.entries()) {
    const order = permutation(files.length, createRng(DATA_SEED, "clipart", name));
    for (const index of order.subarray(0, MAX_CLASS)) {
      const file = files[index] ?? "";
      const picture = await readPicture(join(folder, file));
      if (picture === undefined) continue;
      for (let view = 0; view < CLIPART_VIEWS; view++) {
        const pixelsHWC = await pictureView(picture, view, createRng(DATA_SEED, "clipart", file, view));
        if (!isBlank(pixelsHWC)) images.push({ pixelsHWC, label, origin: `${file}#${view}` });
      }
    }
  }
  return { name: "clipart", classes: classes.map(([name]) => name), images };
}

/** Three views of each IconPark icon, with random colours for stroke, fill and background. */
export async function makeIcons(modules: string): Promise<ImageCollection> {
  const set = await readIconSet(modules, "icon-park");
  const categories = [...set.categories]
    .filter(([name]) => !ICONS_SKIPPED.has(name))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const images: LabelledImage[] = [];
  for (const [label, [, names]] of categories.entries()) {
    for (const name of names) {
      if (!set.icons.has(name)) continue;
      for (let view = 0; view < ICON_VIEWS; view++) {
        const rng = createRng(DATA_SEED, "icons", name, view);
        const canvas = { side: IMAGE_SIDE, margin: 1, background: view === 0 ? "#ffffff" : hue(rng, 0.9) };
        const [stroke, fill] = [hue(rng, 0.2), hue(rng, 0.55)];
        const recolour = (body: string) => body.replaceAll(ICON_STROKE, stroke).replaceAll(ICON_FILL, fill);
        const pixelsHWC = await drawIcon(set, name, canvas, recolour);
        images.push({ pixelsHWC, label, origin: `icon-park/${name}#${view}` });
      }
    }
  }
  return { name: "icons", classes: categories.map(([name]) => name), images };
}

/** Class names with their files: the deepest of at most two folder levels that holds enough pictures. */
async function clipartClasses(folder: string): Promise<[string, string[]][]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".png"))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep))
    .filter(([top = ""]) => !CLIPART_SKIPPED.has(top));
  const deep = groupBy(files, (parts) => parts.slice(0, Math.min(2, parts.length - 1)).join("/"));
  const large = new Set([...deep].filter(([, members]) => members.length >= MIN_CLASS).map(([name]) => name));
  const groups = groupBy(files, (parts) => {
    const name = parts.slice(0, Math.min(2, parts.length - 1)).join("/");
    return large.has(name) ? name : (parts[0] ?? "");
  });
  return [...groups]
    .filter(([, members]) => members.length >= MIN_CLASS)
    .map(([name, members]): [string, string[]] => [name, members.map((parts) => parts.join("/")).sort()])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

function groupBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key) ?? [];
    groups.set(key, group);
    group.push(item);
  }
  return groups;
}

/** A picture without its empty border, at most 96 pixels a side. */
interface Picture {
  readonly data: Uint8Array;
  readonly info: { readonly width: number; readonly height: number; readonly channels: 1 | 2 | 3 | 4 };
}

/** Undefined when the file is too large or too small. Many pictures are small drawings on a transparent sheet of A4. */
async function readPicture(path: string): Promise<Picture | undefined> {
  const { width, height } = await sharp(path, { limitInputPixels: false }).metadata();
  if (width * height > MAX_PIXELS || Math.min(width, height) < MIN_SIDE) return undefined;
  return sharp(path)
    .toColourspace("srgb")
    .trim()
    .resize(PICTURE_SIDE, PICTURE_SIDE, { fit: "inside", withoutEnlargement: true })
    .raw()
    .toBuffer({ resolveWithObject: true });
}

async function pictureView({ data, info }: Picture, view: number, rng: Rng): Promise<Uint8Array> {
  const image = sharp(data, { raw: info });
  const background = view === 0 ? "#ffffff" : hue(rng, 0.85);
  if (view > 0) {
    const part = 0.65 + 0.35 * rng.nextFloat();
    const [width, height] = [Math.ceil(info.width * part), Math.ceil(info.height * part)];
    image.extract({
      left: rng.nextInt(info.width - width + 1),
      top: rng.nextInt(info.height - height + 1),
      width,
      height,
    });
    if (rng.nextFloat() < 0.5) image.flop();
  }
  const inner = IMAGE_SIDE - 2;
  const pixels = await image
    .flatten({ background })
    .resize(inner, inner, { fit: "contain", background })
    .extend({ top: 1, bottom: 1, left: 1, right: 1, background })
    .toColourspace("srgb")
    .raw()
    .toBuffer();
  if (pixels.byteLength !== IMAGE_BYTES) throw new DataError(`clip art: ${pixels.byteLength} bytes are no RGB image`);
  return new Uint8Array(pixels);
}

/** Whether almost all pixels have the colour of the first: an empty corner, a hairline. */
function isBlank(pixelsHWC: Uint8Array): boolean {
  let different = 0;
  for (let at = 0; at < pixelsHWC.byteLength; at++) {
    if (Math.abs((pixelsHWC[at] ?? 0) - (pixelsHWC[at % 3] ?? 0)) > 24) different++;
  }
  return different < 60;
}

/** A random colour of the given HSL lightness as #rrggbb. */
function hue(rng: Rng, lightness: number): string {
  const angle = rng.nextFloat() * 12;
  const saturation = 0.4 + 0.6 * rng.nextFloat();
  const amplitude = saturation * Math.min(lightness, 1 - lightness);
  // CSS Color 4, section 7.1, hslToRgb.
  const channel = (offset: number) => {
    const k = (offset + angle) % 12;
    const value = lightness - amplitude * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(255 * value)
      .toString(16)
      .padStart(2, "0");
  };
  return `#${channel(0)}${channel(8)}${channel(4)}`;
}
