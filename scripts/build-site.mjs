/**
 * `npm run docs`: the API pages into docs/api, then the site of docs/ into docs/.vitepress/dist, where a link that leads nowhere ends the build with code 1.
 * `npm run docs -- FOLDER`: only the API pages, into that folder. Plain JavaScript, since building needs nothing built.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const folders = process.argv.slice(2);
// A process of its own: TypeDoc is given another compiler than everything else.
const api = [join(import.meta.dirname, "build-api-pages.mjs"), ...folders];
process.exitCode = spawnSync(process.execPath, api, { stdio: "inherit" }).status ?? 1;
if (process.exitCode === 0 && folders.length === 0) {
  const { build } = await import("vitepress");
  await build(join(import.meta.dirname, "..", "docs"));
}
