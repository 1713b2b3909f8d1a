/**
 * The package as npm packs it, installed by a plain `npm i` into an empty folder: nothing but the registry (or npm's cache) is asked, and the
 * command works from there as from the source tree, on this Node. Takes a minute or two where the cache is empty.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { MAIN, ROOT } from "../support/cli.js";

const LIMIT_MS = 900_000;
/** What registries and people put up with; the weights of a pretrained text encoder are half of it. */
const MAX_PACKED_BYTES = 100e6;
/** Of mini8: enough for every step of the quickstart. */
const TASKS = 2;

let folder = "";
let empty = "";
let installed = "";
let packed: { size: number; files: { path: string }[] };
// A person's own shell has none of the settings that npm hands to what it runs here, above all not this project's `ignore-scripts`.
const shell = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
const run = (cwd: string, command: string, ...args: string[]) =>
  spawnSync(command, args, { cwd, encoding: "utf8", env: { ...shell, ADAMERGE_CACHE: join(folder, "cache") } });
const adamerge = (...args: string[]) => run(empty, "npx", "adamerge", ...args);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "package-"));
  empty = join(folder, "empty");
  installed = join(empty, "node_modules", "adamerge");
  await mkdir(empty);
  const pack = run(ROOT, "npm", "pack", "--json", "--ignore-scripts", "--pack-destination", folder);
  expect(pack.status, pack.stderr).toBe(0);
  // Newer npm gives an object by name, older a list.
  packed = Object.values<typeof packed>(JSON.parse(pack.stdout))[0] ?? { size: 0, files: [] };
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz")) ?? "";
  const install = run(empty, "npm", "i", "--prefer-offline", "--no-audit", "--no-fund", join(folder, tarball));
  expect(install.status, install.stderr).toBe(0);
}, LIMIT_MS);
afterAll(() => rm(folder, { recursive: true, force: true }));

it("holds text8 and mini8 as the quickstart needs them, in at most 100 MB", () => {
  expect(packed.size).toBeLessThan(MAX_PACKED_BYTES);
  const paths = packed.files.map(({ path }) => path);
  expect(paths.filter((path) => /\.map$|node_modules|\.tsbuildinfo$/.test(path))).toEqual([]);
  for (const [name, splits] of [
    ["text8", ["adapt", "val", "test"]],
    ["mini8", ["val", "test"]],
  ] as const) {
    const suite = parse(readFileSync(join(installed, "datasets", name, "suite.yaml"), "utf8"));
    const tasks = suite.tasks.map((task: { name: string }) => task.name);
    expect(tasks).toHaveLength(8);
    const inTasks = paths.flatMap(
      (path) => new RegExp(`^datasets/${name}/tasks/([^/]+)/data/(\\w+)-`).exec(path) ?? [],
    );
    const found = inTasks.filter((_, index) => index % 3 === 1);
    expect(new Set(found)).toEqual(new Set(tasks));
    expect(new Set(inTasks.filter((_, index) => index % 3 === 2))).toEqual(new Set(splits));
    const parts = new Set(
      paths.filter((path) => path.startsWith(`datasets/${name}/`)).map((path) => path.split("/")[2]),
    );
    for (const kept of ["base", "experts", "heads", "tasks", "suite.yaml", "LICENSES.md"])
      expect(parts).toContain(kept);
    expect([...parts].filter((part) => /experts-|multitask|full|small|lora|suite-/.test(part ?? ""))).toEqual([]);
  }
});

it("brings only what runs here, from the registry alone", () => {
  const modules = readdirSync(join(empty, "node_modules", "@tensorflow")).sort();
  expect(modules).toEqual(["tfjs-backend-cpu", "tfjs-backend-wasm", "tfjs-core"]);
  const runtime = join(empty, "node_modules", "onnxruntime-node");
  expect(readFileSync(join(runtime, "script", "install.js"), "utf8")).toMatch(
    /^\/\/ adamerge: no CUDA libraries unless asked for\n/,
  );
  const binaries = readdirSync(join(runtime, "bin", "napi-v6"), { recursive: true, encoding: "utf8" });
  const bindings = binaries.filter((file) => file.endsWith(".node"));
  expect(bindings).toEqual([join(process.platform, process.arch, "onnxruntime_binding.node")]);
  const doctor = adamerge("doctor");
  expect(doctor.status, doctor.stdout).toBe(0);
  expect(doctor.stdout).toMatch(/ok {4}onnx on cpu +works/);
  expect(doctor.stdout).toMatch(/ok {4}tfjs on wasm +works/);
});

it("finds its own files by name, and says where the rest of a suite is", () => {
  const config = adamerge("config", "show", "mini8", "suite=text8");
  expect(config.stdout, config.stderr).toContain(`suite: ${join(installed, "datasets", "text8")}`);
  const texts = ["suite=text8", "tasks=[emoji]", "data.eval_limit=8", "--method", "individual", "--quiet"];
  const judged = adamerge("eval", "mini8", ...texts);
  expect(Number(judged.stdout), judged.stderr).toBeGreaterThan(50);
  const rest = "the package holds of a suite what its quickstart needs, and the project's source tree all of it";
  for (const [setting, method] of [
    ["data.eval_split=adapt", "pretrained"],
    ["data.eval_limit=1", "multi_task"],
  ] as const) {
    const { status, stderr } = adamerge("eval", "mini8", "tasks=[mnist]", setting, "--method", method);
    expect([status, stderr]).toEqual([3, expect.stringContaining(rest)]);
  }
});

it(
  "its quickstart ends as the source tree's, and writes nothing into the package",
  async () => {
    const before = listing(installed);
    const rows = async (root: string, cwd: string, ...command: [string, ...string[]]) => {
      const suite = await smallSuite(root, cwd);
      const [name, ...args] = command;
      const { status, stdout, stderr } = run(cwd, name, ...args, "quickstart", "--suite", suite, "--quiet", "--json");
      expect(status, stderr).toBe(0);
      return JSON.parse(stdout).rows;
    };
    const ours = await rows(installed, empty, "npx", "adamerge");
    const source = join(folder, "source");
    await mkdir(source);
    expect(ours).toEqual(await rows(ROOT, source, process.execPath, MAIN));
    expect(existsSync(join(empty, "runs", "quickstart", "summary.json"))).toBe(true);
    expect(listing(installed)).toEqual(before);
  },
  LIMIT_MS,
);

/** The first tasks of the mini8 that lies in `root`, as a suite in `cwd`, with every eighth image. */
async function smallSuite(root: string, cwd: string): Promise<string> {
  const mini8 = join(root, "datasets", "mini8");
  const { multitask: _, tasks, base, ...rest } = parse(readFileSync(join(mini8, "suite.yaml"), "utf8"));
  const splits = { adapt: { of: "val", every: 8 }, val: { of: "val", every: 8 }, test: { of: "test", every: 8 } };
  const inMini8 = ({ dataset, expert, head, ...task }: Record<string, string>) => ({
    ...{ ...task, expert: join(mini8, expert ?? ""), head: join(mini8, head ?? "") },
    dataset: { path: join(mini8, dataset ?? ""), splits },
  });
  const small = { ...rest, base: join(mini8, base), tasks: tasks.slice(0, TASKS).map(inMini8) };
  await mkdir(join(cwd, "small"));
  await writeFile(join(cwd, "small", "suite.yaml"), stringify(small, { aliasDuplicateObjects: false }));
  return join(cwd, "small");
}

function listing(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" }).sort();
}
