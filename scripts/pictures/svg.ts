/** Pieces of the hand-drawn SVG pictures of README and docs: one style, readable in light and dark, and escaped text. */

/** Colours follow the reader's setting, also where the picture stands in an <img>. */
const STYLE = `
    svg { --ink: #1f2328; --soft: #656d76; --line: #d0d7de; --box: #f6f8fa; --accent: #0969da; --low: 234, 238, 242; }
    @media (prefers-color-scheme: dark) {
      svg { --ink: #e6edf3; --soft: #8d96a0; --line: #3d444d; --box: #151b23; --accent: #4493f8; --low: 38, 44, 54; }
    }
    text { font: 14px system-ui, -apple-system, "Segoe UI", sans-serif; fill: var(--ink); }
    .soft { fill: var(--soft); font-size: 12px; }
    .bold { font-weight: 600; }
    .end { text-anchor: end; }
    .middle { text-anchor: middle; }
    .box { fill: var(--box); stroke: var(--line); }
    .arrow { stroke: var(--soft); stroke-width: 1.5; fill: none; marker-end: url(#head); }
    .rule { stroke: var(--line); }
    .accent { fill: var(--accent); }
    .plain { fill: var(--soft); }
    .whisker { stroke: var(--ink); stroke-width: 1.5; }`;

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** For those who do not see it. */
  readonly title: string;
  readonly parts: readonly string[];
}

export function svgOf({ width, height, title, parts }: Picture): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(title)}">`,
    `  <title>${escaped(title)}</title>`,
    `  <style>${STYLE}\n  </style>`,
    '  <defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" class="plain"/></marker></defs>',
    ...parts.map((part) => `  ${part}`),
    "</svg>\n",
  ].join("\n");
}

export function text(x: number, y: number, content: string, classes = ""): string {
  return `<text x="${shown(x)}" y="${shown(y)}"${classes === "" ? "" : ` class="${classes}"`}>${escaped(content)}</text>`;
}

export function box(x: number, y: number, width: number, height: number): string {
  return `<rect x="${shown(x)}" y="${shown(y)}" width="${shown(width)}" height="${shown(height)}" rx="6" class="box"/>`;
}

export function arrow(fromX: number, fromY: number, toX: number, toY: number): string {
  return `<path d="M${shown(fromX)} ${shown(fromY)} L${shown(toX)} ${shown(toY)}" class="arrow"/>`;
}

/** At most two decimals. */
export function shown(value: number): string {
  return String(Math.round(value * 100) / 100);
}

function escaped(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
