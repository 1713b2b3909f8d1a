/**
 * Another program changes the bundle of a fit under way, at any moment: a step reads its mapped pages nearly all the time. The fit ends with
 * exit code 3 and one clear message, or goes on, and is never killed by the system (SIGBUS).
 */
import { chmod, copyFile, readdir, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { ROOT, startCli, temporaryFolder } from "../support/cli.js";
import { canLease } from "../support/leases.js";

const CONFIG = `extends: presets/quickstart
suite: ${JSON.stringify(join(ROOT, "datasets", "mini8"))}
experiment: e
name: n
tasks: [mnist, letters]
steps: 100
checkpoint_every: 0
save_report: false
data: {eval_limit: 4, eval_every: 0, batch_size: 4}
`;

/** Starts a fit, changes its bundle some milliseconds after the fifth step, and returns how it ended. */
async function fitWhile(change: (bundle: string) => Promise<unknown>, afterMs: number) {
  const folder = await temporaryFolder();
  await writeFile(join(folder, "c.yaml"), CONFIG);
  const running = startCli(folder, ["fit", "c.yaml"]);
  await running.stderrHas("step   5/100");
  const bundles = join(folder, "cache", "bundles");
  const [name = ""] = (await readdir(bundles)).filter((file) => file.endsWith(".safetensors"));
  await setTimeout(afterMs);
  await change(join(bundles, name));
  const result = await running.result;
  const status = JSON.parse(await readFile(join(folder, "runs", "e", "n", "status.json"), "utf8"));
  const files = await readdir(join(folder, "runs", "e", "n"));
  await rm(folder, { recursive: true });
  return { result, status, files };
}

const overwrite = async (bundle: string, write: (path: string) => Promise<unknown>): Promise<void> => {
  await chmod(bundle, 0o644);
  await write(bundle);
};

describe.skipIf(!canLease)("a bundle that is written to", () => {
  it.each([
    ["cut to nothing", (path: string) => truncate(path, 0), 0],
    ["cut to its header", (path: string) => truncate(path, 20_000), 37],
    ["overwritten", (path: string) => writeFile(path, new Uint8Array(1000)), 111],
    ["cut later", (path: string) => truncate(path, 4096), 163],
    ["cut still later", (path: string) => truncate(path, 100_000), 251],
  ])("%s: the fit says so and keeps its coefficients", async (_, write, afterMs) => {
    const { result, status, files } = await fitWhile((bundle) => overwrite(bundle, write), afterMs);
    expect([result.code, result.signal], result.stderr).toEqual([3, null]);
    expect(result.stderr).toMatch(
      /bundles\/\w+\.safetensors: expected nobody to write to this file while it is in use/,
    );
    expect(result.stderr).not.toMatch(/^\s+at /m);
    expect(status.state).toBe("failed");
    expect(files).toContain("coefficients.json");
  });
});

describe("a bundle that is replaced or deleted", () => {
  it.each([
    [
      "replaced by a damaged one",
      async (bundle: string) => {
        await writeFile(`${bundle}.new`, "damaged");
        await rename(`${bundle}.new`, bundle);
      },
    ],
    [
      "replaced by its copy",
      async (bundle: string) => {
        await copyFile(bundle, `${bundle}.new`);
        await rename(`${bundle}.new`, bundle);
      },
    ],
  ])("%s: the steps go on with the old one", async (_, change) => {
    const { result, status } = await fitWhile(change, 50);
    expect(result.signal).toBeNull();
    expect(status.step).toBe(100);
    // After the steps the merged model is read from the file of that name.
    expect(result.code, result.stderr).toBe(_.includes("damaged") ? 3 : 0);
  });
});
