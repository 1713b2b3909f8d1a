/**
 * Lines of a source file without comments and blank ones. Line by line and by how lines begin, which is how nearly all comments in the
 * packages read stand; a comment behind code on the same line stays.
 */

interface Style {
  /** A line that begins so is a comment. */
  readonly line: RegExp;
  /** From a line that opens to one that closes, both included. */
  readonly block?: { readonly opens: RegExp; readonly closes: RegExp };
  /** Nothing behind this line is code. */
  readonly end?: RegExp;
}

const SLASH_BLOCK = { opens: /^\/\*/, closes: /\*\// };

const STYLES = {
  slashes: { line: /^(\/\/|\*\s|\*$)/, block: SLASH_BLOCK },
  hash: { line: /^#/ },
  percent: { line: /^%/ },
  python: { line: /^#/, block: { opens: /^[rRbu]?("""|''')/, closes: /("""|''')\s*$/ } },
  perl: { line: /^#/, block: { opens: /^=[a-z]/, closes: /^=cut/ }, end: /^__(END|DATA)__/ },
  ruby: { line: /^#/, block: { opens: /^=begin/, closes: /^=end/ }, end: /^__END__/ },
  lua: { line: /^--(?!\[=*\[)/, block: { opens: /^--\[=*\[/, closes: /\]=*\]/ } },
  php: { line: /^(\/\/|#(?!\[)|\*\s|\*$|<\?php)/, block: SLASH_BLOCK },
  vim: { line: /^"/ },
} satisfies Record<string, Style>;

export type CommentStyle = keyof typeof STYLES;

export function withoutComments(content: string, name: CommentStyle): string[] {
  const style: Style = STYLES[name];
  const kept: string[] = [];
  let isInBlock = false;
  for (const raw of content.split("\n")) {
    const line = raw.trim();
    if (style.end?.test(line)) break;
    if (isInBlock) {
      isInBlock = !style.block?.closes.test(line);
      continue;
    }
    const opening = style.block?.opens.exec(line);
    if (opening != null) {
      // A block may close on the line it opens on: looked for behind its opening.
      isInBlock = !style.block?.closes.test(line.slice(opening[0].length));
      continue;
    }
    if (line !== "" && !style.line.test(line)) kept.push(line);
  }
  return kept;
}
