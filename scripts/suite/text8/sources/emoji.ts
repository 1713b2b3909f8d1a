/**
 * Emoji groups: npm emojibase-data (MIT), names and tags of Unicode CLDR. A text is an emoji's name and tags, its label the Unicode group.
 * Variants for men and women, hair and direction are near copies: they share a group, the stem of their names.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { SourceText } from "../labelled-text.js";
import type { CopyRule } from "../split-texts.js";

/** Unicode's group numbers in the order of the classes: 2 is skin tones and hair, 9 is flags. */
const GROUPS = [0, 1, 3, 4, 5, 6, 7, 8];

/** Tags repeat between related emoji: half the words in common is the same thing drawn again. Four of it are plenty. */
export const EMOJI_COPIES: CopyRule = { jaccard: 0.5, keep: 4 };

const emojiSchema = z.array(
  z.object({ label: z.string(), tags: z.array(z.string()).default([]), group: z.number().optional() }),
);

export async function readEmoji(filesDir: string): Promise<SourceText[]> {
  return cutEmoji(JSON.parse(await readFile(join(filesDir, "emojibase-data", "en", "data.json"), "utf8")));
}

export function cutEmoji(data: unknown): SourceText[] {
  return emojiSchema.parse(data).flatMap(({ label: name, tags, group }) => {
    const label = GROUPS.indexOf(group ?? -1);
    if (label < 0) return [];
    return [{ text: tags.length === 0 ? name : `${name}: ${tags.join(", ")}`, label, group: stem(name) }];
  });
}

/** "woman running facing right", "person: curly hair" and their like without what varies. */
function stem(name: string): string {
  const kept = name
    .toLowerCase()
    .replace(/:.*$|\bfacing (left|right)\b/g, "")
    .match(/[\p{L}\p{N}]+/gu);
  const words = (kept ?? []).filter((word) => !VARIED.has(word));
  return words.length === 0 ? name : words.join(" ");
}

const VARIED: ReadonlySet<string> = new Set("man men woman women person people boy girl child".split(" "));
