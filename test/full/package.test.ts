/**
 * The package as npm packs it, installed by a plain `npm i` into an empty folder: nothing but the registry (or npm's cache) is asked, and the
 * command works from there. Takes a minute or two where the cache is empty.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ROOT } from "../support/cli.js";

const LIMIT_MS = 900_000;
let folder = "";
// A person's own shell has none of the settings that npm hands to what it runs here, above all not this project's `ignore-scripts`.
const shell = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
const run = (cwd: string, command: string, ...args: string[]) =>
  spawnSync(command, args, { cwd, encoding: "utf8", env: { ...shell, ADAMERGE_CACHE: join(folder, "cache") } });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "package-"));
  await mkdir(join(folder, "empty"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it(
  "installs with the registry alone, and works",
  async () => {
    const packed = run(ROOT, "npm", "pack", "--ignore-scripts", "--pack-destination", folder);
    expect(packed.status, packed.stderr).toBe(0);
    const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz")) ?? "";
    const empty = join(folder, "empty");
    const installed = run(empty, "npm", "i", "--prefer-offline", "--no-audit", "--no-fund", join(folder, tarball));
    expect(installed.status, installed.stderr).toBe(0);
    expect(existsSync(join(empty, "node_modules", "adamerge", "configs", "quickstart-mini8.yaml"))).toBe(true);
    const script = readFileSync(join(empty, "node_modules", "onnxruntime-node", "script", "install.js"), "utf8");
    expect(script).toMatch(/^\/\/ adamerge: no CUDA libraries unless asked for\n/);
    const methods = run(empty, "npx", "adamerge", "methods");
    expect([methods.status, methods.stdout.includes("task_arithmetic")]).toEqual([0, true]);
    const doctor = run(empty, "npx", "adamerge", "doctor");
    expect(doctor.status, doctor.stdout).toBe(0);
    expect(doctor.stdout).toMatch(/ok {4}onnx on cpu +works/);
    await writeFile(join(empty, "run.yaml"), "suite: node_modules/adamerge/datasets/mini8\n");
    const config = run(empty, "npx", "adamerge", "config", "show", "run.yaml");
    expect(config.status, config.stderr).toBe(0);
  },
  LIMIT_MS,
);
