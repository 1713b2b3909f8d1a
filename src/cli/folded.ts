/** Sentences in columns that are narrower than they are. */

/** Lines of at most `width`, broken at blanks where there are some. */
export function folded(text: string, width: number): readonly string[] {
  if (text.length <= width) return [text];
  const blank = text.lastIndexOf(" ", width);
  const end = blank > width / 2 ? blank : width;
  return [text.slice(0, end), ...folded(text.slice(end).trimStart(), width)];
}
