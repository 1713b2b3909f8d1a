/**
 * Game descriptions: Debian crawl-common, the English texts of Dungeon Crawl Stone Soup (GPL-2.0-or-later; not quotes.txt, which has others'
 * copyright). Entries stand between lines of %%%%: a key, then its description, cut into pieces of one or two sentences. Entries made
 * by a script or that refer to another are left out.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { countWords, oneLine, type SourceText } from "../labelled-text.js";

/** Files of each class, in the order of the classes. */
const FILES: readonly (readonly string[])[] = [
  ["monsters"],
  ["spells"],
  ["items", "unident"],
  ["unrand"],
  ["features", "branches"],
  ["mutations"],
  ["status"],
  ["ability"],
  ["gods"],
];

const LEAST_WORDS = 5;
/** A piece takes a second sentence while it stays below this: about what a model is shown. */
const PIECE_WORDS = 24;

export async function readGame(filesDir: string): Promise<SourceText[]> {
  const texts: SourceText[] = [];
  for (const [label, names] of FILES.entries()) {
    for (const name of names) {
      const folder = join(filesDir, "crawl-common", "usr", "share", "crawl", "dat", "descript");
      texts.push(...cutDescriptions(await readFile(join(folder, `${name}.txt`), "utf8"), label, name));
    }
  }
  return texts;
}

export function cutDescriptions(content: string, label: number, file: string): SourceText[] {
  const texts: SourceText[] = [];
  for (const entry of content.split(/^%%%%.*$/m)) {
    const [key = "", ...lines] = entry
      .split("\n")
      .filter((line) => !line.startsWith("#"))
      .join("\n")
      .trim()
      .split("\n");
    const body = lines.join("\n").trim();
    // Scripts, references to other entries, switches (":nowrap"), and the game's notes to itself.
    if (body === "" || key.startsWith("_") || /\{\{|^<|^:|it is a bug/m.test(body)) continue;
    for (const paragraph of body.split(/\n\s*\n/))
      for (const text of cutSentences(oneLine(paragraph))) texts.push({ text, label, group: `${file} ${key}` });
  }
  return texts;
}

function cutSentences(paragraph: string): string[] {
  const pieces: string[] = [];
  let piece = "";
  for (const sentence of paragraph.split(/(?<=[.!?]["')]?) (?=["'(]?[A-Z])/)) {
    if (piece !== "" && countWords(piece) + countWords(sentence) > PIECE_WORDS) {
      pieces.push(piece);
      piece = sentence;
    } else if (piece === "") piece = sentence;
    else {
      pieces.push(`${piece} ${sentence}`);
      piece = "";
    }
  }
  if (piece !== "") pieces.push(piece);
  return pieces.filter((text) => countWords(text) >= LEAST_WORDS && /^["'(]?[A-Z]/.test(text));
}
