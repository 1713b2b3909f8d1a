/**
 * Foreign text in Markdown (GitHub's): names and titles that are themselves wherever they stand, whatever signs are in them. No renderer: what
 * would begin markup is escaped, what is harmless stays legible.
 */
import { shownLine, shownText } from "../runtime/printable.js";

/** What begins markup anywhere in a line: code, tags, emphasis, cells, images; underscores inside of words do not. */
const MARKUP = /[\\`*|<~]|!(?=\[)|(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu;
/** A link, by its text or by its address; brackets alone are text. */
const LINK = /[[\]](?=[^[\]]*\]?[([:])|\](?=[([:])/g;
/** An entity such as &lt;. */
const ENTITY = /&(?=#?\w+;)/g;
/** What makes a line a heading, a list, a quotation or a rule. */
const LINE_START = /^(\s*)(#|>|[-+=](?=[\s=-]|$))/;

/** A name or title within a line of Markdown. */
export function markdownLine(text: string): string {
  return shownLine(text).replace(MARKUP, "\\$&").replace(LINK, "\\$&").replace(ENTITY, "&amp;");
}

/** A name or title that a line begins with. */
export function markdownStart(text: string): string {
  return markdownLine(text).replace(LINE_START, "$1\\$2");
}

/** A name as code. */
export function codeSpan(text: string): string {
  const line = shownLine(text);
  const ticks = "`".repeat(longestRun(line) + 1);
  // Blanks inside of the ticks are taken away again, one on each side.
  const isPadded = ticks.length > 1 || /^\s.*\s$/.test(line) || line === "";
  return isPadded ? `${ticks} ${line} ${ticks}` : `${ticks}${line}${ticks}`;
}

/** A text as a block of code that nothing in it ends. */
export function codeBlock(text: string, language: string): string {
  const ticks = "`".repeat(Math.max(3, longestRun(text) + 1));
  return `${ticks}${language}\n${shownText(text).trimEnd()}\n${ticks}`;
}

/** Most backquotes in a row. */
function longestRun(text: string): number {
  return Math.max(0, ...(text.match(/`+/g) ?? []).map(({ length }) => length));
}
