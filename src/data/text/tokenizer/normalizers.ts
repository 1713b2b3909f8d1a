/**
 * The normalizers of a tokenizer.json, as the Rust library `tokenizers` has them. Those of @huggingface/tokenizers differ in what a blank, an accent
 * or a control character is, in characters beyond U+FFFF, in sentencepiece's maps and at a sigma that ends a word.
 */
import { z } from "zod";
import { expressionOf, patternSchema } from "./expressions.js";
import { charsMap } from "./precompiled.js";
import { type MakeStep, makeStep, parsed, StepError } from "./steps.js";
import { CHINESE, COMBINING, CONTROL, LATER, MARKS } from "./unicode-tables.js";

export type Normalize = (text: string) => string;

const PRINTABLE = /^[\x20-\x7e]*$/;
const CONTROL_CHARACTERS = new RegExp(`[${CONTROL}]`, "gu");
const BLANKS = /\p{White_Space}/gu;
const CHINESE_CHARACTERS = new RegExp(`[${CHINESE}]`, "gu");
const ACCENTS = new RegExp(`[${MARKS}]`, "gu");
const COMBINING_MARKS = new RegExp(`[${COMBINING}]`, "gu");
const LATER_CHARACTERS = new RegExp(`([${LATER}])`, "u");

const bertSchema = z.looseObject({
  clean_text: z.boolean().default(true),
  handle_chinese_chars: z.boolean().default(true),
  strip_accents: z.boolean().nullish(),
  lowercase: z.boolean().default(true),
});
const sequenceSchema = z.looseObject({ normalizers: z.array(z.unknown()) });
const replaceSchema = z.looseObject({ pattern: patternSchema, content: z.string() });
const stripSchema = z.looseObject({ strip_left: z.boolean(), strip_right: z.boolean() });
const prependSchema = z.looseObject({ prepend: z.string() });
const precompiledSchema = z.looseObject({ precompiled_charsmap: z.string().nullish() });

const kinds: ReadonlyMap<string, MakeStep<Normalize>> = new Map<string, MakeStep<Normalize>>([
  ["BertNormalizer", bert],
  ["Lowercase", () => lowercase],
  ["NFC", () => (text) => normalForm(text, "NFC")],
  ["NFD", () => (text) => normalForm(text, "NFD")],
  ["NFKC", () => (text) => normalForm(text, "NFKC")],
  ["NFKD", () => (text) => normalForm(text, "NFKD")],
  ["Precompiled", precompiled],
  ["Prepend", prepend],
  ["Replace", replace],
  ["Sequence", sequence],
  ["Strip", strip],
  ["StripAccents", () => (text) => text.replace(COMBINING_MARKS, "")],
]);

/** What `normalizer` of a tokenizer.json does. Throws StepError. */
export function normalizerOf(json: unknown): Normalize {
  return json === null || json === undefined ? (text) => text : makeStep(json, "normalizer", kinds);
}

function sequence(json: unknown): Normalize {
  const all = parsed(sequenceSchema, json, "normalizer").normalizers.map(normalizerOf);
  return (text) => all.reduce((result, normalize) => normalize(result), text);
}

/** Source: tokenizers, normalizers/bert.rs. */
function bert(json: unknown): Normalize {
  const settings = parsed(bertSchema, json, "normalizer");
  const stripsAccents = settings.strip_accents ?? settings.lowercase;
  return (text) => {
    // Nothing but its case can change, and the classes of all Unicode are slow.
    if (PRINTABLE.test(text)) return settings.lowercase ? text.toLowerCase() : text;
    let result = text;
    if (settings.clean_text) result = result.replace(CONTROL_CHARACTERS, "").replace(BLANKS, " ");
    if (settings.handle_chinese_chars) result = result.replace(CHINESE_CHARACTERS, " $& ");
    if (stripsAccents) result = normalForm(result, "NFD").replace(ACCENTS, "");
    return settings.lowercase ? lowercase(result) : result;
  };
}

/** JavaScript gives a capital sigma at the end of a word another small letter; Rust goes letter by letter. */
function lowercase(text: string): string {
  return text.replaceAll("\u03a3", "\u03c3").toLowerCase();
}

function normalForm(text: string, form: "NFC" | "NFD" | "NFKC" | "NFKD"): string {
  const parts = LATER_CHARACTERS.test(text) ? text.split(LATER_CHARACTERS) : [text];
  return parts.map((part) => (LATER_CHARACTERS.test(part) ? part : earlierForm(part.normalize(form)))).join("");
}

/** Without the compositions that there were not yet. */
function earlierForm(text: string): string {
  if (!LATER_CHARACTERS.test(text)) return text;
  return text
    .split(LATER_CHARACTERS)
    .map((part) => (LATER_CHARACTERS.test(part) ? part.normalize("NFD") : part))
    .join("");
}

function precompiled(json: unknown): Normalize {
  const { precompiled_charsmap: map } = parsed(precompiledSchema, json, "normalizer");
  return map === null || map === undefined || map === "" ? (text) => text : charsMap(map);
}

function prepend(json: unknown): Normalize {
  const { prepend: before } = parsed(prependSchema, json, "normalizer");
  return (text) => (text === "" ? "" : before + text);
}

function replace(json: unknown): Normalize {
  const { pattern, content } = parsed(replaceSchema, json, "normalizer");
  if ("String" in pattern && pattern.String === "")
    throw new StepError("expected a pattern that the normalizer replaces, found an empty one");
  const expression = expressionOf(pattern);
  // A function, since "$&" in a replacing string has a meaning.
  return (text) => text.replace(expression, () => content);
}

function strip(json: unknown): Normalize {
  const { strip_left, strip_right } = parsed(stripSchema, json, "normalizer");
  return (text) => {
    const start = strip_left ? text.replace(/^\p{White_Space}+/u, "") : text;
    return strip_right ? withoutBlankEnd(start) : start;
  };
}

/** A regular expression for the end would try at every blank. */
function withoutBlankEnd(text: string): string {
  let end = text.length;
  while (end > 0 && /\p{White_Space}/u.test(text[end - 1] ?? "")) end--;
  return text.slice(0, end);
}
