/**
 * What is drawn from fonts: the `letters` task (A to Z, split by whole family) and the pretraining alphabets
 * (other scripts, from other families).
 */
import { DataError } from "../../src/errors.js";
import { createRng, permutation, type Rng } from "../../src/runtime/rng.js";
import { GLYPH_FAMILIES, LETTER_FAMILIES, PRETRAIN_ALPHABETS } from "./font-families.js";
import { drawGlyph, findGlyph, type Glyph, type GlyphStyle, readFamily } from "./glyphs.js";
import { DATA_SEED, type ImageCollection, type LabelledImage } from "./labelled-images.js";
import { SPARE_FRACTION, SPLIT_SIZES, type TaskSplits } from "./splits.js";

export const LETTER_CLASSES = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];

const LETTER_STYLE: GlyphStyle = { minSize: 16, maxSize: 28, maxDegrees: 12 };
const PRETRAIN_STYLE: GlyphStyle = { minSize: 16, maxSize: 29, maxDegrees: 15 };
/** Multiple of 26, so that the classes are equally frequent. */
const LETTER_TRAIN_IMAGES = 15_600;
const PRETRAIN_IMAGES = 18_000;
/** A pretraining character that fewer families have teaches these fonts rather than the character. */
const MIN_FAMILIES = 5;

/** Every drawable form of one character: one entry per family, and in it one per weight. */
type Forms = readonly (readonly Drawable[])[];
interface Drawable {
  readonly family: string;
  readonly weight: number;
  readonly glyph: Glyph;
}

const LETTER_SUBSETS = ["latin"];
const PRETRAIN_SUBSETS = ["greek", "cyrillic", "cyrillic-ext", "hebrew", "arabic", "thai", "devanagari"];

/** The letters task; of every kind of family, 18 % go to test, 9 % to val, 18 % to adapt and the rest to train. */
export async function makeLettersTask(modules: string): Promise<TaskSplits> {
  const shared = [...LETTER_FAMILIES.values()].flat().filter((family) => GLYPH_FAMILIES.includes(family));
  if (shared.length > 0) throw new DataError(`font families both in letters and in pretraining: ${shared.join(", ")}`);
  const none = (): string[] => [];
  const families = { test: none(), val: none(), adapt: none(), train: none() };
  for (const [kind, names] of LETTER_FAMILIES) {
    const order = [...permutation(names.length, createRng(DATA_SEED, "letters", "families", kind))];
    const deal = (share: number) =>
      order.splice(0, Math.round(names.length * share)).map((index) => names[index] ?? "");
    families.test.push(...deal(0.18));
    families.val.push(...deal(0.09));
    families.adapt.push(...deal(0.18));
    families.train.push(...order.map((index) => names[index] ?? ""));
  }
  const draw = async (split: keyof typeof families, count: number) => {
    const formsOf = await readForms(modules, families[split], LETTER_SUBSETS, LETTER_CLASSES);
    return drawImages(formsOf, LETTER_CLASSES, count, LETTER_STYLE, `letters-${split}`);
  };
  return {
    name: "letters",
    classes: LETTER_CLASSES,
    test: await draw("test", SPLIT_SIZES.test * (1 + SPARE_FRACTION)),
    val: await draw("val", SPLIT_SIZES.val * (1 + SPARE_FRACTION)),
    adapt: await draw("adapt", SPLIT_SIZES.adapt * (1 + SPARE_FRACTION)),
    train: await draw("train", LETTER_TRAIN_IMAGES),
  };
}

/** The pretraining alphabets, one collection each; characters of too few families are left out. */
export async function makeGlyphCollections(modules: string): Promise<ImageCollection[]> {
  const all = [...PRETRAIN_ALPHABETS.values()].flat();
  const formsOf = await readForms(modules, GLYPH_FAMILIES, PRETRAIN_SUBSETS, all);
  return [...PRETRAIN_ALPHABETS].map(([name, characters]) => {
    const classes = characters.filter((character) => (formsOf.get(character)?.length ?? 0) >= MIN_FAMILIES);
    return { name, classes, images: drawImages(formsOf, classes, PRETRAIN_IMAGES, PRETRAIN_STYLE, name) };
  });
}

async function readForms(
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

function pick<Item>(items: readonly Item[], rng: Rng): Item {
  const item = items[rng.nextInt(Math.max(1, items.length))];
  if (item === undefined) throw new DataError("fonts: a character is in no family; run npm ci in this folder");
  return item;
}
