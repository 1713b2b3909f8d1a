/** The examples of docs/library.md, run as they stand, one after another, in a folder with a tiny suite; and what they import exists. */
import { execFile } from "node:child_process";
import { mkdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import * as library from "../../src/index.js";
import { ROOT, temporaryFolder } from "../support/cli.js";
import { writeTextSuite } from "../support/tiny-text-suite.js";

const run = promisify(execFile);

it("run, and print what they say", async () => {
  const text = await readFile(join(ROOT, "docs", "library.md"), "utf8");
  const examples = [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = ""]) => code);
  expect(examples.length).toBeGreaterThan(3);
  const folder = await temporaryFolder();
  await writeTextSuite(folder);
  await mkdir(join(folder, "node_modules"));
  await symlink(ROOT, join(folder, "node_modules", "adamerge"), "dir");
  // What is JavaScript but for its name runs as it stands; steps are few, since only that it runs is looked at.
  const short = (code: string): string => code.replaceAll("steps: 100", "steps: 3");
  for (const [index, code] of examples.entries()) await writeFile(join(folder, `example-${index}.mjs`), short(code));
  const imports = examples.map((_, index) => `await import("./example-${index}.mjs");`).join("\n");
  await writeFile(join(folder, "all.mjs"), `${imports}\n`);
  const env = { ...process.env, ADAMERGE_CACHE: join(folder, "cache") };
  const { stdout, stderr } = await run(process.execPath, ["all.mjs"], { cwd: folder, env });
  expect(stderr).toBe("");
  expect(stdout).toMatch(/adamerging_layer_wise: \d+\.\d %/);
  for (const place of ["merged/model.safetensors", "merged.safetensors", "runs/default/task-wise", "runs/config/doubt"])
    expect((await stat(join(folder, place))).size, place).toBeGreaterThan(0);
});

it("name functions that there are", async () => {
  const text = await readFile(join(ROOT, "docs", "library.md"), "utf8");
  const named = [...text.matchAll(/^\| `(\w+)\(/gm)].map(([, name = ""]) => name);
  expect(named.length).toBeGreaterThan(15);
  expect(named.filter((name) => !(name in library))).toEqual([]);
});
