/**
 * scripts/convert/torch-modules.py: its own check with open_clip's classes, and that what it makes of a file that is refused here is read here. Needs a
 * Python with torch, safetensors and open-clip-torch: python3, or ADAMERGE_TORCH_PYTHON.
 */
import { spawnSync } from "node:child_process";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { ROOT } from "../support/cli.js";

const PYTHON = process.env.ADAMERGE_TORCH_PYTHON ?? "python3";
const GOLDEN = join(ROOT, "test", "golden", "torch");
const CONVERT = join(ROOT, "scripts", "convert");
const hasTorch = spawnSync(PYTHON, ["-c", "import torch, safetensors, open_clip"]).status === 0;
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "convert-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.skipIf(!hasTorch)(`the converter (needs ${PYTHON} with torch, safetensors and open-clip-torch)`, () => {
  it("passes its own check", () => {
    const { status, stdout, stderr } = spawnSync(PYTHON, [join(CONVERT, "check-torch-modules.py")], {
      encoding: "utf8",
    });
    expect([status, stderr.match(/.*Error.*/g)]).toEqual([0, null]);
    expect(stdout).toMatch(/^10 files of modules converted; 9 attacks without effect/);
  });

  it.each(["whole-module", "legacy", "protocol-4", "numpy"])("%s.pt is read after it", async (name) => {
    const path = join(folder, `${name}.pt`);
    await copyFile(join(GOLDEN, "refused", `${name}.pt`), path);
    await expect(openCheckpoint(path)).rejects.toThrow(/expected/);
    const { status, stderr } = spawnSync(PYTHON, [join(CONVERT, "torch-modules.py"), path], { encoding: "utf8" });
    expect(stderr.includes("Traceback"), stderr).toBe(false);
    expect(status).toBe(0);
    const found = await openCheckpoint(join(folder, `${name}.safetensors`));
    expect(found.tensors.has(name === "whole-module" ? "first.weight" : "weight")).toBe(true);
    if (name !== "whole-module") return;
    const expected = await openCheckpoint(join(GOLDEN, "expected.safetensors"));
    for (const tensor of found.tensors.keys())
      expect(await found.tensorSha256s([tensor])).toEqual(await expected.tensorSha256s([`module/${tensor}`]));
  });
});
