/**
 * Tokens that stand beside the vocabulary, special ones among them: they are cut out of a text before anything else, also where a text spells them,
 * as transformers does. Source: tokenizers, tokenizer/added_vocabulary.rs.
 */
import { z } from "zod";
import { escaped } from "./expressions.js";
import type { Normalize } from "./normalizers.js";
import type { Piece } from "./pieces.js";

export const addedTokenSchema = z.looseObject({
  id: z.int().min(0),
  content: z.string(),
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  normalized: z.boolean().optional(),
  special: z.boolean().default(false),
});
export type AddedToken = z.infer<typeof addedTokenSchema>;

/** A piece of text, or a token that was found in it. */
export type Section = { readonly piece: Piece } | { readonly id: number };

const WORD_BEFORE = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const WORD_AFTER = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const BLANK = /^\p{White_Space}$/u;

/** Cuts a text into normalised pieces and added tokens. Those that are `normalized` are looked for in the normalised text. */
export function sectionsOf(tokens: readonly AddedToken[], normalize: Normalize): (text: string) => readonly Section[] {
  const isNormalized = ({ normalized, special }: AddedToken): boolean => normalized ?? !special;
  const plain = finder(tokens.filter((token) => !isNormalized(token)).map((token) => [token.content, token]));
  const normal = finder(tokens.filter(isNormalized).map((token) => [normalize(token.content), token]));
  return (text) =>
    plain({ text, isFirst: true }).flatMap((section) => {
      if ("id" in section) return [section];
      return normal({ ...section.piece, text: normalize(section.piece.text) });
    });
}

/** Finds the longest token that begins first. */
function finder(entries: readonly (readonly [string, AddedToken])[]): (piece: Piece) => readonly Section[] {
  const byContent = new Map(entries.filter(([content]) => content !== ""));
  if (byContent.size === 0) return (piece) => (piece.text === "" ? [] : [{ piece }]);
  const contents = [...byContent.keys()].sort((a, b) => b.length - a.length);
  const expression = new RegExp(contents.map(escaped).join("|"), "gu");
  return ({ text, isFirst }) => {
    const sections: Section[] = [];
    let at = 0;
    const addText = (end: number) => {
      if (end > at) sections.push({ piece: { text: text.slice(at, end), isFirst: isFirst && at === 0 } });
    };
    for (const match of text.matchAll(expression)) {
      const token = byContent.get(match[0]);
      if (token === undefined) continue;
      let start = match.index;
      let end = start + match[0].length;
      if (token.single_word && (WORD_BEFORE.test(text.slice(0, start)) || WORD_AFTER.test(text.slice(end)))) continue;
      if (token.lstrip) while (start > at && BLANK.test(text[start - 1] ?? "")) start--;
      if (token.rstrip) while (end < text.length && BLANK.test(text[end] ?? "")) end++;
      addText(start);
      sections.push({ id: token.id });
      at = end;
    }
    addText(text.length);
    return sections;
  };
}
