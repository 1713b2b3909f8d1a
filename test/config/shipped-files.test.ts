/** Names of what ships, from folders that know nothing of the package. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { loadRunConfig } from "../../src/config/load.js";
import { findShipped, shippedFiles, suitePath } from "../../src/config/shipped-files.js";
import { openSweep } from "../../src/config/sweep.js";
import { openSuite } from "../../src/data/suite.js";
import { openExperiment } from "../../src/experiment/experiment-file.js";
import { ROOT } from "../support/cli.js";

const options = (cwd: string) => ({ cwd, presetsDir: join(ROOT, "configs", "presets") });
let cwd: string;
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), "adamerge-shipped-"));
});
afterEach(() => rm(cwd, { recursive: true }));

it("a config, a sweep, an experiment and a suite by name; results go to the folder the person is in", async () => {
  const { config, path } = await loadRunConfig("mini8", ["steps=3"], options(cwd));
  expect(path).toBe(join(ROOT, "configs", "mini8.yaml"));
  const suite = join(ROOT, "datasets", "mini8");
  expect(config).toMatchObject({ suite, experiment: "mini8", steps: 3, output: join(cwd, "runs") });
  expect(await openSweep("learning-rate", cwd)).toMatchObject({ config: path, name: "learning-rate" });
  const { path: experiment } = await openExperiment("mini8-findings", join(ROOT, "experiments"), cwd);
  expect(experiment).toBe(join(ROOT, "experiments", "mini8-findings.yaml"));
  expect(await findShipped("mini8", cwd, ["merge", "config"])).toBe(join(ROOT, "configs", "merges", "mini8.yaml"));
  expect(await suitePath("mini8", cwd)).toBe(suite);
  expect((await openSuite(await suitePath("clip/vit-b32-8", cwd))).tasks).toHaveLength(8);
});

it("a config of one's own names a suite that ships, unless something of that name lies beside it", async () => {
  await writeFile(join(cwd, "c.yaml"), "suite: mini8\n");
  const suiteOf = async () => (await loadRunConfig("c.yaml", [], options(cwd))).config.suite;
  expect(await suiteOf()).toBe(join(ROOT, "datasets", "mini8"));
  await mkdir(join(cwd, "mini8"));
  expect(await suiteOf()).toBe(join(cwd, "mini8"));
});

it("a file of one's own comes first, a folder does not", async () => {
  await mkdir(join(cwd, "mini8"));
  expect(await findShipped("mini8", cwd, ["config"])).toBe(join(ROOT, "configs", "mini8.yaml"));
  await rm(join(cwd, "mini8"), { recursive: true });
  await writeFile(join(cwd, "mini8"), "suite: s\n");
  expect(await findShipped("mini8", cwd, ["config"])).toBe(join(cwd, "mini8"));
});

it.each([
  ["mini88", "config", /^mini88: expected the file of a config, or the name of one that ships .* did you mean mini8, /],
  ["own", "config", /did you mean own\.yaml\?$/],
  ["findings", "experiment", /^findings: .* did you mean mini8-findings, text8-findings\?$/],
  ["clip", "config", /did you mean (clip-[^,]+, ){5}clip-[^,]+\?$/],
  ["zzzzzzzzzzzzz", "sweep", /found neither; known names: .*learning-rate, quickstart/],
  ["configs/mini8.yaml", "config", /^configs\/mini8\.yaml: .* the one that ships with adamerge is called mini8$/],
] as const)("%s: says what was meant", async (given, kind, message) => {
  await writeFile(join(cwd, "own.yaml"), "suite: s\n");
  await expect(findShipped(given, cwd, [kind])).rejects.toThrow(message);
});

it("a path without a file is left to its reader", async () => {
  expect(await findShipped("nothing.yaml", cwd, ["config"])).toBe(join(cwd, "nothing.yaml"));
  await expect(openSuite(join(cwd, "mini9"))).rejects.toThrow("or take one that ships with adamerge: mini8");
});

it("every config in the folder has its name", async () => {
  const files = (await readdir(join(ROOT, "configs"))).filter((file) => file.endsWith(".yaml"));
  expect([...(await shippedFiles("config")).keys()].map((name) => `${name}.yaml`).sort()).toEqual(files.sort());
});
