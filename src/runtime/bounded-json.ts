/**
 * JSON of strangers: as JSON.parse, with a bound on how deep values lie inside each other. What walks through the value afterwards (schemas,
 * JSON.stringify) recurses, and a hundred thousand brackets end it.
 */

/** Configs and manifests nest ten levels deep. */
export const MAX_JSON_DEPTH = 200;

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d];

/** The value. Throws SyntaxError, as JSON.parse does, also for text that is nested too deep. */
export function parseBoundedJson(text: string): unknown {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === OPEN_LIST || code === OPEN_OBJECT) depth += 1;
    else if (code === CLOSE_LIST || code === CLOSE_OBJECT) depth -= 1;
    if (depth > MAX_JSON_DEPTH)
      throw new SyntaxError(`values inside each other more than ${MAX_JSON_DEPTH} levels deep`);
  }
  return JSON.parse(text);
}

/** The place of the closing quote; the end where there is none, which JSON.parse complains about. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) at += 1;
    else if (code === QUOTE) return at;
  }
  return text.length;
}
