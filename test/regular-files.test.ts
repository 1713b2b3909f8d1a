/**
 * Files whose paths come from people or from other files are opened through runtime/regular-file.ts, which takes regular ones alone: a pipe would
 * wait for its writer, a device never ends. Node's own readers stand only where the file is one that the program makes itself.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const SOURCES = join(import.meta.dirname, "..", "src");
const READERS = /\b(?:readFile|readFileSync|openSync|createReadStream)\(/;

/** Files or folders, and what they read. */
const ALLOWED: readonly (readonly [place: string, what: string])[] = [
  ["runtime/", "the readers themselves; locks and caches"],
  ["track/", "run folders, and what is sent from them"],
  ["experiment/reproduce.ts", "the experiment's file, after the YAML reader"],
  ["experiment/sweep/", "the sweep's file, after the YAML reader, and its tables"],
  ["run/records/records.ts", "the package, and run folders"],
  ["run/merge-models/staging.ts", "the note of a merge under way"],
  ["run/merge-models/merge-job.ts", "the file that a merge writes"],
  ["merge/kernels/kernels.ts", "the compiled kernels of the package"],
  ["report/page/assets.ts", "the script and the style of the package"],
  ["cli/cli.ts", "the package"],
  ["config/load.ts", "a file that is not there, for the reason"],
  ["checkpoint/element-reader.ts", "checkpoints whose headers were read, compared with what they were"],
  ["checkpoint/companions.ts", "files of a model's folder, opened as regular ones"],
  ["checkpoint/hub/", "the cache; the token, which may come from a pipe"],
];

test("no other file of the sources opens files by itself", () => {
  const found = readdirSync(SOURCES, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && READERS.test(readFileSync(join(SOURCES, name), "utf8")))
    .filter((name) => !ALLOWED.some(([place]) => name === place || (place.endsWith("/") && name.startsWith(place))));
  expect(found).toEqual([]);
});

test("every place that is allowed to is still in need of it", () => {
  const reading = readdirSync(SOURCES, { recursive: true, encoding: "utf8" }).filter(
    (name) => name.endsWith(".ts") && READERS.test(readFileSync(join(SOURCES, name), "utf8")),
  );
  expect(ALLOWED.filter(([place]) => !reading.some((name) => name.startsWith(place)))).toEqual([]);
});
