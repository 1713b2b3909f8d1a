/** Notes about tied tensors in the metadata of a safetensors file: as many as a model has, not as many as fill the memory. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { writeSafetensors } from "../../src/checkpoint/safetensors-writer.js";
import { CheckpointError } from "../../src/errors.js";

const folder = mkdtempSync(join(tmpdir(), "adamerge-notes-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function withNotes(count: number): Promise<string> {
  const path = join(folder, `${count}.safetensors`);
  const metadata = Object.fromEntries(Array.from({ length: count }, (_, index) => [`t${index}`, "kept"]));
  const data = new Float32Array(10_000);
  await writeSafetensors(path, [{ name: "kept", dtype: "F32", shape: [10_000], data }], { metadata });
  return path;
}

test("some are tensors of their own", async () => {
  expect((await openCheckpoint(await withNotes(3))).tensors.size).toBe(4);
});

test("very many are refused when the file is opened", async () => {
  const path = await withNotes(1000);
  const failure = await openCheckpoint(path).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(CheckpointError);
  expect(String(failure)).toContain(
    `${path}: expected notes about tied tensors (in __metadata__) that make the tensors at most 4 times the size of the file, found more, up to "t`,
  );
});
