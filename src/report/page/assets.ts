/** The script and the style that every report carries inline: built from report-page/ into this folder's place in dist. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const FOLDER = new URL("./browser/", import.meta.url);

export interface PageAssets {
  readonly script: string;
  readonly style: string;
  /** What a browser is told to let run: this page's own script, nothing from elsewhere, and no other that a name might bring in. */
  readonly policy: string;
}

export function pageAssets(): PageAssets {
  const read = (name: string) => readFileSync(new URL(name, FOLDER), "utf8");
  const script = read("page.js");
  const hash = createHash("sha256").update(script).digest("base64");
  const policy = [
    "default-src 'none'",
    `script-src 'sha256-${hash}'`,
    // Attributes of figures and bars have styles of their own.
    "style-src 'unsafe-inline'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  return { script, style: read("page.css"), policy };
}
