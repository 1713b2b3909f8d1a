/**
 * A page opened in Chromium at a width, light or dark: a frame of that width (a window is never narrower than 500 pixels) in a page that may look into it.
 * The page itself stays as it is, with its policy in force.
 */
import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { expect } from "vitest";
import { temporaryFolder } from "./cli.js";

const HEIGHT = 900;

export interface Look {
  readonly width: number;
  readonly theme: "light" | "dark";
  /** The body of an async function of the frame's `window` and `document`, whose result is returned. */
  readonly look: string;
}

export interface Seen {
  /** What `look` returned; the error it threw fails the test. */
  readonly found: unknown;
  /** Lines that the page wrote to its console, a refused script's included. */
  readonly console: readonly string[];
}

export async function inBrowser(page: string, { width, theme, look }: Look): Promise<Seen> {
  const harness = `${await temporaryFolder()}/harness.html`;
  await writeFile(
    harness,
    `<!doctype html><meta charset="utf-8"><body><iframe width="${width}" height="${HEIGHT}" src="file://${encodeURI(page)}"></iframe><script>
    const frame = document.querySelector("iframe");
    const AsyncFunction = (async () => {}).constructor;
    addEventListener("load", async () => {
      try {
        const look = new AsyncFunction("window", "document", ${JSON.stringify(look).replaceAll("<", "\\u003c")});
        document.body.dataset.found = JSON.stringify(await look(frame.contentWindow, frame.contentDocument));
      } catch (error) {
        document.body.dataset.failed = String(error);
      }
      frame.remove();
    });
    </script>`,
  );
  const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--dump-dom"];
  const scheme = `--blink-settings=preferredColorScheme=${theme === "dark" ? 0 : 1}`;
  const args = [...flags, scheme, "--virtual-time-budget=5000", "--enable-logging=stderr", `file://${harness}`];
  const browser = spawnSync("chromium", args, { encoding: "utf8", timeout: 120_000, maxBuffer: 64e6 });
  expect(browser.status, String(browser.error ?? browser.stderr)).toBe(0);
  expect(/data-failed="([^"]*)"/.exec(browser.stdout)?.[1]).toBeUndefined();
  const found = /data-found="([^"]*)"/.exec(browser.stdout)?.[1]?.replaceAll("&quot;", '"').replaceAll("&amp;", "&");
  return {
    found: JSON.parse(found ?? "null"),
    console: browser.stderr.split("\n").filter((line) => /CONSOLE/.test(line)),
  };
}
