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
const PIECE_SENTENCES = 2;
/** A model is shown about half of this. */
const MOST_WORDS = 45;

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
      for (const text of cutSentences(oneLine(paragraph.replace(/<\/?\w+>/g, ""))))
        texts.push({ text, label, group: `${file} ${key}` });
  }
  return texts;
}

function cutSentences(paragraph: string): string[] {
  const sentences = paragraph.split(/(?<=[.!?]["')]?) (?=["'(]?[A-Z])/);
  const pieces: string[] = [];
  for (let at = 0; at < sentences.length; at += PIECE_SENTENCES) {
    const text = sentences.slice(at, at + PIECE_SENTENCES).join(" ");
    // A key on the keyboard that the game fills in.
    if (text.includes("$cmd")) continue;
    if (countWords(text) >= LEAST_WORDS && /^["'(]?[A-Z]/.test(text))
      pieces.push(text.split(" ").slice(0, MOST_WORDS).join(" "));
  }
  return pieces;
}
