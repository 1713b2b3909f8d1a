/** Signals and kills on the built command: a fit stops after its step, keeps its coefficients and says so. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createRng } from "../../src/runtime/rng.js";
import { parseCoefficients } from "../../src/track/coefficients-file.js";
import { ROOT, startCli, temporaryFolder } from "../support/cli.js";
import { writeTextSuite } from "../support/tiny-text-suite.js";

const CONFIG = join(ROOT, "configs", "mini8.yaml");
const ENDLESS = ["fit", CONFIG, "steps=1000000", "data.eval_every=0", "data.eval_limit=50", "experiment=e", "name=n"];
const MOST_MS_TO_STOP = 10_000;
const KILLS = 8;

describe.each(["SIGINT", "SIGTERM"] as const)("%s", (signal) => {
  it("finishes the step, keeps the coefficients, exits with 130", async () => {
    const cwd = await temporaryFolder();
    const cli = startCli(cwd, ENDLESS);
    await cli.stderrHas("step       1/");
    const sent = performance.now();
    cli.kill(signal);
    const { code, stderr } = await cli.result;
    expect(performance.now() - sent).toBeLessThan(MOST_MS_TO_STOP);
    expect(code, stderr).toBe(130);
    expect(stderr).toContain("interrupted after step");
    expect(stderr).not.toMatch(/^\s+at /m);
    const folder = join(cwd, "runs", "e", "n");
    expect(JSON.parse(await readFile(join(folder, "status.json"), "utf8"))).toMatchObject({ state: "interrupted" });
    const file = join(folder, "coefficients.json");
    const { values } = parseCoefficients(await readFile(file, "utf8"), file);
    expect(values.flat().some((value) => value !== 0.3)).toBe(true);
  });
});

it("predict leaves whole lines and exits with 130", async () => {
  const cwd = await temporaryFolder();
  await writeTextSuite(cwd);
  await writeFile(join(cwd, "rows.csv"), `text\n${"a b c\n".repeat(1_000_000)}`);
  const line = ["predict", "models/thirds", "rows.csv", "--format", "jsonl", "--threads", "1", "--device", "cpu"];
  const cli = startCli(cwd, line);
  await new Promise((resolve) => setTimeout(resolve, 6000));
  cli.kill("SIGINT");
  const { code, stdout, stderr } = await cli.result;
  expect(code, stderr).toBe(130);
  const rows = stdout.trimEnd().split("\n");
  expect(JSON.parse(rows.at(-1) ?? "")).toMatchObject({ source: `rows.csv:${rows.length + 1}` });
});

it("a second Ctrl-C leaves at once", async () => {
  const cwd = await temporaryFolder();
  const cli = startCli(cwd, ENDLESS);
  await cli.stderrHas("step       1/");
  cli.kill("SIGINT");
  await cli.stderrHas("Stopping after this step");
  cli.kill("SIGINT");
  expect(await cli.result).toMatchObject({ code: null, signal: "SIGINT" });
});

it(`${KILLS} kills at random moments leave no unreadable file under a final name`, async () => {
  const rng = createRng(20261123, "kills");
  const cwd = await temporaryFolder();
  for (let round = 0; round < KILLS; round++) {
    const cli = startCli(cwd, [
      "fit",
      CONFIG,
      "steps=8",
      "data.eval_every=2",
      "data.eval_limit=20",
      "data.batch_size=2",
      "experiment=e",
      "name=n",
      "--overwrite",
    ]);
    const timer = setTimeout(() => cli.kill("SIGKILL"), 300 + rng.nextInt(5000));
    await cli.result;
    clearTimeout(timer);
    await expectReadable(cwd);
  }
});

/** Every file with a final name parses; metrics may end in the middle of a line, as an append-only log does. */
async function expectReadable(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith(".json") || entry.name.startsWith(".")) continue;
    const text = await readFile(join(entry.parentPath, entry.name), "utf8");
    expect(() => JSON.parse(text), join(entry.parentPath, entry.name)).not.toThrow();
  }
}
