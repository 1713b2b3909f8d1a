/** Pieces of a text on their way through a tokenizer, and how one is split. Source: tokenizers, tokenizer/{normalizer,pattern}.rs. */
import { z } from "zod";
import { NEWER } from "./unicode-tables.js";

const NEWER_CHARACTER = new RegExp(`[${NEWER}]`, "u");
const NEWER_CHARACTERS = new RegExp(`[${NEWER}]`, "gu");
/** Characters of either length that no Unicode has assigned. */
const UNASSIGNED = ["\u0378", "\u{50000}"] as const;

export interface Piece {
  readonly text: string;
  /** Whether it begins where the text that was given begins. */
  readonly isFirst: boolean;
}

/** What becomes of the matches that a text is split at. Names as in tokenizer.json. */
export const behaviors = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"] as const;
export type Behavior = (typeof behaviors)[number];
export const behaviorSchema = z.enum(behaviors);

interface Part {
  readonly start: number;
  readonly end: number;
  readonly isMatch: boolean;
}

/**
 * Splits at the matches of `expression` (flag `g`), or at what lies between them if `inverted`, with the classes of characters that the library's
 * expressions have. No piece is empty.
 */
export function splitPiece(piece: Piece, expression: RegExp, behavior: Behavior, inverted = false): Piece[] {
  return splitSeen(piece, seenByExpressions(piece.text), expression, behavior, inverted);
}

/** As `splitPiece`, with the classes of today's Unicode, which the library has where it asks Rust itself. */
export function splitByToday(piece: Piece, expression: RegExp, behavior: Behavior): Piece[] {
  return splitSeen(piece, piece.text, expression, behavior, false);
}

/** `seen` is the text as the expression is shown it, of the same length. */
function splitSeen(
  { text, isFirst }: Piece,
  seen: string,
  expression: RegExp,
  behavior: Behavior,
  inverted: boolean,
): Piece[] {
  const pieces: Piece[] = [];
  for (const { start, end } of joined(partsOf(seen, expression, inverted), behavior))
    if (end > start) pieces.push({ text: text.slice(start, end), isFirst: isFirst && start === 0 });
  return pieces;
}

function seenByExpressions(text: string): string {
  if (!NEWER_CHARACTER.test(text)) return text;
  return text.replace(NEWER_CHARACTERS, (character) => UNASSIGNED[character.length - 1] ?? character);
}

function partsOf(text: string, expression: RegExp, inverted: boolean): Part[] {
  const parts: Part[] = [];
  let at = 0;
  for (const match of text.matchAll(expression)) {
    const end = match.index + match[0].length;
    if (match.index > at) parts.push({ start: at, end: match.index, isMatch: inverted });
    if (end > match.index) parts.push({ start: match.index, end, isMatch: !inverted });
    at = end;
  }
  if (at < text.length) parts.push({ start: at, end: text.length, isMatch: inverted });
  return parts;
}

function joined(parts: readonly Part[], behavior: Behavior): readonly Part[] {
  switch (behavior) {
    case "Isolated":
      return parts;
    case "Removed":
      return parts.filter(({ isMatch }) => !isMatch);
    case "Contiguous":
      return mergedWhere(parts, (before, part) => before.isMatch === part.isMatch);
    case "MergedWithPrevious":
      return mergedWhere(parts, (before, part) => part.isMatch && !before.isMatch);
    case "MergedWithNext":
      return mergedWhere([...parts].reverse(), (after, part) => part.isMatch && !after.isMatch).reverse();
    default:
      return behavior satisfies never;
  }
}

/** One behind the other; `merges` is asked with the part before as it was, not as it became. */
function mergedWhere(parts: readonly Part[], merges: (before: Part, part: Part) => boolean): Part[] {
  const result: Part[] = [];
  for (const [index, part] of parts.entries()) {
    const [before, last] = [parts[index - 1], result.at(-1)];
    if (before !== undefined && last !== undefined && merges(before, part))
      result[result.length - 1] = {
        start: Math.min(last.start, part.start),
        end: Math.max(last.end, part.end),
        isMatch: last.isMatch,
      };
    else result.push(part);
  }
  return result;
}
