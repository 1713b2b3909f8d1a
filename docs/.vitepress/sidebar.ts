/**
 * The groups of the site's sidebar and the pages in each, by their path in docs/ without ".md". Titles come from the pages themselves, so that they
 * cannot disagree; test/docs-site.test.ts fails for a page that no group names.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const DOCS = join(import.meta.dirname, "..");

export const GROUPS: ReadonlyMap<string, readonly string[]> = new Map([
  ["Start", ["quickstart", "finetune", "own-models", "merge-files", "configuration", "troubleshooting", "glossary"]],
  [
    "Use",
    ["objectives", "parametrisations", "stopping", "heads", "onnx", "hub", "tracking", "reports", "engines", "library"],
  ],
  ["Study", ["results", "experiments", "suites", "clip", "performance", "verification"]],
  ["Extend", ["extending/method", "extending/objective", "extending/reader", "extending/family"]],
  ["Reference", ["reference/command-line", "reference/config", "reference/finetune", "reference/methods", "api/index"]],
]);

/** Made by TypeDoc just before the site, so the title is not in the sources. */
const API = "api/index";

function titleOf(page: string): string {
  if (page === API) return "API";
  const heading = /^# (.+)$/m.exec(readFileSync(join(DOCS, `${page}.md`), "utf8"))?.[1];
  if (heading === undefined) throw new Error(`docs/${page}.md: expected a heading "# ...", found none`);
  return heading;
}

export const sidebar = () =>
  [...GROUPS].map(([text, pages]) => ({
    text,
    items: pages.map((page) => ({ text: titleOf(page), link: `/${page.replace(/\bindex$/, "")}` })),
  }));
