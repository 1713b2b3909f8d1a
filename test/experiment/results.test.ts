/** What is kept of a cell: compressed, read back as it was, and computed again when it is damaged. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { type CellResult, readResult, writeResult } from "../../src/experiment/results.js";
import { temporaryFolder } from "../support/cli.js";

const RESULT: CellResult = {
  key: "averaging-1234",
  tasks: { letters: 50 },
  hits: { letters: "10".repeat(2000) },
  predictions: { letters: Array.from({ length: 4000 }, (_, row) => row % 26) },
  imagesPresented: 0,
  seconds: 1.5,
};

it("keeps a result in a compressed file", async () => {
  const folder = await temporaryFolder();
  await writeResult(folder, RESULT);
  const said: string[] = [];
  const log = (line: string) => said.push(line);
  expect(await readResult(folder, RESULT.key, log)).toEqual(RESULT);
  const bytes = await readFile(join(folder, "averaging-1234.json.gz"));
  expect(JSON.parse(gunzipSync(bytes).toString())).toEqual(RESULT);
  expect(bytes.length).toBeLessThan(JSON.stringify(RESULT).length / 4);
  expect(await readResult(folder, "another", log)).toBeUndefined();
  expect(said).toEqual([]);
});

it.each([
  [
    "cut off",
    gzipSync(JSON.stringify(RESULT)).subarray(0, 100),
    /found what gzip cannot read \(unexpected end of file\)/,
  ],
  ["not compressed", Buffer.from(JSON.stringify(RESULT)), /found what gzip cannot read \(incorrect header check\)/],
  ["empty", Buffer.alloc(0), /found what gzip cannot read/],
  ["no JSON inside", gzipSync("{"), /found no JSON/],
  ["another form inside", gzipSync('{"key": 1}'), /found another form \(key: /],
  ["a bomb", gzipSync(Buffer.alloc(2 ** 28 + 1)), /found what gzip cannot read/],
])("says what is wrong with a file that is %s, and gives nothing", async (_, bytes, message) => {
  const folder = await temporaryFolder();
  const file = join(folder, "averaging-1234.json.gz");
  await writeFile(file, bytes);
  const said: string[] = [];
  expect(await readResult(folder, "averaging-1234", (line) => said.push(line))).toBeUndefined();
  expect(said).toHaveLength(1);
  expect(said[0]).toMatch(message);
  expect(said[0]).toContain(`warning: ${file}: expected the result of a cell`);
});
