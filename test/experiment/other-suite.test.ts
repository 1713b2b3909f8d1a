/** An experiment on another suite than its own, whose tasks are defined in files of their own. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { reproduce } from "../../src/experiment/reproduce.js";
import { ROOT, temporaryFolder } from "../support/cli.js";
import { runInProcess } from "../support/in-process-cli.js";

const MINI8 = join(ROOT, "datasets", "mini8");
const TASKS = ["mnist", "letters"];
let folder: string;

interface Described {
  name: string;
  expert: string;
  [key: string]: unknown;
}

/** mini8 cut to `names`, with absolute paths. */
async function cutSuite(names: readonly string[]): Promise<{ base: string; logit_scale: number; tasks: Described[] }> {
  const { base, logit_scale, tasks } = parse(await readFile(join(MINI8, "suite.yaml"), "utf8"));
  const absolute = (task: Described & { dataset: string; head: string }): Described => ({
    ...task,
    expert: join(MINI8, task.expert),
    dataset: join(MINI8, task.dataset),
    head: join(MINI8, task.head),
  });
  const kept = tasks.filter(({ name }: Described) => names.includes(name)).map(absolute);
  return { base: join(MINI8, base), logit_scale, tasks: kept };
}

beforeAll(async () => {
  folder = await temporaryFolder();
  for (const [file, names] of [
    ["own", TASKS],
    ["three", [...TASKS, "thai"]],
  ] as const)
    await writeFile(join(folder, `${file}.yaml`), stringify({ name: file, ...(await cutSuite(names)) }));
  const { tasks, ...suite } = await cutSuite(TASKS);
  for (const { name, expert: _, ...definition } of tasks) {
    const dataset = { path: definition.dataset, splits: { val: { of: "test", every: 10 } }, labels: "number" };
    await writeFile(join(folder, `${name}.yaml`), stringify({ ...definition, dataset, images: { test: 1000 } }));
  }
  const short = tasks.map(({ name, expert }) => ({ name, expert, definition: `${name}.yaml` }));
  await writeFile(join(folder, "defined.yaml"), stringify({ name: "defined", ...suite, tasks: short }));
  await writeFile(
    join(folder, "small.yaml"),
    `title: Small
config: run.yaml
suites: [own.yaml]
adaptation: [{ name: transductive }]
rows:
  - { name: weight_averaging, method: weight_averaging }
  - { name: other, method: weight_averaging, suites: [own.yaml, own.yaml] }
`,
  );
  await writeFile(join(folder, "run.yaml"), "suite: own.yaml\n");
});

const run = (suite: string | undefined, overrides: readonly string[] = [], dryRun = false) =>
  reproduce({
    experiment: join(folder, "small.yaml"),
    experimentsDir: folder,
    ...(suite === undefined ? {} : { suite: join(folder, suite) }),
    presetsDir: join(ROOT, "configs", "presets"),
    cwd: folder,
    overrides: ["data.eval_limit=60", ...overrides],
    output: join(folder, "runs"),
    cacheDir: join(folder, "cache"),
    jobs: 1,
    dryRun,
    search: false,
    signal: new AbortController().signal,
    log: () => {},
  });

describe("an experiment on another suite", () => {
  it("has all its rows there, and the same results where the same things are", async () => {
    const own = await run(undefined);
    const there = await run("defined.yaml");
    expect(there.table.rows.map(({ method, runs }) => [method, runs])).toEqual([
      ["weight_averaging", 1],
      ["other", 1],
    ]);
    // Other files: nothing is taken from the results of the experiment's own suite.
    expect(there.kept).toBe(0);
    for (const row of there.table.rows) expect(row.tasks).toEqual(own.table.rows[0]?.tasks);
    expect((await run("defined.yaml")).computed).toBe(0);
  });

  it("judges the part of a split that a definition calls val", async () => {
    const [row] = (await run("defined.yaml", ["data.eval_split=val", "data.eval_limit=null"])).table.rows;
    // 100 of the 1,000 images, where mini8's own val has 500: accuracies are whole percents.
    for (const percent of Object.values(row?.tasks ?? { none: 0.5 })) expect(percent % 1).toBeCloseTo(0, 9);
  });

  it("computes again when a definition changes", async () => {
    expect((await run("defined.yaml", [], true)).missing).toBe(0);
    const file = join(folder, "letters.yaml");
    const text = await readFile(file, "utf8");
    await writeFile(file, text.replace("licence: ", "licence: not "));
    expect((await run("defined.yaml", [], true)).missing).toBe(2);
    await writeFile(file, text.replace("test: 1000", "test: 999"));
    await expect(run("defined.yaml")).rejects.toThrow(/task letters: .*expected 999 images in split test .*found 1000/);
    await writeFile(file, text);
  });

  it("needs the same tasks: others are listed", async () => {
    await expect(run("three.yaml", [], true)).rejects.toThrow(
      `--suite ${join(folder, "three.yaml")}: expected the tasks of ${join(folder, "own.yaml")} (mnist, letters), found thai beside them`,
    );
    const file = join(folder, "small.yaml");
    const text = await readFile(file, "utf8");
    await writeFile(file, text.replace("suites: [own.yaml, own.yaml]", "suites: [three.yaml]"));
    await expect(run("own.yaml", [], true)).rejects.toThrow(
      /expected the tasks of .*three.yaml \(.*\), found none called thai/,
    );
    await writeFile(file, text);
  });

  it("is asked for on the command line, where help says what it is", async () => {
    const env = { ADAMERGE_CACHE: join(folder, "cache"), COLUMNS: "120" };
    const cli = async (line: string) => {
      const { code, stdout, stderr } = await runInProcess(folder, line, env);
      return { code, out: stdout + stderr };
    };
    const help = await cli("reproduce --help");
    expect(help.code).toBe(0);
    expect(help.out.replaceAll(/\s+/g, " ")).toContain(
      "--suite Suite with tasks of the same names, for all rows instead of the",
    );
    const line = "reproduce small.yaml data.eval_limit=60 --dry-run --suite";
    const other = await cli(`${line} three.yaml`);
    expect(other.code).toBe(2);
    expect(other.out).toContain("found thai beside them");
    const defined = await cli(`${line} defined.yaml`);
    expect(defined.code).toBe(0);
    expect(defined.out).toContain("small: 2 cells, 2 on disk, 0 to compute");
  });
});
