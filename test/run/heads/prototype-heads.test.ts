/** Heads made from labelled images in a suite of a person's own: accuracy, cache, errors. */
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { parseRunConfig } from "../../../src/config/load.js";
import { openSuite } from "../../../src/data/suite.js";
import { evaluateMethod } from "../../../src/run/judge/evaluate-method.js";
import { withSession } from "../../../src/run/session/session.js";
import { temporaryFolder } from "../../support/cli.js";
import { MINI8, mini8Task, writeImages } from "../../support/mini8-files.js";

const TASKS = ["mnist", "letters"];
let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
});

interface Changes {
  readonly split?: string;
  readonly model?: "expert" | "base";
  readonly logitScale?: number;
}

/** A suite file with prototypes instead of mini8's heads. */
async function suiteOf(name: string, { split = "adapt", model, logitScale }: Changes = {}): Promise<string> {
  const tasks = await Promise.all(
    TASKS.map(async (task) => {
      const { dataset, expert, classes } = await mini8Task(task);
      const prototypes = { split, ...(model === undefined ? {} : { model }) };
      return { name: task, dataset, expert, head: { prototypes }, classes: [...classes] };
    }),
  );
  const file = join(folder, `${name}.yaml`);
  const scale = logitScale === undefined ? {} : { logit_scale: logitScale };
  await writeFile(file, stringify({ name, base: join(MINI8, "base"), ...scale, tasks }));
  return file;
}

const configOf = (suite: string, evalSplit = "val") =>
  parseRunConfig({ suite, data: { adapt_split: "adapt", eval_split: evalSplit } });
const options = (lines: string[] = []) => ({
  cacheDir: join(folder, "cache"),
  signal: new AbortController().signal,
  log: (line: string) => void lines.push(line),
  detail: (line: string) => void lines.push(line),
});
const individual = { kind: "method", name: "individual", settings: {} } as const;

describe("heads from class prototypes", () => {
  it("serve the experts about as well as their own heads, better than prototypes of the base", async () => {
    const row = async (suite: string) => (await evaluateMethod(configOf(suite), individual, options())).row.tasks;
    const own = await row(MINI8);
    const ofExpert = await row(await suiteOf("expert"));
    const ofBase = await row(await suiteOf("base", { model: "base" }));
    for (const task of TASKS) {
      expect(ofExpert[task]).toBeGreaterThan((own[task] ?? 100) - 3);
      expect(ofExpert[task]).toBeGreaterThan((ofBase[task] ?? 100) - 1);
    }
  });

  it("are built once, are the same bits from the cache, and are built again when it is damaged", async () => {
    const suite = await suiteOf("cached");
    const heads = join(folder, "cache", "heads");
    await rm(heads, { recursive: true, force: true });
    const read = async (lines: string[]) =>
      withSession(configOf(suite), options(lines), async ({ inputs }) => inputs.heads);
    const first: string[] = [];
    const built = await read(first);
    expect(first.filter((line) => line.includes("prototypes of"))).toHaveLength(TASKS.length);
    expect(built[0]?.logitScale).toBeGreaterThan(1);
    const again: string[] = [];
    expect(await read(again)).toEqual(built);
    expect(again.filter((line) => line.includes("prototypes of"))).toEqual([]);
    const [name = ""] = await readdir(heads);
    await writeFile(join(heads, name), (await readFile(join(heads, name))).subarray(0, 100));
    const repaired: string[] = [];
    expect(await read(repaired)).toEqual(built);
    expect(repaired.filter((line) => line.includes("prototypes of"))).toHaveLength(1);
    const scaled = await withSession(
      configOf(await suiteOf("scaled", { logitScale: 8.5 })),
      options(),
      async ({ inputs }) => inputs.heads,
    );
    // The suite's scale is for heads that have none.
    expect(scaled).toEqual(built);
  });

  it("warn when the labels in them are judged too", async () => {
    const suite = await suiteOf("judged", { split: "val" });
    const lines: string[] = [];
    await evaluateMethod(configOf(suite), individual, options(lines));
    expect(lines.join("\n")).toMatch(/the head of mnist is made from the labels of split val, which is judged too/);
  });

  it("need an image of every class", async () => {
    const images = await writeImages(join(folder, "few"), "mnist", "adapt", 80, (index) => `${index}.png`);
    const rows = images.map(({ path, label }) => `${path},${label},${label === "3" ? "rest" : "adapt"}\n`);
    await writeFile(join(folder, "few", "manifest.csv"), `path,label,split\n${rows.join("")}`);
    const suite = await suiteOf("few-images");
    const text = await readFile(suite, "utf8");
    await writeFile(suite, text.replace(/dataset: .*mnist/, "dataset: few"));
    await expect(evaluateMethod(configOf(suite), individual, options())).rejects.toThrow(
      "task mnist: few, split adapt: expected an image of every class for the head's prototypes, found none of 3; add images of them",
    );
  });

  it("are a section that says what it may hold", async () => {
    const suite = await suiteOf("misspelt");
    const text = await readFile(suite, "utf8");
    await writeFile(suite, text.replace("prototypes:", "prototype:"));
    await expect(openSuite(suite)).rejects.toThrow(
      /tasks\.0\.head: .*a path or a section with prototypes, zero_shot or classifier/,
    );
  });
});
