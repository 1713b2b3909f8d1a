/**
 * How wide text in figures is taken to be. Without a canvas Vega counts 0.8 of the font's size for every character, half as much again as the
 * fonts of systems take, and leaves that much blank beside every label; it offers this hook for better knowledge.
 */

/** Of the font's size: Latin letters and digits are about 0.53 wide on average, ideographs 1. */
const NARROW_CHARACTER = 0.58;
const WIDE_CHARACTER = 1;
const FIRST_WIDE = 0x1100;
/** Vega's own, of text that says nothing of its size. */
const USUAL_SIZE = 11;

/** Puts this estimate in the place of Vega's. */
export function useTextWidths(vega: object): void {
  const metrics: unknown = Reflect.get(vega, "textMetrics");
  if (typeof metrics === "object" && metrics !== null) Reflect.set(metrics, "width", itemWidth);
}

interface TextItem {
  readonly text?: unknown;
  readonly fontSize?: number;
  readonly limit?: number;
}

/**
 * Of a text, or of a `line` of it. Vega cuts a text that is not narrower than its limit, and asks for the whole text when it makes room for it: both come
 * out right when nothing is wider than the limit.
 */
function itemWidth({ text, fontSize = USUAL_SIZE, limit = 0 }: TextItem, line?: unknown): number {
  const width = textWidth(String(line ?? text ?? ""), fontSize);
  return limit > 0 ? Math.min(width, limit) : width;
}

function textWidth(text: string, fontSize: number): number {
  let characters = 0;
  for (const character of text.trim())
    characters += (character.codePointAt(0) ?? 0) < FIRST_WIDE ? NARROW_CHARACTER : WIDE_CHARACTER;
  return characters * fontSize;
}
