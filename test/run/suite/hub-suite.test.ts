/** A suite whose models and data sets are on the (fake) hub gives what the same suite in directories gives. */
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openCheckpoint } from "../../../src/checkpoint/checkpoint.js";
import { type FakeHub, startFakeHub } from "../../fake-hub/fake-hub.js";
import { stateDictFile } from "../../malformed/make-torch-file.js";
import { ROOT, temporaryFolder } from "../../support/cli.js";
import { runInProcess } from "../../support/in-process-cli.js";

const MINI8 = join(ROOT, "datasets", "mini8");
const TASKS = ["mnist", "letters"];
let folder: string;
let hub: FakeHub;

beforeAll(async () => {
  folder = await temporaryFolder();
  const served = join(folder, "served");
  await copy(join(MINI8, "base"), join(served, "models", "adamerge", "mini8"));
  for (const task of TASKS) {
    await copy(join(MINI8, "experts", task), join(served, "models", "adamerge", `mini8_${task}`));
    await copy(join(MINI8, "tasks", task), join(served, "datasets", "adamerge", task));
  }
  await asPyTorch(join(served, "models", "adamerge", "mini8_letters"));
  hub = await startFakeHub(served);
  await mkdir(join(folder, "suite"));
  await writeFile(join(folder, "suite", "suite.yaml"), await suiteText());
  await writeFile(join(folder, "run.yaml"), "suite: suite\ndata: { eval_limit: 60 }\n");
});
afterAll(() => hub.close());

async function copy(from: string, to: string): Promise<void> {
  await cp(from, to, { recursive: true, dereference: true });
}

/** The same tensors in the file of an older repository. */
async function asPyTorch(directory: string): Promise<void> {
  const model = await openCheckpoint(directory);
  const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  for (const [name, { shape }] of model.tensors) tensors.set(name, { shape, data: await model.readFloat32(name) });
  await writeFile(join(directory, "pytorch_model.bin"), stateDictFile(tensors));
  await rm(join(directory, "model.safetensors"));
}

/** mini8's own description, cut to two tasks, with repositories in the place of folders. */
async function suiteText(): Promise<string> {
  const { parse, stringify } = await import("yaml");
  const suite = parse(await readFile(join(MINI8, "suite.yaml"), "utf8"));
  const tasks = suite.tasks
    .filter(({ name }: { name: string }) => TASKS.includes(name))
    .map((task: { name: string; head: string }) => ({
      ...task,
      dataset: { path: `adamerge/${task.name}`, splits: { checked: "test" } },
      expert: `adamerge/mini8_${task.name}@main`,
      head: join(MINI8, task.head),
    }));
  const { multitask: _, ...others } = suite;
  return stringify({ ...others, base: "adamerge/mini8", tasks });
}

function run(line: string, env: Readonly<Record<string, string>> = {}) {
  const places = { HF_HUB_CACHE: join(folder, "hub"), ADAMERGE_CACHE: join(folder, "cache") };
  return runInProcess(folder, line, { HF_ENDPOINT: hub.url, ...places, ...env });
}

test("offline, an empty cache is said with every repository it lacks", async () => {
  const { code, stderr } = await run("eval run.yaml --method weight_averaging --offline");
  expect(code).toBe(3);
  for (const name of ["adamerge/mini8:", "adamerge/mini8_mnist:", "adamerge/letters:"]) expect(stderr).toContain(name);
  expect(hub.requests).toEqual([]);
});

test("pull shows the bytes, and downloads nothing when asked not to", async () => {
  const { code, stdout } = await run("pull suite --splits test --dry-run");
  expect(code).toBe(0);
  expect(stdout).toMatch(/^model +adamerge\/mini8 +[0-9a-f]{10} +3 +(\d\.\d+ MB) +\1$/m);
  expect(stdout).toMatch(/^dataset +adamerge\/mnist .* kB/m);
  expect(hub.requests.filter(({ server }) => server === "storage")).toEqual([]);
});

test("a pull that was broken off goes on where it was, and an evaluation asks nothing more", async () => {
  hub.faults.push({ on: /./, server: "storage", kind: "cut", afterBytes: 100_000, times: 1 });
  const pulled = await run("pull suite --splits test --json");
  expect(pulled.code).toBe(0);
  expect(hub.requests.some(({ range }) => range !== undefined && /^bytes=[1-9]/.test(range))).toBe(true);
  const before = hub.requests.length;
  const remote = await run("eval run.yaml --method weight_averaging --json");
  expect(remote.stderr).not.toContain("adamerge: ");
  expect(remote.stderr).toMatch(/notice: .*mini8_letters.* is a PyTorch file/);
  expect(hub.requests).toHaveLength(before);
  const local = await run(
    `eval ${join(ROOT, "configs", "mini8.yaml")} tasks=[mnist,letters] data.eval_limit=60 --method weight_averaging --json`,
  );
  expect(JSON.parse(remote.stdout)).toEqual(JSON.parse(local.stdout));
  const offline = await run("eval run.yaml data.eval_split=checked --method weight_averaging --json --offline");
  expect(JSON.parse(offline.stdout)).toEqual(JSON.parse(remote.stdout));
});

test("a split that the data set lacks is said with those it has", async () => {
  const { code, stderr } = await run("eval run.yaml data.eval_split=nothere --method weight_averaging");
  expect(code).toBe(3);
  expect(stderr).toContain("parquet files of split nothere");
  expect(stderr).toContain("its splits are ");
});

test("a repository that is not there is one line", async () => {
  const text = (await suiteText()).replace("adamerge/mini8_letters@main", "adamerge/mini8_lettres");
  await mkdir(join(folder, "wrong"));
  await writeFile(join(folder, "wrong", "suite.yaml"), text);
  const { code, stderr } = await run("pull wrong");
  expect(code).toBe(3);
  expect(stderr.trim().split("\n")).toHaveLength(1);
  expect(stderr).toContain("adamerge/mini8_lettres");
});

test("init takes the base and an expert from the hub", async () => {
  const models =
    "--base adamerge/mini8 --expert mnist=adamerge/mini8_mnist --expert letters=adamerge/mini8_letters@main";
  const images = TASKS.map((task) => `--images ${task}=served/datasets/adamerge/${task}`).join(" ");
  const { code, stdout, stderr } = await run(`init ${models} ${images} own --json`);
  expect(stderr).not.toContain("adamerge:");
  expect(code).toBe(0);
  expect(JSON.parse(stdout).experts).toMatchObject([
    { name: "mnist", tensors: 104 },
    { name: "letters", equal: 0 },
  ]);
  const { parse } = await import("yaml");
  const suite = parse(await readFile(join(folder, "own", "suite.yaml"), "utf8"));
  expect(suite.base).toBe("adamerge/mini8");
  expect(suite.tasks[1].expert).toBe("adamerge/mini8_letters@main");
});
