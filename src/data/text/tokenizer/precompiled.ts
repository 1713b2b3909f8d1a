/**
 * The map of characters that sentencepiece compiles into a tokenizer (`precompiled_charsmap`): a trie of UTF-8 bytes as a double array (darts-clone)
 * and behind it what replaces what is found, each ended by a zero byte. Applied as the Rust library `tokenizers` does
 * (normalizers/precompiled.rs): to grapheme clusters, of which the shortest known beginning stands for the whole. The JavaScript library has a
 * list of its own instead.
 */
import { StepError } from "./steps.js";

/** Longer clusters are looked up character by character. Source: precompiled.rs, `grapheme.len() < 6`. */
const MAX_CLUSTER_BYTES = 5;
const PRINTABLE = /^[\x20-\x7e]*$/;
/** Texts have far fewer clusters, those of an attacker no end of them. */
const MOST_KNOWN = 100_000;

const encoder = new TextEncoder();
const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/** Throws StepError for bytes that are no such map. */
export function charsMap(base64: string): (text: string) => string {
  const bytes = Uint8Array.from(Buffer.from(base64, "base64"));
  const view = new DataView(bytes.buffer);
  const trieBytes = bytes.length < 4 ? 0 : view.getUint32(0, true);
  if (bytes.length < 8 || trieBytes % 4 !== 0 || trieBytes < 4 || 4 + trieBytes > bytes.length)
    throw new StepError(
      `expected sentencepiece's map of characters as precompiled_charsmap, found ${bytes.length} other bytes`,
    );
  const units = Uint32Array.from({ length: trieBytes / 4 }, (_, index) => view.getUint32(4 + 4 * index, true));
  const replacements = bytes.subarray(4 + trieBytes);
  const known = new Map<string, string | undefined>();
  const lookUp = (part: string): string | undefined => {
    if (known.has(part)) return known.get(part);
    const place = firstMatch(units, encoder.encode(part));
    const found = place === undefined ? undefined : textAt(replacements, place);
    if (known.size < MOST_KNOWN) known.set(part, found);
    return found;
  };
  const keepsPrintable = Array.from({ length: 95 }, (_, index) => String.fromCharCode(0x20 + index)).every(
    (character) => lookUp(character) === undefined,
  );
  return (text) => {
    if (keepsPrintable && PRINTABLE.test(text)) return text;
    let result = "";
    for (const { segment } of graphemes.segment(text)) {
      const whole = byteLength(segment) <= MAX_CLUSTER_BYTES ? lookUp(segment) : undefined;
      if (whole !== undefined) result += whole;
      else for (const character of segment) result += lookUp(character) ?? character;
    }
    return result;
  };
}

function byteLength(text: string): number {
  return text.length > MAX_CLUSTER_BYTES ? text.length : Buffer.byteLength(text);
}

/** The value of the shortest key that `key` begins with. Source: spm_precompiled, `common_prefix_search`, and darts-clone's units. */
function firstMatch(units: Uint32Array, key: Uint8Array): number | undefined {
  let place = offset(units[0] ?? 0);
  for (const byte of key) {
    if (byte === 0) return undefined;
    place ^= byte;
    const unit = units[place] ?? 0;
    // The label of a leaf has its highest bit set, so that it is no byte.
    if ((unit & 0x800000ff) >>> 0 !== byte) return undefined;
    place ^= offset(unit);
    if (((unit >>> 8) & 1) === 1) return (units[place] ?? 0) & 0x7fffffff;
  }
  return undefined;
}

function offset(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

function textAt(replacements: Uint8Array, place: number): string {
  const end = replacements.indexOf(0, place);
  return Buffer.from(replacements.subarray(place, end < 0 ? undefined : end)).toString("utf8");
}
