/**
 * Bundles the script and the style of reports (`report-page/`) into dist/report/page/browser/page.js and page.css, unless those are newer. Reports carry both
 * inline. Plain JavaScript, since a build needs nothing built.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const SOURCES = join(ROOT, "report-page");
const OUTPUT = join(ROOT, "dist", "report", "page", "browser");

const modified = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
const outputs = ["page.js", "page.css"].map((name) => modified(join(OUTPUT, name)));
const sources = readdirSync(SOURCES).map((name) => modified(join(SOURCES, name)));
if (Math.max(modified(import.meta.filename), ...sources) >= Math.min(...outputs)) {
  const { build } = await import("esbuild");
  await build({
    entryPoints: ["index.ts", "style.css"].map((name) => ({ in: join(SOURCES, name), out: "page" })),
    outdir: OUTPUT,
    bundle: true,
    format: "iife",
    target: ["chrome111", "firefox113", "safari16.4"],
    minify: true,
    charset: "ascii",
    legalComments: "none",
    logLevel: "warning",
  });
}
