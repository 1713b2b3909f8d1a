/**
 * What is drawn from fonts, one character an image: the tasks `letters`, `thai` and `hebrew`, split by whole family, and the
 * pretraining alphabets (other scripts, from other families).
 */
import { DataError } from "../../../src/errors.js";
import { createRng, permutation, type Rng } from "../../../src/runtime/rng.js";
import {
  checkPools,
  GLYPH_FAMILIES,
  HEBREW_FAMILIES,
  HEBREW_LETTERS,
  LETTER_FAMILIES,
  PRETRAIN_ALPHABETS,
  RELATED_KIND,
  THAI_FAMILIES,
  THAI_LETTERS,
} from "./font-families.js";
import { drawGlyph, findGlyph, type Glyph, type GlyphStyle, readFamily } from "./glyphs.js";
import { DATA_SEED, type ImageCollection, type LabelledImage } from "./labelled-images.js";
import { SPARE_FRACTION, SPLIT_SIZES, type TaskSplits } from "./splits.js";

const LATIN_CAPITALS = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];

const LETTER_STYLE: GlyphStyle = { minSize: 16, maxSize: 28, maxDegrees: 12 };
const PRETRAIN_STYLE: GlyphStyle = { minSize: 16, maxSize: 29, maxDegrees: 15 };
/** Training images per class of a task: all classes are equally frequent. */
const TRAIN_IMAGES_PER_CLASS = { letters: 600, thai: 400, hebrew: 300 } as const;
/** Pretraining images per class, of which the eastern collection has three times as many. */
const PRETRAIN_IMAGES_PER_CLASS = new Map([["glyphs-european", 375]]);
const USUAL_PRETRAIN_IMAGES_PER_CLASS = 170;
/** A pretraining character that fewer families have teaches these fonts rather than the character. */
const MIN_FAMILIES = 5;

/** Every drawable form of one character: one entry per family, and in it one per weight. */
export type Forms = readonly (readonly Drawable[])[];
export interface Drawable {
  readonly family: string;
  readonly weight: number;
  readonly glyph: Glyph;
}

const PRETRAIN_SUBSETS = [
  "greek",
  "cyrillic",
  "cyrillic-ext",
  "arabic",
  "devanagari",
  "tamil",
  "bengali",
  "gujarati",
  "telugu",
];

export type FamilySplits = Readonly<Record<"test" | "val" | "adapt" | "train", readonly string[]>>;

/** Of every kind of family, 18 % go to test, 9 % to val, 18 % to adapt (at least one each) and the rest to train; related ones too. */
export function dealFamilies(task: string, kinds: ReadonlyMap<string, readonly string[]>): FamilySplits {
  const none = (): string[] => [];
  const families = { test: none(), val: none(), adapt: none(), train: none() };
  for (const [kind, names] of kinds) {
    if (kind === RELATED_KIND) {
      families.train.push(...names);
      continue;
    }
    const order = [...permutation(names.length, createRng(DATA_SEED, task, "families", kind))];
    const deal = (share: number) =>
      order.splice(0, Math.max(1, Math.round(names.length * share))).map((index) => names[index] ?? "");
    families.test.push(...deal(0.18));
    families.val.push(...deal(0.09));
    families.adapt.push(...deal(0.18));
    families.train.push(...order.map((index) => names[index] ?? ""));
  }
  return families;
}

interface GlyphTask {
  readonly name: keyof typeof TRAIN_IMAGES_PER_CLASS;
  readonly kinds: ReadonlyMap<string, readonly string[]>;
  readonly subsets: readonly string[];
  readonly characters: readonly string[];
}

