/**
 * What a tokenizer puts around one text or a pair, and how it cuts what is too long: special tokens and segments by the `post_processor` of
 * tokenizer.json, truncation `longest_first`. Source: tokenizers, processors/*.rs and utils/truncation.rs.
 */
import { z } from "zod";
import { quote } from "../../../runtime/printable.js";
import { type MakeStep, makeStep, parsed, StepError } from "./steps.js";

export interface Tokens {
  readonly ids: readonly number[];
  /** The segment of each: 0 or 1. */
  readonly segments: readonly number[];
}

/** Where the end of a text is cut off, or its beginning. */
export type TruncationSide = "right" | "left";

/** Puts one text or a pair together. */
export interface PostProcessor {
  readonly assemble: (first: readonly number[], second: readonly number[] | undefined) => Tokens;
  /** How many tokens that adds to one text, and to a pair. */
  readonly added: { readonly single: number; readonly pair: number };
}

type Part =
  | { readonly text: "A" | "B"; readonly segment: number }
  | { readonly ids: readonly number[]; readonly segment: number };
interface Template {
  readonly single: readonly Part[];
  readonly pair: readonly Part[];
}

const segmentSchema = z.int().min(0).max(255);
const itemSchema = z.union([
  z.object({ SpecialToken: z.object({ id: z.string(), type_id: segmentSchema }) }),
  z.object({ Sequence: z.object({ id: z.enum(["A", "B"]), type_id: segmentSchema }) }),
]);
const templateSchema = z.looseObject({
  single: z.array(itemSchema),
  pair: z.array(itemSchema),
  special_tokens: z.record(z.string(), z.looseObject({ ids: z.array(z.int().min(0)) })),
});
const endSchema = z.tuple([z.string(), z.int().min(0)]);
const endsSchema = z.looseObject({ cls: endSchema, sep: endSchema });
const sequenceSchema = z.looseObject({ processors: z.array(z.looseObject({ type: z.string() })) });

const PLAIN: Template = {
  single: [{ text: "A", segment: 0 }],
  pair: [
    { text: "A", segment: 0 },
    { text: "B", segment: 1 },
  ],
};

const kinds: ReadonlyMap<string, MakeStep<Template>> = new Map<string, MakeStep<Template>>([
  ["BertProcessing", (json) => withEnds(json, 1)],
  // Only says which characters tokens are from.
  ["ByteLevel", () => PLAIN],
  ["RobertaProcessing", (json) => withEnds(json, 2)],
  ["Sequence", sequence],
  ["TemplateProcessing", template],
]);

/** What `post_processor` of a tokenizer.json does. Throws StepError. */
export function postProcessorOf(json: unknown): PostProcessor {
  const { single, pair } = json === null || json === undefined ? PLAIN : makeStep(json, "post_processor", kinds);
  return {
    assemble: (first, second) => assembled(second === undefined ? single : pair, first, second ?? []),
    added: { single: assembled(single, [], []).ids.length, pair: assembled(pair, [], []).ids.length },
  };
}

function assembled(parts: readonly Part[], first: readonly number[], second: readonly number[]): Tokens {
  const found = parts.map((part) => ({
    ids: "ids" in part ? part.ids : part.text === "A" ? first : second,
    segment: part.segment,
  }));
  return {
    ids: found.flatMap(({ ids }) => ids),
    segments: found.flatMap(({ ids, segment }) => ids.map(() => segment)),
  };
}

function template(json: unknown): Template {
  const { single, pair, special_tokens } = parsed(templateSchema, json, "post_processor");
  const specials = new Map(Object.entries(special_tokens).map(([name, { ids }]) => [name, ids]));
  const part = (item: z.infer<typeof itemSchema>): Part => {
    if ("Sequence" in item) return { text: item.Sequence.id, segment: item.Sequence.type_id };
    const { id, type_id: segment } = item.SpecialToken;
    const ids = specials.get(id);
    if (ids === undefined)
      throw new StepError(`expected the special_tokens of the post_processor to have ${quote(id)}, found none`);
    return { ids, segment };
  };
  return { single: single.map(part), pair: pair.map(part) };
}

/** BERT has one separator between two texts, and segments; RoBERTa has two, and none. */
function withEnds(json: unknown, separators: 1 | 2): Template {
  const { cls, sep } = parsed(endsSchema, json, "post_processor");
  const segment = separators === 1 ? 1 : 0;
  const single: Part[] = [
    { ids: [cls[1]], segment: 0 },
    { text: "A", segment: 0 },
    { ids: [sep[1]], segment: 0 },
  ];
  const middle: Part[] = separators === 1 ? [] : [{ ids: [sep[1]], segment }];
  return { single, pair: [...single, ...middle, { text: "B", segment }, { ids: [sep[1]], segment }] };
}

function sequence(json: unknown): Template {
  const { processors } = parsed(sequenceSchema, json, "post_processor");
  const own = processors.filter(({ type }) => type !== "ByteLevel");
  if (own.length > 1) throw new StepError(`expected one post_processor besides ByteLevel, found ${own.length}`);
  return own[0] === undefined ? PLAIN : makeStep(own[0], "post_processor", kinds);
}

/** How many tokens of two texts stay where both together may have `most`: only the longer one is cut, as long as it is longer. */
export function longestFirst(first: number, second: number, most: number): readonly [number, number] {
  if (first + second <= most) return [first, second];
  const [short, long] = [Math.min(first, second), Math.max(first, second)];
  // The cases and their order are the library's.
  let kept: readonly [number, number] = [short, short > most ? short : Math.max(short, most - short)];
  if (kept[0] + kept[1] > most) kept = [Math.floor(most / 2), Math.floor(most / 2) + (most % 2)];
  kept = [Math.min(short, kept[0]), Math.min(long, kept[1])];
  return first > second ? [kept[1], kept[0]] : kept;
}

export function cutTo(ids: readonly number[], most: number, side: TruncationSide): readonly number[] {
  if (ids.length <= most) return ids;
  return side === "right" ? ids.slice(0, most) : ids.slice(ids.length - most);
}
