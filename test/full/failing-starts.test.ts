/**
 * Starts that fail, again and again on the built command: each ends with its message and its exit code, not one with 13 (a promise that
 * cannot settle) or 134 (a native library torn down in a call). `ROUNDS=200 npx vitest run --config vitest.full.config.ts
 * test/full/failing-starts.test.ts` is the long form.
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { createRng } from "../../src/runtime/rng.js";
import { ROOT, runCli, startCli, temporaryFolder } from "../support/cli.js";
import { endings } from "../support/engine-failures.js";
import { MINI8, writeImages } from "../support/mini8-files.js";

const ROUNDS = Number(process.env.ROUNDS ?? 3);
const LIMIT_MS = 20_000 * ROUNDS;
const TASKS = ["mnist", "letters"];
const EXPERTS = TASKS.flatMap((task) => ["--expert", `${task}=${join(MINI8, "experts", task)}`]);
const IMAGES = TASKS.flatMap((task) => ["--images", `${task}=${task}`]);
const INIT = ["init", "project", "--base", join(MINI8, "base"), ...EXPERTS, ...IMAGES, "--force"];
let folder: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  for (const task of TASKS) await writeImages(folder, task, "test", 30, (i, label) => join(task, label, `${i}.png`));
  const { code, stderr } = await runCli(folder, INIT);
  expect(code, stderr).toBe(0);
  const [label = ""] = await readdir(join(folder, "mnist"));
  const [name = ""] = await readdir(join(folder, "mnist", label));
  await writeFile(join(folder, "mnist", label, name), "not an image");
});

describe(`${ROUNDS} starts with an image that does not decode`, () => {
  const config = join("project", "config.yaml");
  it.each([
    ["fit", ["fit", config, "steps=2"]],
    ["fit --dry-run", ["fit", config, "--dry-run"]],
    ["eval", ["eval", config, "--method", "weight_averaging"]],
    ["init", INIT],
  ])("%s: 3 and the image's name", { timeout: LIMIT_MS }, async (_name, args) => {
    for (let round = 0; round < ROUNDS; round++) {
      const { code, signal, stderr } = await runCli(folder, args);
      expect({ code, signal }, `round ${round}: ${stderr}`).toEqual({ code: 3, signal: null });
      expect(stderr).toMatch(/^adamerge: .*\.png\)?: expected an encoded image, found 12 bytes of another form/m);
      expect(stderr).not.toMatch(/^\s+at /m);
    }
    const left = await readdir(join(folder, "cache", "pixels"));
    expect(left.filter((entry) => entry.endsWith(".tmp"))).toEqual([]);
  });
});

describe(`${ROUNDS} ends of an engine`, () => {
  it.each([
    ["together", /^Error: an image does not decode$/],
    ["abandoned", /^Error: an image does not decode$/],
    ["closed at once", /^Error: before the first call$/],
    ["file that cannot be mapped", /^UserError: .*none: could not be mapped \(ENOENT/],
    ["file that is too short", /^CheckpointError: .*expected at least \d+ bytes, found 8000/],
    ["graph that is refused", /^Error: .*protobuf/],
    ["two engines, one fails", /^Error: an image does not decode$/],
    ["closed under a run", /^Error: the run gave 1000 values, a later one .*the engine is closed/],
  ])("%s: says what failed, and the process goes on", { timeout: LIMIT_MS }, async (scenario, message) => {
    const { code, stderr, lines } = await endings(scenario, ROUNDS);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(lines).toHaveLength(ROUNDS);
    for (const line of lines) expect(line).toMatch(message);
  });
});

it(`${ROUNDS} interruptions at any moment: 130 and the word`, { timeout: LIMIT_MS }, async () => {
  const rng = createRng("interruptions");
  const cwd = await temporaryFolder();
  const args = ["fit", join(ROOT, "configs", "mini8.yaml"), "tasks=[mnist,letters]", "steps=100000", "--overwrite"];
  // The first fills the cache, so that the others get further.
  await startInterrupted(cwd, args, 8_000);
  for (let round = 0; round < ROUNDS; round++) {
    const { code, signal, stderr } = await startInterrupted(cwd, args, 500 + rng.nextInt(5_000));
    expect({ code, signal }, stderr).toEqual({ code: 130, signal: null });
    expect(stderr).toMatch(/interrupted/);
    expect(stderr).not.toMatch(/^\s+at /m);
  }
});

async function startInterrupted(cwd: string, args: readonly string[], afterMs: number) {
  const cli = startCli(cwd, args);
  const timer = setTimeout(() => cli.kill("SIGINT"), afterMs);
  const result = await cli.result;
  clearTimeout(timer);
  return result;
}

it("an engine whose worker lacks its library fails with that, not with 13", { timeout: LIMIT_MS }, async () => {
  const cwd = await temporaryFolder();
  await mkdir(join(cwd, "lib"), { recursive: true });
  const blocker = join(cwd, "lib", "block.cjs");
  // Node runs it in every thread, the engine's too: there ONNX Runtime's native part cannot be loaded.
  await writeFile(
    blocker,
    `const { isMainThread } = require("node:worker_threads"); const load = process.dlopen;
     if (!isMainThread) process.dlopen = (module, file, ...rest) => {
       if (/onnxruntime/.test(file)) throw new Error("blocked " + file);
       return load.call(process, module, file, ...rest); };`,
  );
  const config = join(ROOT, "configs", "mini8.yaml");
  for (let round = 0; round < ROUNDS; round++) {
    const { code, stderr } = await runCli(cwd, ["fit", config, "tasks=[mnist]", "steps=1", "--overwrite"], {
      NODE_OPTIONS: `--require "${blocker}"`,
    });
    expect(code, stderr).toBe(2);
    expect(stderr).toMatch(/^adamerge: .*engine=onnx: expected its worker thread to start.*blocked/m);
  }
  expect(await readFile(blocker, "utf8")).toContain("blocked");
});
