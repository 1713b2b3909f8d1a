/**
 * Glosses of WordNet 3.0: Debian wordnet-base (WordNet licence, BSD-like). A line of data.<part of speech> is a synset; the second column
 * is its lexicographer file, which is its topic, and behind the bar stands the gloss. Taken is the gloss up to its first example.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { countWords, oneLine, type SourceText } from "../labelled-text.js";

const LEAST_WORDS = 4;

/** Of the task "speech", in the order of the classes. */
const PARTS_OF_SPEECH = ["noun", "verb", "adj", "adv"] as const;
type PartOfSpeech = (typeof PARTS_OF_SPEECH)[number];

/** noun.act to noun.time in the order of the classes; without 03 (the roots) and 16 (motives, 42 synsets). */
const NOUN_TOPICS = [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28];

export interface Gloss {
  readonly synset: string;
  /** Number of the lexicographer file. */
  readonly topic: number;
  readonly text: string;
}

export async function readPartsOfSpeech(filesDir: string): Promise<SourceText[]> {
  const texts: SourceText[] = [];
  for (const [label, part] of PARTS_OF_SPEECH.entries())
    for (const { synset, text } of cutGlosses(await readData(filesDir, part)))
      texts.push({ text, label, group: `${part} ${synset}` });
  return texts;
}

export async function readNounTopics(filesDir: string): Promise<SourceText[]> {
  return cutGlosses(await readData(filesDir, "noun")).flatMap(({ synset, topic, text }) => {
    const label = NOUN_TOPICS.indexOf(topic);
    return label < 0 ? [] : [{ text, label, group: synset }];
  });
}

export function cutGlosses(content: string): Gloss[] {
  const glosses: Gloss[] = [];
  // The licence stands at the top, on lines that begin with blanks.
  for (const line of content.split("\n").filter((line) => /^\d/.test(line))) {
    const [synset = "", topic = ""] = line.split(" ");
    const gloss = line.slice(line.indexOf("| ") + 2);
    const text = oneLine(gloss.replace(/[;:,]?\s*".*$/, ""));
    if (countWords(text) >= LEAST_WORDS) glosses.push({ synset, topic: Number(topic), text });
  }
  return glosses;
}

function readData(filesDir: string, part: PartOfSpeech): Promise<string> {
  return readFile(join(filesDir, "wordnet-base", "usr", "share", "wordnet", `data.${part}`), "latin1");
}
