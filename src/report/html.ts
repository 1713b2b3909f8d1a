/** Pages without a network: text, tables and SVG figures in one file, light and dark as the reader's system is. */
import { shownText } from "../runtime/printable.js";
import type { Cells } from "./table.js";

const STYLE = `
:root { color-scheme: light dark; --page: #ffffff; --ink: #1f2328; --dim: #59636e; --line: #d1d9e0; --soft: #f6f8fa; }
@media (prefers-color-scheme: dark) {
  :root { --page: #0d1117; --ink: #e6edf3; --dim: #9198a1; --line: #30363d; --soft: #161b22; }
}
body { margin: 0 auto; max-width: 68rem; padding: 2rem 1.25rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .25rem; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; }
.lead, figcaption, footer { color: var(--dim); } .lead { margin: 0 0 1.5rem; }
.warning { border-left: 4px solid #bf8700; background: var(--soft); padding: .5rem .9rem; }
figure { margin: 0; } .wide { overflow-x: auto; width: max-content; min-width: 100%; max-width: 96vw; position: relative; left: 50%; transform: translateX(-50%); } figcaption { font-size: .9rem; margin-top: .5rem; max-width: 46rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .3rem .65rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { font-weight: 600; }
tr.own td { font-weight: 600; }
pre { background: var(--soft); padding: 1rem; overflow-x: auto; font-size: .82rem; line-height: 1.4; border-radius: 6px; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
.examples { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: .75rem; }
.examples figure { border: 1px solid var(--line); border-left: 4px solid #2da44e; border-radius: 6px; padding: .6rem .8rem; }
.examples figure.lost { border-left-color: #cf222e; }
.examples img { image-rendering: crisp-edges; min-height: 4rem; max-width: 100%; }
.example { margin: 0; font-size: .92rem; overflow-wrap: anywhere; } .wrong { text-decoration: line-through; }
svg { max-width: none; height: auto; color: var(--ink); }
footer { margin-top: 3rem; font-size: .85rem; border-top: 1px solid var(--line); padding-top: 1rem; }
`;

export interface Section {
  /** Anchor. */
  readonly id: string;
  readonly title: string;
  /** HTML. */
  readonly body: string;
}

/** A whole page; `lead` and the sections' bodies are HTML, everything else is text. */
export function page(title: string, lead: string, sections: readonly Section[], footer: string): string {
  const parts = sections.map(
    ({ id, title: heading, body }) =>
      `<section id="${escapeHtml(id)}">\n<h2>${escapeHtml(heading)}</h2>\n${body}\n</section>`,
  );
  return [
    "<!doctype html>",
    '<html lang="en">',
    `<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">`,
    `<title>${escapeHtml(title)}</title>\n<style>${STYLE}</style>\n</head>`,
    `<body>\n<h1>${escapeHtml(title)}</h1>\n${lead}`,
    ...parts,
    `<footer>${escapeHtml(footer)}</footer>\n</body>\n</html>\n`,
  ].join("\n");
}

/** A table from cells, the first row its heading; `own` marks a row of the body. */
export function htmlTable([head = [], ...body]: Cells, own?: number): string {
  const row = (cells: readonly string[], tag: "td" | "th", name = "") =>
    `<tr${name}>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join("")}</tr>`;
  const rows = body.map((cells, index) => row(cells, "td", index === own ? ' class="own"' : ""));
  return `<div class="wide"><table>\n<thead>${row(head, "th")}</thead>\n<tbody>\n${rows.join("\n")}\n</tbody>\n</table></div>`;
}

/** An SVG with its caption; wide ones scroll on their own. Text in backquotes becomes code. */
export function htmlFigure(svg: string, caption: string): string {
  const text = escapeHtml(caption).replaceAll(/`([^`]+)`/g, "<code>$1</code>");
  return `<figure>\n<div class="wide">${svg}</div>\n<figcaption>${text}</figcaption>\n</figure>`;
}

/** Text in an element or in a quoted attribute. */
export function escapeHtml(text: string): string {
  const names: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return shownText(text).replaceAll(/[&<>"']/g, (character) => names[character] ?? character);
}
