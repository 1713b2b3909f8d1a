/** A short run of the fuzzer's cases with fixed seeds, over the sources. `scripts/fuzz` runs them for as long as one likes, and judges them more strictly. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { layOutCase, makeCase, makeSeeds, readCase } from "../../scripts/fuzz/cases.js";
import { openCheckpoint, saveCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { writeSafetensors } from "../../src/checkpoint/safetensors.js";
import { CheckpointError } from "../../src/errors.js";
import { createRng } from "../../src/runtime/rng.js";

const CASES = 1500;
const library = { openCheckpoint, saveCheckpoint, writeSafetensors, createRng, CheckpointError };
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fuzz-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it(`${CASES} made or mutated files and folders are read, or refused with a clear CheckpointError`, async () => {
  const seeds = await makeSeeds(join(folder, "seeds"), join(import.meta.dirname, "..", "golden"), library);
  const outcomes = new Map<string, number>();
  const rules = new Set<string>();
  for (let index = 0; index < CASES; index++) {
    const made = makeCase(seeds, createRng("fuzz test", index));
    const path = join(folder, made.kind === "folder" ? "folder" : "case.safetensors");
    await layOutCase(made, path);
    const { problem, rule, tensors } = await readCase(path, library);
    expect(problem, `case ${index}`).toBeUndefined();
    const outcome = `${made.kind} ${tensors === undefined ? "refused" : "accepted"}`;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    if (rule !== undefined) rules.add(rule);
  }
  // The cases are worth something only if they get past the first checks.
  for (const kind of ["entries", "header", "bytes", "folder"])
    for (const result of ["accepted", "refused"])
      expect(outcomes.get(`${kind} ${result}`), `${kind} ${result}`).toBeGreaterThan(10);
  expect(rules.size).toBeGreaterThan(35);
}, 60_000);
