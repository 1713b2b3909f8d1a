/**
 * The classes of the earth task: land covers as seen from space. Each is given by where on Earth it lies (boxes of
 * latitude and longitude) and by how much of a patch is sea, lake or snow, so that every patch of a coast shows a
 * coast. Where boxes overlap, the first class that fits counts; what is in no box is not used.
 */

/** Degrees, south to north and west to east; no box crosses the date line. */
export interface GeoBox {
  readonly south: number;
  readonly north: number;
  readonly west: number;
  readonly east: number;
}

/** Shares of the pixels of a patch, 0 to 1. */
export interface Cover {
  readonly sea: number;
  /** Shallow sea, a part of the sea. */
  readonly shelf: number;
  readonly lake: number;
  readonly snow: number;
}

type Range = readonly [least: number, most: number];

export interface EarthClass {
  readonly name: string;
  readonly cover: Readonly<Record<keyof Cover, Range>>;
  readonly boxes: readonly GeoBox[];
}

const ANY: Range = [0, 1];
const DRY_LAND = { sea: [0, 0.03], shelf: ANY, lake: [0, 0.03], snow: [0, 0.05] } as const;
const COAST = { sea: [0.12, 0.75], shelf: ANY, lake: [0, 0.05], snow: [0, 0.05] } as const;

export const EARTH_CLASSES: readonly EarthClass[] = [
  { name: "sand desert", cover: DRY_LAND, boxes: [box(17, 32, -14, 35), box(16, 31, 37, 57)] },
  { name: "red desert", cover: DRY_LAND, boxes: [box(-33, -16, 113.5, 147), box(-30, -18, 14.5, 26)] },
  {
    name: "rainforest",
    cover: DRY_LAND,
    boxes: [box(-12, 6, -77, -50), box(-5, 5, 9, 30), box(-8, -2, 132, 146), box(-3, 6, 109, 118)],
  },
  { name: "savanna", cover: DRY_LAND, boxes: [box(-18, -6, 14, 37), box(6, 12, -12, 34), box(-18, -6, -55, -42)] },
  { name: "boreal forest", cover: DRY_LAND, boxes: [box(55, 66, 62, 138), box(50, 60, -128, -75)] },
  { name: "temperate lowland", cover: DRY_LAND, boxes: [box(45, 56, -1, 45), box(31, 46, -97, -77)] },
  {
    name: "steppe and dry highland",
    cover: DRY_LAND,
    boxes: [
      box(45, 54, 46, 84),
      box(42, 51, 93, 119),
      box(26, 38, 45, 70),
      box(37, 41, 30, 45),
      box(31, 44, -119, -107),
      box(22, 30, -107, -100),
    ],
  },
  {
    name: "snowy mountains",
    cover: { sea: [0, 0.03], shelf: ANY, lake: [0, 0.1], snow: [0.08, 0.8] },
    boxes: [
      box(27, 45, 66, 104),
      box(-55, -28, -76, -68),
      box(41, 48, 5, 50),
      box(36, 64, -153, -105),
      box(60, 69, 5, 18),
      box(50, 66, 85, 165),
    ],
  },
  {
    name: "polar ice and snow",
    cover: { sea: [0, 0.75], shelf: ANY, lake: [0, 0.75], snow: [0.2, 0.9] },
    boxes: [box(66, 83, -168, 180), box(-80, -62, -180, 180)],
  },
  {
    name: "green coast",
    cover: COAST,
    boxes: [
      box(-11, 14, 95, 155),
      box(7, 20, -98, -60),
      box(-6, 10, -17, 14),
      box(-5, 7, -60, -40),
      box(43, 65, -11, 35),
      box(38, 60, -80, -52),
      box(43, 62, -166, -121),
      box(35, 62, 120, 165),
      box(-48, -38, 143, 179),
      box(-56, -40, -76, -62),
    ],
  },
  {
    name: "desert coast",
    cover: COAST,
    boxes: [
      box(15, 34, -18, -9),
      box(29, 34, 10, 35),
      box(12, 31, 32, 62),
      box(-2, 12, 42, 52),
      box(36, 46, 47, 55),
      box(22, 32, -116, -107),
      box(-35, -16, 112, 140),
      box(-30, -5, -82, -69),
      box(-32, -14, 10, 18),
    ],
  },
  {
    name: "lakes",
    cover: { sea: [0, 0.1], shelf: ANY, lake: [0.04, 0.8], snow: [0, 0.5] },
    boxes: [box(-55, 66, -166, -50), box(-20, 70, 5, 180)],
  },
  {
    name: "shelf edge",
    cover: { sea: [0.98, 1], shelf: [0.15, 0.85], lake: ANY, snow: ANY },
    boxes: [box(-60, 66, -180, 180)],
  },
];

/** Index of the class of a patch with this centre and cover; undefined when it is in none. */
export function classOf(latitude: number, longitude: number, cover: Cover): number | undefined {
  const index = EARTH_CLASSES.findIndex(
    ({ boxes, cover: wanted }) =>
      (["sea", "shelf", "lake", "snow"] as const).every((key) => inRange(cover[key], wanted[key])) &&
      boxes.some(
        ({ south, north, west, east }) => inRange(latitude, [south, north]) && inRange(longitude, [west, east]),
      ),
  );
  return index < 0 ? undefined : index;
}

function inRange(value: number, [least, most]: Range): boolean {
  return value >= least && value <= most;
}

function box(south: number, north: number, west: number, east: number): GeoBox {
  return { south, north, west, east };
}
