/** A short run of the fuzzer's mutations with fixed seeds: only CheckpointError comes out. `scripts/fuzz` runs it for as long as one likes. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { mutateBytes, mutateHeader } from "../../scripts/fuzz/mutations.js";
import { readSafetensorsHeader, readTensorFloat32, writeSafetensors } from "../../src/checkpoint/safetensors.js";
import { CheckpointError } from "../../src/errors.js";
import { createRng } from "../../src/runtime/rng.js";

const CASES = 1500;
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fuzz-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it(`${CASES} mutated files are read or refused with a CheckpointError that names the file`, async () => {
  const path = join(folder, "case.safetensors");
  await writeSafetensors(path, [
    { name: "a", dtype: "F32", shape: [20, 30], data: new Float32Array(600) },
    { name: "b.weight", dtype: "F16", shape: [5], data: new Float32Array(5) },
    { name: "none", dtype: "BF16", shape: [0, 4], data: new Float32Array() },
  ]);
  const valid = await readFile(path);
  const outcomes = { accepted: 0, refused: 0 };
  for (let index = 0; index < CASES; index++) {
    const rng = createRng("fuzz test", index);
    const bytes = index % 4 === 0 ? mutateBytes(valid, valid, rng) : mutateHeader(valid, rng);
    await writeFile(path, bytes);
    try {
      const file = await readSafetensorsHeader(path);
      for (const { name, dtype } of file.tensors.values())
        if (/^(F32|F16|BF16)$/.test(dtype)) await readTensorFloat32(file, name);
      outcomes.accepted += 1;
    } catch (error) {
      expect(error, `case ${index}: ${error}`).toBeInstanceOf(CheckpointError);
      expect(String(error), `case ${index}`).toContain(path);
      outcomes.refused += 1;
    }
  }
  // Some survive: flipped bits of the data are no error of the format.
  expect(outcomes.accepted).toBeGreaterThan(5);
  expect(outcomes.refused).toBeGreaterThan(CASES / 2);
}, 60_000);
