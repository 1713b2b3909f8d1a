/** Text in LaTeX tables: every sign prints as itself, in text, with the fonts that LaTeX begins with. */
import { shownLine } from "../runtime/printable.js";

/** Those that a backslash does not make themselves: with it ~ and ^ are accents, and the last three are other signs in LaTeX's first font. */
const NAMED: ReadonlyMap<string, string> = new Map([
  ["\\", "\\textbackslash{}"],
  ["~", "\\textasciitilde{}"],
  ["^", "\\textasciicircum{}"],
  ["<", "\\textless{}"],
  [">", "\\textgreater{}"],
  ["|", "\\textbar{}"],
]);

/** A cell of a table. */
export function latexText(text: string): string {
  const escaped = shownLine(text)
    .replace(/[\\~^<>|&%$#_{}]/g, (sign) => NAMED.get(sign) ?? `\\${sign}`)
    // Two hyphens print as a dash, and ?` and !` as Spanish marks.
    .replace(/-(?=-)/g, "-{}")
    .replace(/([?!])(?=`)/g, "$1{}");
  // After the end of a row these are arguments of it.
  return escaped.replace(/^(?=[[*])/, "{}");
}

/** A line of comment. */
export function latexComment(text: string): string {
  return `% ${shownLine(text)}`;
}
