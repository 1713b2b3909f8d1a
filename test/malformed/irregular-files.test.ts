/** Pipes, devices and folders in the place of files: refused with a sentence, and never opened, which would wait for ever. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { loadRunConfig } from "../../src/config/load.js";
import { openDataset } from "../../src/data/dataset.js";
import { UserError } from "../../src/errors.js";
import { openClipTokenizer } from "../../src/model/clip/tokenizer.js";
import { readCoefficients } from "../../src/track/coefficients-file.js";

const root = mkdtempSync(join(tmpdir(), "adamerge-irregular-"));
afterAll(() => rmSync(root, { recursive: true }));

const open = (path: string) => openDataset({ kind: "image", path, split: "test", where: "tasks.x" });
const image = async (path: string) => (await open(path)).encoded(0);
/** What is made in a folder of its own, at which path the pipe lies, and what opens it. */
const CASES: readonly [string, string, (folder: string) => void, (folder: string) => Promise<unknown>][] = [
  [
    "an image of a folder",
    "test/a/x.png",
    (folder) => mkdirSync(join(folder, "test", "a"), { recursive: true }),
    image,
  ],
  ["an image of a manifest", "x.png", (folder) => writeFileSync(join(folder, "test.csv"), "path\nx.png\n"), image],
  ["an archive", "test/0.tar", (folder) => mkdirSync(join(folder, "test")), open],
  ["names of classes", "classnames.txt", (folder) => cpSync(ARCHIVES, folder, { recursive: true }), openArchives],
  [
    "a number of archives",
    "ustar/nshards.txt",
    (folder) => cpSync(ARCHIVES, folder, { recursive: true }),
    openArchives,
  ],
  ["a parquet file", "test.parquet", () => {}, open],
  ["a card", "README.md", (folder) => writeFileSync(join(folder, "other.parquet"), ""), open],
  ["a tokenizer", "tokenizer.json", () => {}, (folder) => openClipTokenizer(folder, 77)],
  ["coefficients", "c.json", () => {}, (folder) => readCoefficients(join(folder, "c.json"))],
  ["a config", "c.yaml", () => {}, (folder) => loadRunConfig("c.yaml", [], { cwd: folder, presetsDir: folder })],
];
const ARCHIVES = join(import.meta.dirname, "..", "data", "readers", "webdataset");
function openArchives(path: string) {
  return openDataset({ kind: "image", path, split: "ustar", where: "tasks.x" });
}

test.each(CASES)("%s that is a pipe or a device is refused", async (name, place, prepare, read) => {
  for (const make of [
    (path: string) => execFileSync("mkfifo", [path]),
    (path: string) => execFileSync("ln", ["-s", "/dev/zero", path]),
  ]) {
    const folder = mkdtempSync(join(root, `${name.replaceAll(" ", "-")}-`));
    prepare(folder);
    rmSync(join(folder, place), { force: true });
    make(join(folder, place));
    const failure = await read(folder).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(UserError);
    expect(String(failure)).toContain(`${join(folder, place)}: expected `);
    expect(String(failure)).toMatch(/, found a device, pipe or socket/);
  }
});
