/** Patterns in a tokenizer.json: literal strings, or regular expressions of Oniguruma, which @huggingface/tokenizers rewrites for JavaScript. */
import { z } from "zod";
import { quote } from "../../../runtime/printable.js";
import { SplitPreTokenizer } from "./library.js";
import { StepError } from "./steps.js";

export const patternSchema = z.union([z.object({ Regex: z.string() }), z.object({ String: z.string() })]);
export type Pattern = z.infer<typeof patternSchema>;

/** CLIP's has 100 letters, the longest of published tokenizers some 300; they count to 3. */
const MAX_EXPRESSION_LENGTH = 2000;
const MAX_REPETITIONS = 1000;
const SYNTAX = /[.*+?^${}()|[\]\\/-]/g;

export function escaped(literal: string): string {
  return literal.replace(SYNTAX, "\\$&");
}

/** Matches all that the pattern does (flags `gu`). Throws StepError for an expression that cannot be compiled. */
export function expressionOf(pattern: Pattern): RegExp {
  if ("String" in pattern) return new RegExp(escaped(pattern.String), "gu");
  requireSmall(pattern.Regex);
  try {
    const { pattern: compiled } = new SplitPreTokenizer({
      type: "Split",
      pattern,
      behavior: "Isolated",
      invert: false,
    });
    if (compiled !== null) return compiled;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StepError(`expected a regular expression, found ${quote(pattern.Regex)} (${reason})`, { cause });
  }
  throw new StepError(`expected a regular expression, found ${quote(pattern.Regex)}`);
}

/** Compiling an expression can take all memory, which no thread survives; how long matching takes is bounded by the thread. */
function requireSmall(expression: string): void {
  const repetitions = [...expression.matchAll(/\{(\d+)(?:,(\d*))?\}/g)].map(([, least, most]) => Number(most || least));
  const product = repetitions.reduce((all, count) => all * Math.max(1, count), 1);
  if (expression.length <= MAX_EXPRESSION_LENGTH && product <= MAX_REPETITIONS) return;
  throw new StepError(
    `expected regular expressions of at most ${MAX_EXPRESSION_LENGTH} letters and ${MAX_REPETITIONS} counted repetitions, found ${quote(expression)}`,
  );
}