async function makeGlyphTask(modules: string, { name, kinds, subsets, characters }: GlyphTask): Promise<TaskSplits> {
  checkPools();
  const families = dealFamilies(name, kinds);
  const draw = async (split: keyof FamilySplits, count: number) => {
    const formsOf = await readForms(modules, families[split], subsets, characters);
    return drawImages(formsOf, characters, count, LETTER_STYLE, `${name}-${split}`);
  };
  return {
    name,
    classes: characters,
    test: await draw("test", SPLIT_SIZES.test * (1 + SPARE_FRACTION)),
    val: await draw("val", SPLIT_SIZES.val * (1 + SPARE_FRACTION)),
    adapt: await draw("adapt", SPLIT_SIZES.adapt * (1 + SPARE_FRACTION)),
    train: await draw("train", TRAIN_IMAGES_PER_CLASS[name] * characters.length),
  };
}

/** A to Z. */
export const makeLettersTask = (modules: string): Promise<TaskSplits> =>
  makeGlyphTask(modules, { name: "letters", kinds: LETTER_FAMILIES, subsets: ["latin"], characters: LATIN_CAPITALS });

/** The Thai consonants. */
export const makeThaiTask = (modules: string): Promise<TaskSplits> =>
  makeGlyphTask(modules, { name: "thai", kinds: THAI_FAMILIES, subsets: ["thai"], characters: THAI_LETTERS });

/** The Hebrew letters, a task that is never merged. */
export const makeHebrewTask = (modules: string): Promise<TaskSplits> =>
  makeGlyphTask(modules, { name: "hebrew", kinds: HEBREW_FAMILIES, subsets: ["hebrew"], characters: HEBREW_LETTERS });

/** The pretraining alphabets, one collection each; characters of too few families are left out. */
export async function makeGlyphCollections(modules: string): Promise<ImageCollection[]> {
  const all = [...PRETRAIN_ALPHABETS.values()].flat();
  const formsOf = await readForms(modules, GLYPH_FAMILIES, PRETRAIN_SUBSETS, all);
  return [...PRETRAIN_ALPHABETS].map(([name, characters]) => {
    const classes = characters.filter((character) => (formsOf.get(character)?.length ?? 0) >= MIN_FAMILIES);
    const count = classes.length * (PRETRAIN_IMAGES_PER_CLASS.get(name) ?? USUAL_PRETRAIN_IMAGES_PER_CLASS);
    return { name, classes, images: drawImages(formsOf, classes, count, PRETRAIN_STYLE, name) };
  });
}

/** The forms of every character in the named families. */
export async function readForms(
  modules: string,
  families: readonly string[],
  subsets: readonly string[],
  characters: readonly string[],
): Promise<Map<string, Forms>> {
  const forms = new Map(characters.map((character) => [character, [] as Drawable[][]]));
  for (const family of families) {
    const weights = await readFamily(modules, family, subsets);
    for (const [character, own] of forms) {
      const drawables = weights.flatMap((entry) => {
        const glyph = findGlyph(entry, character);
        return glyph === undefined ? [] : [{ family, weight: entry.weight, glyph }];
      });
      if (drawables.length > 0) own.push(drawables);
    }
  }
  return forms;
}

/** Image i shows class i mod the number of classes, in a random family and weight. */
function drawImages(
  formsOf: ReadonlyMap<string, Forms>,
  classes: readonly string[],
  count: number,
  style: GlyphStyle,
  stream: string,
): LabelledImage[] {
  const rng = createRng(DATA_SEED, "glyphs", stream);
  return Array.from({ length: Math.ceil(count) }, (_, index) => {
    const label = index % classes.length;
    const drawable = pick(pick(formsOf.get(classes[label] ?? "") ?? [], rng), rng);
    const origin = `${drawable.family}-${drawable.weight}/${String(index).padStart(5, "0")}.png`;
    return { pixelsHWC: drawGlyph(drawable.glyph, style, rng), label, origin };
  });
}

/** A random item; throws DataError for none, which means that a character is in no family. */
export function pick<Item>(items: readonly Item[], rng: Rng): Item {
  const item = items[rng.nextInt(Math.max(1, items.length))];
  if (item === undefined) throw new DataError("fonts: a character is in no family; run npm ci in this folder");
  return item;
}
