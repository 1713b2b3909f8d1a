/** All corruptions of texts by name. A new one is a file beside this one, a line here and its name in config/schema.ts. */
import { createRng } from "../../../runtime/rng.js";
import { type ChosenCorruption, chosenCorruption } from "../../corruption.js";
import type { TextCorruption } from "./corruption.js";
import { typos } from "./typos.js";
import { droppedWords, swappedWords } from "./words.js";

export const textCorruptions: ReadonlyMap<string, TextCorruption> = new Map(
  [typos, droppedWords, swappedWords].map((corruption) => [corruption.name, corruption]),
);

/** Raise it when a corruption changes what comes out. */
export const TEXT_CORRUPTION_VERSION = 1;

/**
 * The text of this place in its split, corrupted; the same whatever else is read. `part`: 0, or 1 for the second of a pair. Throws ConfigError for a
 * corruption of something else.
 */
export function corruptText(text: string, chosen: ChosenCorruption, index: number, part: 0 | 1): string {
  const { name, severity, seed } = chosen;
  const corruption = chosenCorruption(textCorruptions, chosen, "texts");
  return corruption.at(severity)(text, createRng(seed, "corruption", name, severity, index, part));
}
