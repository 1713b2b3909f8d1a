/**
 * The site that `npm run docs` builds, where a dead link fails the build: every page laid out in a browser of 420 pixels, light and dark, stays
 * within its width and shows its pictures; the search finds a word and its page.
 */
import { execFile } from "node:child_process";
import { createReadStream, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { ROOT } from "../support/cli.js";

const run = promisify(execFile);
const SITE = join(ROOT, "docs", ".vitepress", "dist");
const TYPES = new Map([
  [".html", "text/html"],
  [".js", "text/javascript"],
  [".css", "text/css"],
  [".svg", "image/svg+xml"],
]);
/** Pages of the exports are alike; these stand for them. */
const API_PAGES = ["api/index.html", "api/functions/fit.html"];

/** Each page in a frame of 420 pixels: its overflow, and its pictures that did not load. Then one search in the first page. */
const HARNESS = `<!doctype html><meta charset="utf-8"><iframe width="420" height="900"></iframe><script type="module">
  const frame = document.querySelector("iframe");
  const open = (page) => new Promise((done) => { frame.onload = done; frame.src = page; });
  const until = async (found) => {
    for (let tries = 0; tries < 200; tries++) {
      if (found()) return found();
      await new Promise((done) => setTimeout(done, 50));
    }
    throw new Error("expected " + found + ", waited for it in vain");
  };
  const wrong = [];
  try {
    for (const page of PAGES) {
      await open(page);
      const { document: inner, innerWidth } = frame.contentWindow;
      await until(() => inner.readyState === "complete" && [...inner.images].every(({ complete }) => complete));
      const overflow = inner.documentElement.scrollWidth - innerWidth;
      const lost = [...inner.images].filter(({ naturalWidth }) => naturalWidth === 0).map(({ src }) => src);
      if (overflow > 0 || lost.length > 0) wrong.push({ page, overflow, lost });
    }
    await open("/index.html");
    const { document: inner } = frame.contentWindow;
    // The button answers once the page's script runs.
    const field = await until(() => {
      const input = inner.querySelector(".VPLocalSearchBox input");
      if (!input) inner.querySelector("#local-search button")?.click();
      return input;
    });
    field.value = "resume";
    field.dispatchEvent(new frame.contentWindow.Event("input", { bubbles: true }));
    const hit = await until(() => inner.querySelector(".VPLocalSearchBox .result"));
    await fetch("/found", { method: "POST", body: JSON.stringify({ wrong, hit: hit.getAttribute("href") }) });
  } catch (error) {
    await fetch("/found", { method: "POST", body: JSON.stringify({ wrong, error: String(error) }) });
  }
</script>`;

it("is built, fits in 420 pixels, and can be searched", async () => {
  await run(process.execPath, [join(ROOT, "scripts", "build-site.mjs")]);
  const pages = readdirSync(SITE, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".html") && (!name.startsWith("api") || API_PAGES.includes(name)))
    .map((name) => `/${name}`);
  expect(pages.length).toBeGreaterThan(28);
  for (const page of API_PAGES) expect(pages).toContain(`/${page}`);
  // The theme's own sources name fonts of no other host, nor does a page.
  for (const page of pages)
    expect(readFileSync(join(SITE, page), "utf8")).not.toMatch(/(src|href)="https?:[^"]*\.(css|js|woff2?)"/);
  for (const theme of ["light", "dark"] as const) {
    const { wrong, hit, error } = await inChromium(pages, theme);
    expect(error).toBeUndefined();
    expect(wrong).toEqual([]);
    expect(hit).toMatch(/^\/[\w/-]+\.html/);
  }
});

interface Found {
  readonly wrong: readonly object[];
  readonly hit?: string;
  readonly error?: string;
}

async function inChromium(pages: readonly string[], theme: "light" | "dark"): Promise<Found> {
  let resolve = (_: Found) => {};
  let reject = (_: Error) => {};
  const promise = new Promise<Found>((done, failed) => {
    resolve = done;
    reject = failed;
  });
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const file = join(SITE, pathname);
    if (pathname === "/found") {
      let body = "";
      request.on("data", (part) => {
        body += part;
      });
      request.on("end", () => {
        response.end();
        resolve(JSON.parse(body));
      });
    } else if (pathname === "/harness") {
      response.setHeader("content-type", "text/html").end(HARNESS.replace("PAGES", JSON.stringify(pages)));
    } else if (existsSync(file) && statSync(file).isFile()) {
      response.setHeader("content-type", TYPES.get(extname(file)) ?? "application/octet-stream");
      createReadStream(file).pipe(response);
    } else response.writeHead(404).end();
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("expected a port");
  const scheme = `--blink-settings=preferredColorScheme=${theme === "dark" ? 0 : 1}`;
  const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", scheme];
  const browser = execFile("chromium", [
    ...flags,
    "--remote-debugging-port=0",
    `http://127.0.0.1:${address.port}/harness`,
  ]);
  browser.on("error", reject);
  browser.on("exit", (code) => reject(new Error(`chromium ended with code ${code}`)));
  try {
    return await promise;
  } finally {
    browser.kill();
    server.closeAllConnections();
    server.close();
  }
}
