/**
 * The emoji task: eight Unicode emoji groups as drawn by six vendors, rendered on white.
 * What is split is the emoji, not the file: all drawings of all vendors of one emoji, and of its gender, hair and
 * direction variants, are in the same split. Skin tones, flags and component signs are left out.
 * The label is the group in unicode-emoji-json, the same for every vendor.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { DataError } from "../../../src/errors.js";
import { createRng, permutation } from "../../../src/runtime/rng.js";
import { drawIcon, type IconSet, readIconSet } from "./icon-sets.js";
import { DATA_SEED, IMAGE_SIDE, type LabelledImage } from "./labelled-images.js";
import { SPARE_FRACTION, SPLIT_SIZES, type TaskSplits } from "./splits.js";

export const EMOJI_VENDORS = ["noto", "noto-v1", "twemoji", "fluent-emoji", "fluent-emoji-flat", "emojione"] as const;

/** Groups of Unicode's emoji-test.txt that become classes. */
export const EMOJI_CLASSES = [
  "Smileys & Emotion",
  "People & Body",
  "Animals & Nature",
  "Food & Drink",
  "Travel & Places",
  "Activities",
  "Objects",
  "Symbols",
];

/** White, with a free pixel on each side, so that no drawing touches the border. */
const CANVAS = { side: IMAGE_SIDE, margin: 1, background: "#ffffff" };

/** Signs that make a variant of an emoji, not another emoji: joiners, skin, gender, hair, direction. */
const VARIANT_SIGNS = new Set(
  ["fe0f", "200d", "2640", "2642", "27a1", "2194", "2195"].concat(
    ["1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"],
    ["1f9b0", "1f9b1", "1f9b2", "1f9b3"],
  ),
);
const SKIN_TONES = /1f3f[b-f]/;
/** Man, woman, person, boy, girl, child, baby: inside a sequence they only say who is shown. */
const PERSONS = new Set(["1f468", "1f469", "1f9d1", "1f466", "1f467", "1f9d2", "1f476"]);

const groupsSchema = z.record(z.string(), z.object({ slug: z.string(), group: z.string() }));
const charsSchema = z.record(z.string(), z.string());

interface Emoji {
  /** Code points as in chars.json: lower-case hex joined by "-", without fe0f. */
  readonly codePoints: string;
  readonly label: number;
}

/** Renders all drawings under `modules` (a node_modules folder) and splits them by emoji within each class. */
export async function makeEmojiTask(modules: string): Promise<TaskSplits> {
  const emojiByName = await readEmojiNames(modules);
  const families = new Map<string, { label: number; images: LabelledImage[] }>();
  for (const vendor of EMOJI_VENDORS) {
    const set = await readIconSet(modules, vendor);
    const drawn = new Set<string>();
    for (const name of set.icons.keys()) {
      const emoji = findEmoji(set, name, emojiByName);
      if (emoji === undefined || drawn.has(emoji.codePoints)) continue;
      drawn.add(emoji.codePoints);
      const family = splitKey(emoji.codePoints);
      const entry = families.get(family) ?? { label: emoji.label, images: [] };
      families.set(family, entry);
      const origin = `${vendor}/${emoji.codePoints}.png`;
      entry.images.push({ pixelsHWC: await drawIcon(set, name, CANVAS), label: emoji.label, origin });
    }
  }
  return splitFamilies([...families.values()]);
}

/** The part of a code point sequence that all variants of one emoji share. */
function splitKey(codePoints: string): string {
  const points = codePoints.split("-").filter((point) => !VARIANT_SIGNS.has(point));
  const rest = points.filter((point) => !PERSONS.has(point));
  if (rest.length > 0) return rest.join("-");
  // Families are sequences of persons only; a single person stands for itself.
  return points.length > 1 ? "family" : points.join("-");
}

