/**
 * Dictionary subjects: Debian dict-gcide, the Collaborative International Dictionary of English. Only paragraphs that end in the mark
 * [1913 Webster] alone are taken: Webster's Revised Unabridged Dictionary, in the public domain. The text is what follows
 * a subject's mark, such as (Zool.), and the label is the subject; an entry's senses stay together.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { countWords, oneLine, type SourceText } from "../labelled-text.js";

/** Marks of each class, in the order of the classes. */
const SUBJECTS: readonly (readonly string[])[] = [
  ["Zool"],
  ["Bot"],
  ["Chem"],
  ["Med", "Surg"],
  ["Anat"],
  ["Naut"],
  ["Law"],
  ["Min"],
  ["Mus"],
  ["Arch"],
  ["Mil", "Fort", "Gun"],
  ["Math", "Geom", "Alg"],
  ["Astron"],
  ["Her"],
  ["Elec"],
  ["Gram"],
  ["Eccl", "R. C. Ch"],
];

const LEAST_WORDS = 5;
/** A model is shown about half of this. */
const MOST_WORDS = 45;

const SOURCE_MARK = "[1913 Webster]";
/** Any mark in round brackets that may be a subject, ours or another: (Zool.), (Eccl. Hist.), (Law). */
const SUBJECT_MARK = /\((?:[A-Z][A-Za-z."&' -]{0,24}\.|Law)\)/g;

export async function readDictionary(filesDir: string): Promise<SourceText[]> {
  const packed = await readFile(join(filesDir, "dict-gcide", "usr", "share", "dictd", "gcide.dict.dz"));
  return cutDictionary((await promisify(gunzip)(packed)).toString("latin1"));
}

export function cutDictionary(content: string): SourceText[] {
  const texts: SourceText[] = [];
  let entry = "";
  for (const paragraph of content.split(/\n[ \t]*\n/)) {
    // A headword stands at the margin, everything below it is indented.
    if (/^\S.*\\/.test(paragraph)) entry = paragraph.slice(0, paragraph.indexOf("\\")).trim();
    const sense = cutSense(oneLine(paragraph));
    if (sense !== undefined) texts.push({ ...sense, group: entry });
  }
  return texts;
}

function cutSense(paragraph: string): { text: string; label: number } | undefined {
  if (!paragraph.endsWith(SOURCE_MARK) || paragraph.startsWith("Note:")) return undefined;
  const [mark, another] = paragraph.matchAll(SUBJECT_MARK);
  if (mark === undefined || another !== undefined) return undefined;
  const subject = mark[0].slice(1, -1).replace(/\.$/, "");
  const label = SUBJECTS.findIndex((marks) => marks.includes(subject));
  const text = plainSense(paragraph.slice(mark.index + mark[0].length));
  return label < 0 || countWords(text) < LEAST_WORDS ? undefined : { text, label };
}

function plainSense(raw: string): string {
  const text = raw
    // Letters with marks are written in brackets: [ae] for the ligature, ['e], [=a], [a^].
    .replace(/\[([ao]e)\]/gi, "$1")
    .replace(/\[[`'^"~=.,]?([A-Za-z])[`'^"~=,]?\]/g, "$1")
    .replace(/\[[^\]]*\]/g, " ")
    // Quotations' authors, another part of speech, and what points elsewhere.
    .replace(/ --[A-Z][^.]*\..*$/, "")
    .replace(/ -- (n|a|adv|v|v\. [ti]|prep|pl)\. .*$/, "")
    .replace(/\bSyn: .*$/, "")
    .replace(/\([a-h]\)/g, "")
    .replace(/[{}]/g, "")
    .replace(/^[\s,.;:)]*/, "");
  // A formula whose small figures were lost.
  if (/[A-Z]\?/.test(text)) return "";
  return oneLine(text)
    .replace(/\s+([,.;:])/g, "$1")
    .split(" ")
    .slice(0, MOST_WORDS)
    .join(" ");
}
