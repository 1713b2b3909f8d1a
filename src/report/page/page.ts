/**
 * A report as one file without a network: contents, headline, sections, with style and script inline. Light and dark as the reader's system is,
 * from 420 px on. What is in the sections is made beside this file; what runs in the browser is report-page/.
 */
import { escapeHtml } from "../html.js";
import { pageAssets } from "./assets.js";

export interface Section {
  /** Anchor. */
  readonly id: string;
  readonly title: string;
  /** HTML. */
  readonly body: string;
}

export interface PageHead {
  readonly title: string;
  /** What the page is about, above its title: "Run", "Sweep". */
  readonly kind: string;
  /** How it stands, beside the title: "finished". */
  readonly state?: string | undefined;
  /** HTML under the title: what was done, and the cards. */
  readonly lead: string;
}

/** In the head of every page, by which a page of ours is known. */
export const GENERATOR = "adamerge";

/** A whole page; the lead and the sections' bodies are HTML, everything else is text. */
export function page(head: PageHead, sections: readonly Section[], footer: string): string {
  const { script, style, policy } = pageAssets();
  const { title, kind, state, lead } = head;
  const shownState = state === undefined ? "" : ` <span class="state ${escapeHtml(state)}">${escapeHtml(state)}</span>`;
  const entries = sections.map(
    ({ id, title: heading }) => `<li><a href="#${escapeHtml(encodeURIComponent(id))}">${escapeHtml(heading)}</a></li>`,
  );
  const parts = sections.map(
    ({ id, title: heading, body }) =>
      `<section id="${escapeHtml(id)}">\n<h2>${escapeHtml(heading)}</h2>\n${body}\n</section>`,
  );
  return [
    "<!doctype html>",
    '<html lang="en">',
    '<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<meta name="generator" content="${GENERATOR}">`,
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    `<title>${escapeHtml(title)}</title>\n<style>${style.trim()}</style>\n</head>`,
    "<body>",
    `<header>\n<p class="kind">${escapeHtml(kind)}</p>\n<h1>${escapeHtml(title)}${shownState}</h1>\n</header>`,
    `<nav class="contents" aria-label="Contents"><ol>\n${entries.join("\n")}\n</ol></nav>`,
    `<main>\n${lead}`,
    ...parts,
    `</main>\n<footer>${escapeHtml(footer)}</footer>`,
    `<script>${script}</script>\n</body>\n</html>\n`,
  ].join("\n");
}
