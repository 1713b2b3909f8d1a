/** `npm run gpu-check` on what every machine has, and on what none of these has: measured, named as unmeasured, and written down. */
import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT, temporaryFolder } from "../support/cli.js";

it("measures the devices that work, names the others, and writes both down", async () => {
  const json = join(await temporaryFolder(), "figures.json");
  const small = ["--models", "mini", "--batch", "8", "--rounds", "1", "--python", "no-such-python", "--json", json];
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--import", "tsx", join(ROOT, "scripts", "gpu", "gpu-check.ts"), "--devices", "cpu", "webgpu", ...small],
    // No driver of Vulkan: WebGPU is not there, whatever the machine has.
    { cwd: ROOT, encoding: "utf8", env: { ...process.env, VK_ICD_FILENAMES: "/nonexistent/icd.json" } },
  );
  expect(status, stderr).toBe(0);
  expect(stdout).toMatch(/cpu {2}mini, 8 examples: step [\d.]+ ms\nnot measured, .*: webgpu\n/);
  const report = JSON.parse(await readFile(json, "utf8"));
  expect(report).toMatchObject({
    command: "npm run gpu-check",
    torch: expect.stringMatching(/^not compared: no-such-python has no torch/),
    unmeasured: { devices: ["webgpu"] },
    results: [{ device: "cpu", model: "mini", batch: 8, stepMs: expect.any(Number) }],
  });
}, 120_000);
