/**
 * A text with its label, as every source of text8 yields it, and the words it is compared by.
 */
import { wordsOf } from "../../../src/data/text/near-texts.js";

export interface LabelledText {
  readonly text: string;
  readonly label: number;
}

/** A text that may be drawn. Texts of one group (a file, an entry, a chapter, a speech) go to one split together. */
export interface SourceText extends LabelledText {
  readonly group: string;
}

/** The key under which a text counts as seen. */
export function textKey(text: string): string {
  return wordsOf(text).join(" ");
}

/** One line, single spaces. */
export function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}

/** Words as a reader counts them: runs between blanks. */
export function countWords(text: string): number {
  return text.split(/\s+/).filter((word) => word !== "").length;
}

/** Items by key, keys in order of first occurrence. */
export function grouped<Item, Key>(items: Iterable<Item>, keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
