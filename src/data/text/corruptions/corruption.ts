/**
 * What a corruption of texts is: errors as people make them, at five strengths. Words are what stands between blanks: a text of a script that writes
 * none is one word.
 */
import type { Rng } from "../../../runtime/rng.js";
import type { NamedCorruption } from "../../corruption.js";

/** A corruption at one strength; everything random comes from `rng`. */
export type CorruptText = (text: string, rng: Rng) => string;

export interface TextCorruption extends NamedCorruption {
  /** The function for a severity from 1 (mild) to 5. */
  readonly at: (severity: number) => CorruptText;
}

/** A text as words and what stands around them: words are at odd places, blanks (perhaps none) at even ones. */
export function wordsAndBlanks(text: string): string[] {
  return text.split(/(\P{White_Space}+)/u);
}

/** The share of a severity, 1 to 5. */
export function shareOf(shares: readonly number[], severity: number): number {
  const found = shares[severity - 1];
  if (found === undefined) throw new RangeError(`no severity ${severity}`);
  return found;
}
