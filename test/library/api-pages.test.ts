/** The API pages are made of the comments without a warning: every export has a comment, a page, and no type that leads nowhere. */
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import * as library from "../../src/index.js";
import { ROOT, temporaryFolder } from "../support/cli.js";

const run = promisify(execFile);
/** Of zod, which has pages of its own. */
const ELSEWHERE = ["z"];

/** All names that a module of ours exports from others, types included. */
async function exportsOf(file: string): Promise<string[]> {
  const text = await readFile(file, "utf8");
  const names: string[] = [];
  for (const [, all, listed = "", from = ""] of text.matchAll(
    /^export (?:type )?(?:(\*)|\{([^}]*)\}) from "(.+)";/gm,
  )) {
    if (all !== undefined) names.push(...(await exportsOf(join(dirname(file), from.replace(/\.js$/, ".ts")))));
    for (const one of listed.split(",").flatMap((part) => /(\w+)\s*$/.exec(part.trim())?.[1] ?? [])) names.push(one);
  }
  return names;
}

it("are made without a warning, with a page for every export", async () => {
  const folder = await temporaryFolder();
  const made = await run(process.execPath, [join(ROOT, "scripts", "build-api-pages.mjs"), folder]).catch(
    (error) => error,
  );
  expect(`${made.stdout}${made.stderr}`).toBe("");
  expect(made.code).toBeUndefined();
  const pages = (await readdir(folder, { recursive: true })).map((page) => basename(page, ".md"));
  const names = await exportsOf(join(ROOT, "src", "index.ts"));
  expect(names).toEqual(expect.arrayContaining(Object.keys(library)));
  expect(names.filter((name) => !pages.includes(name) && !ELSEWHERE.includes(name))).toEqual([]);
}, 120_000);