async function readEmojiNames(modules: string): Promise<Map<string, Emoji>> {
  const groupFile = join(modules, "unicode-emoji-json", "data-by-emoji.json");
  const groups = groupsSchema.parse(JSON.parse(await readFile(groupFile, "utf8")));
  const byName = new Map<string, Emoji>();
  const byCodePoints = new Map<string, Emoji>();
  for (const [text, { slug, group }] of Object.entries(groups)) {
    const label = EMOJI_CLASSES.indexOf(group);
    if (label < 0) continue;
    const codePoints = [...text].map((sign) => sign.codePointAt(0)?.toString(16) ?? "").filter((hex) => hex !== "fe0f");
    const emoji = { codePoints: codePoints.join("-"), label };
    byCodePoints.set(emoji.codePoints, emoji);
    byName.set(slug.replaceAll("_", "-"), emoji);
  }
  // The vendors' own tables know the names that the sets without a table use, too.
  for (const vendor of ["twemoji", "noto", "fluent-emoji-flat"]) {
    const chars = charsSchema.parse(
      JSON.parse(await readFile(join(modules, "@iconify-json", vendor, "chars.json"), "utf8")),
    );
    for (const [hex, name] of Object.entries(chars)) {
      const emoji = byCodePoints.get(hex.replace(/-fe0f/g, ""));
      if (emoji !== undefined && !SKIN_TONES.test(hex) && !byName.has(name)) byName.set(name, emoji);
    }
  }
  return byName;
}

/** An icon whose name or alias no table knows cannot be split by emoji and is left out. */
function findEmoji(set: IconSet, name: string, byName: ReadonlyMap<string, Emoji>): Emoji | undefined {
  for (const candidate of [name, ...(set.aliases.get(name) ?? [])]) {
    const emoji = byName.get(candidate);
    if (emoji !== undefined) return emoji;
  }
  return undefined;
}

/**
 * Deals whole families of every class to test, val and adapt until each holds its share of the class, and the
 * rest to train. Shares follow the class frequencies, so all splits have about the same class mix.
 */
function splitFamilies(families: readonly { label: number; images: LabelledImage[] }[]): TaskSplits {
  const total = families.reduce((sum, family) => sum + family.images.length, 0);
  const splits = {
    test: [] as LabelledImage[],
    val: [] as LabelledImage[],
    adapt: [] as LabelledImage[],
    train: [] as LabelledImage[],
  };
  for (const [label, className] of EMOJI_CLASSES.entries()) {
    const own = families.filter((family) => family.label === label);
    const count = own.reduce((sum, family) => sum + family.images.length, 0);
    if (count === 0) throw new DataError(`emoji: expected drawings of "${className}", found none; run npm ci here`);
    const order = [...permutation(own.length, createRng(DATA_SEED, "emoji", "families", label))];
    for (const split of ["test", "val", "adapt"] as const) {
      const wanted = Math.ceil((SPLIT_SIZES[split] * (1 + SPARE_FRACTION) * count) / total);
      let held = 0;
      while (held < wanted) {
        const family = own[order.pop() ?? -1];
        if (family === undefined) throw new DataError(`emoji: too few drawings of "${className}" for the splits`);
        splits[split].push(...family.images);
        held += family.images.length;
      }
    }
    for (const index of order) splits.train.push(...(own[index]?.images ?? []));
  }
  return {
    name: "emoji",
    classes: EMOJI_CLASSES,
    train: shuffled(splits.train, "train"),
    adapt: shuffled(splits.adapt, "adapt"),
    val: shuffled(splits.val, "val"),
    test: shuffled(splits.test, "test"),
  };
}

/** Cutting a shuffled split to its size keeps the class mix; an ordered one would lose the last class. */
function shuffled(images: readonly LabelledImage[], split: string): LabelledImage[] {
  const order = permutation(images.length, createRng(DATA_SEED, "emoji", "order", split));
  return [...order].flatMap((index) => images[index] ?? []);
}
