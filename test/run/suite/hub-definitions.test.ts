/** Tasks defined in files, whose data sets are on the (fake) hub as the public ones are: in a revision with parquet, with a config, val a part of train. */
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { openDataset } from "../../../src/data/dataset.js";
import { openSuite } from "../../../src/data/suite.js";
import { taskDataset } from "../../../src/run/suite/suite-sources.js";
import { type FakeHub, startFakeHub } from "../../fake-hub/fake-hub.js";
import { ROOT, temporaryFolder } from "../../support/cli.js";
import { runInProcess } from "../../support/in-process-cli.js";

const MINI8 = join(ROOT, "datasets", "mini8");
let folder: string;
let hub: FakeHub;

/** mini8's task in the place that the hub's parquet copies and configs have, its test as `train` too. */
async function serve(task: string, place: string, names: (split: string) => string): Promise<void> {
  for (const split of ["train", "test"]) {
    const target = join(folder, "served", "datasets", "adamerge", place, names(split));
    await mkdir(join(target, ".."), { recursive: true });
    await cp(join(MINI8, "tasks", task, "data", "test-00000-of-00001.parquet"), target, { dereference: true });
  }
}

beforeAll(async () => {
  folder = await temporaryFolder();
  const models = join(folder, "served", "models", "adamerge");
  await cp(join(MINI8, "base"), join(models, "base"), { recursive: true, dereference: true });
  for (const task of ["mnist", "letters"])
    await cp(join(MINI8, "experts", task), join(models, `base_${task}`), { recursive: true, dereference: true });
  await serve("mnist", "mnist@refs+convert+parquet", (split) => join("default", split, "0000.parquet"));
  await mkdir(join(folder, "served", "datasets", "adamerge", "mnist"), { recursive: true });
  await serve("letters", "letters", (split) => join("cropped", `${split}-00000-of-00001.parquet`));
  await serve("letters", "letters", (split) => join("full", `${split}-00000-of-00001.parquet`));
  hub = await startFakeHub(join(folder, "served"));
  const suite = parse(await readFile(join(MINI8, "suite.yaml"), "utf8"));
  for (const { name, classes, head } of suite.tasks.filter(
    ({ name }: { name: string }) => name === "mnist" || name === "letters",
  )) {
    const place =
      name === "mnist"
        ? { path: "adamerge/mnist@refs/convert/parquet" }
        : { path: "adamerge/letters", config: "cropped" };
    const splits = { adapt: { of: "train", except_every: 10 }, val: { of: "train", every: 10 } };
    const dataset = { ...place, splits, labels: "number" };
    await mkdir(join(folder, "tasks"), { recursive: true });
    const definition = { dataset, images: { train: 1000, test: 1000 }, classes, head: join(MINI8, head) };
    await writeFile(join(folder, "tasks", `${name}.yaml`), stringify(definition));
  }
  const { logit_scale } = suite;
  const tasks = ["mnist", "letters"].map((name) => ({
    name,
    definition: `tasks/${name}.yaml`,
    expert: `adamerge/base_${name}`,
  }));
  await writeFile(join(folder, "suite.yaml"), stringify({ name: "public", base: "adamerge/base", logit_scale, tasks }));
  await writeFile(join(folder, "run.yaml"), "suite: suite.yaml\n");
});
afterAll(() => hub.close());

function run(line: string) {
  const places = { HF_HUB_CACHE: join(folder, "hub"), ADAMERGE_CACHE: join(folder, "cache") };
  return runInProcess(folder, line, { HF_ENDPOINT: hub.url, ...places });
}

test("a pull takes the split that a part is of, once, and only of the config", async () => {
  const { code, stdout } = await run("pull suite.yaml --dry-run --json");
  expect(code).toBe(0);
  const rows: { repository: string; files: number }[] = JSON.parse(stdout);
  const files = Object.fromEntries(rows.map(({ repository, files }) => [repository, files]));
  expect(files["adamerge/mnist@refs/convert/parquet"]).toBe(2);
  expect(files["adamerge/letters"]).toBe(2);
});

test("val is every tenth image, adapt the others, by name of the run", async () => {
  const pulled = await run("pull suite.yaml");
  expect(pulled.stderr).not.toContain("adamerge:");
  const { stdout, stderr } = await run("eval run.yaml data.eval_split=val --method weight_averaging --json --offline");
  expect(stderr).not.toContain("adamerge:");
  for (const percent of Object.values<number>(JSON.parse(stdout).tasks)) expect(percent % 1).toBeCloseTo(0, 9);
  const [task] = (await openSuite(join(folder, "suite.yaml"))).tasks;
  if (task === undefined) return expect.fail("no task");
  const settings = { endpoint: hub.url, cacheDir: join(folder, "hub"), token: undefined, tokenPath: "", offline: true };
  const connected = { ...settings, fetch, signal: new AbortController().signal, log: () => {} };
  const sizes = await Promise.all(
    ["adapt", "val", "test"].map(
      async (split) => (await openDataset({ kind: "image", ...(await taskDataset(task, split, connected)) })).size,
    ),
  );
  expect(sizes).toEqual([900, 100, 1000]);
});
