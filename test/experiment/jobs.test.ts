/** Cells in several processes give what they give in one; an abort and an error reach through. */
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { DataError } from "../../src/errors.js";
import { type ReproduceOptions, reproduce } from "../../src/experiment/reproduce.js";
import { ROOT, temporaryFolder } from "../support/cli.js";

let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
  await writeFile(
    join(folder, "small.yaml"),
    `title: Small
config: ${join(ROOT, "configs", "mini8.yaml")}
suites: [${join(ROOT, "datasets", "mini8", "suite.yaml")}, ${join(ROOT, "datasets", "mini8", "suite-seed2.yaml")}]
seeds: [0]
adaptation: [{ name: inductive, split: adapt }]
rows:
  - { name: individual, method: individual }
  - { name: weight_averaging, method: weight_averaging }
  - { name: ties, method: ties }
  - { name: learned, fit: [granularity=task-wise] }
`,
  );
});

const run = (output: string, options: Partial<ReproduceOptions> = {}, overrides: readonly string[] = []) =>
  reproduce({
    experiment: join(folder, "small.yaml"),
    experimentsDir: folder,
    presetsDir: join(ROOT, "configs", "presets"),
    cwd: folder,
    overrides: ["tasks=[mnist, letters]", "data.eval_limit=40", "data.batch_size=4", "steps=2", ...overrides],
    output: join(folder, output),
    cacheDir: join(folder, "cache"),
    jobs: 1,
    dryRun: false,
    search: false,
    signal: new AbortController().signal,
    log: () => {},
    ...options,
  });

/** Without times. */
const results = ({ table }: Awaited<ReturnType<typeof run>>) => table.rows.map(({ seconds: _, ...row }) => row);

it("three at a time give the table of one at a time", async () => {
  const [alone, together] = [await run("alone", {}, ["threads=1"]), await run("together", { jobs: 3 }, ["threads=1"])];
  expect(together).toMatchObject({ computed: 8, kept: 0, missing: 0 });
  expect(results(together)).toEqual(results(alone));
});

it("goes on after an abort with what was done", async () => {
  const stop = new AbortController();
  const first = await run("stopped", {
    jobs: 2,
    signal: stop.signal,
    log: (line) => line.startsWith("[1/") && stop.abort(),
  });
  expect(first.computed).toBeGreaterThan(0);
  expect(first.missing).toBeGreaterThan(0);
  expect(await readdir(join(folder, "stopped", "small", "cells"))).toHaveLength(first.computed);
  const second = await run("stopped", { jobs: 2 });
  expect(second).toMatchObject({ kept: first.computed, computed: first.missing, missing: 0 });
});

it("an error keeps its class and its text", async () => {
  const wrong = run("wrong", { jobs: 2 }, ["data.eval_split=nothing"]);
  await expect(wrong).rejects.toThrow(DataError);
  await expect(wrong).rejects.toThrow(/nothing/);
});
