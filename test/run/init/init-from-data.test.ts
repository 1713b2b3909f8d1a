/**
 * From a base and labelled tables to a merged model in two commands: experts are trained one after the other, kept when
 * they are done, resumed when they were stopped, and no text is in two parts.
 */
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { parse } from "yaml";
import { type InitOptions, init } from "../../../src/library/init.js";
import { temporaryFolder } from "../../support/cli.js";
import { runInProcess } from "../../support/in-process-cli.js";
import { writeTextSuite } from "../../support/tiny-text-suite.js";

let root = "";
let env: Readonly<Record<string, string>> = {};
const FINETUNE = [
  "batch_size=4",
  "steps=6",
  "threads=1",
  "device=cpu",
  "checkpoint_every=1",
  "optimizer.learning_rate=0.005",
];
const LETTERS = "abcdefghijklmnopqrstuvwxyz";

/** Texts of two or three letters, `each` of every class, whose first letter says the class; one is there twice. */
function table(classes: readonly string[], each: number): string {
  const rows = classes.flatMap((first, label) =>
    Array.from({ length: each }, (_, at) => `${first} ${LETTERS[at]} ${LETTERS[(7 * at) % 26]},kind ${LETTERS[label]}`),
  );
  return `text,label\n${[...rows, rows[0]].join("\n")}\n`;
}

beforeAll(async () => {
  root = await temporaryFolder();
  env = { ADAMERGE_CACHE: join(root, "cache") };
  await writeTextSuite(join(root, "texts"));
  await mkdir(join(root, "own"));
  await writeFile(join(root, "own", "vowels.csv"), table(["a", "z"], 20));
  await writeFile(join(root, "own", "thirds.csv"), table(["b", "k", "t"], 14));
}, 60_000);

const given = (more: Partial<InitOptions> = {}): InitOptions => ({
  ...{ cwd: root, cacheDir: join(root, "cache"), base: "texts/models/base", finetune: FINETUNE },
  ...{ texts: { vowels: "own/vowels.csv", thirds: "own/thirds.csv" }, ...more },
});

it("stops and goes on, and ends with a suite that a fit merges", async () => {
  const abort = new AbortController();
  let trainings = 0;
  const stopped = init("suite", {
    ...given({ signal: abort.signal }),
    onEvent: (event) => {
      if (event.type !== "progress" || event.what !== "training") return;
      if (event.done === 0) trainings += 1;
      // In the midst of the second expert.
      if (trainings === 2 && event.done === 3) abort.abort();
    },
  });
  await expect(stopped).rejects.toThrow();
  const place = join(root, "suite");
  await expect(stat(join(place, "suite.yaml"))).rejects.toThrow("ENOENT");
  const first = await stat(join(place, "runs", "finetune", "vowels", "model", "model.safetensors"));

  const words = FINETUNE.map((text) => `--finetune ${text}`).join(" ");
  const line = `init suite --base texts/models/base --texts vowels=own/vowels.csv --texts thirds=own/thirds.csv ${words}`;
  const made = await runInProcess(root, line, env);
  expect(made.stderr).toMatch(/finetune\/vowels: kept\n[\s\S]*finetune\/thirds: goes on after step 3 of 6/);
  expect(made.stdout).toMatch(/next: adamerge fit suite\/config\.yaml/);
  expect(made.code).toBe(0);
  // The finished expert was left alone.
  expect((await stat(join(place, "runs", "finetune", "vowels", "model", "model.safetensors"))).mtimeMs).toBe(
    first.mtimeMs,
  );

  const rows = (await readFile(join(place, "texts", "vowels", "manifest.csv"), "utf8")).trimEnd().split("\n").slice(1);
  expect(rows).toHaveLength(41);
  const parts = new Map<string, Set<string>>();
  for (const row of rows) {
    const [text = "", , split = ""] = row.split(",");
    parts.set(text, (parts.get(text) ?? new Set()).add(split));
  }
  expect([...parts.values()].every(({ size }) => size === 1)).toBe(true);
  expect(new Set([...parts.values()].flatMap((splits) => [...splits]))).toEqual(
    new Set(["train", "adapt", "val", "test"]),
  );
  const suite = parse(await readFile(join(place, "suite.yaml"), "utf8"));
  expect(suite.tasks[0]).toMatchObject({
    ...{ name: "vowels", expert: "runs/finetune/vowels/model", classes: ["kind a", "kind b"] },
    head: "runs/finetune/vowels/model/heads/vowels.safetensors",
  });

  const fitted = await runInProcess(
    root,
    "fit suite/config.yaml steps=2 threads=1 device=cpu data.batch_size=2 save_report=false",
    env,
  );
  expect(fitted.stdout).toMatch(/layer_wise_tsv_expert/);
  expect(fitted.stdout).toMatch(
    /over weight_averaging, in points \(95 % interval, paired by example\):\n.*\(.* to .*\)\n/,
  );
  expect(fitted.stdout).toMatch(/\n(learning paid: |learning did not pay: |no clear difference ).*\nrun: /);
  expect(fitted.code).toBe(0);

  // The config's processing is for what it learns: a method is the same here and in the table of the fit.
  const row = /^weight_averaging +([\d.]+)/m.exec(fitted.stdout)?.[1];
  const judged = await runInProcess(root, "eval suite/config.yaml --method weight_averaging threads=1 device=cpu", env);
  expect(judged.stdout).toMatch(new RegExp(`^weight_averaging +${row}`, "m"));
  expect(judged.stderr).toMatch(/methods take the task vectors as they are; task_vectors\.processing=tsv/);
}, 240_000);

it("takes the runs of finetune as experts, with their heads, but not to be judged on what they have learned from", async () => {
  const folder = join("suite", "runs", "finetune");
  const again = await runInProcess(
    root,
    `init again --base texts/models/base --expert ${folder} --texts suite/texts --preset paper`,
    env,
  );
  expect(again.stderr).not.toMatch(/warning: .*order/);
  const suite = parse(await readFile(join(root, "again", "suite.yaml"), "utf8"));
  expect(suite.tasks[1]).toMatchObject({
    ...{ name: "vowels", expert: join(root, folder, "vowels", "model") },
    head: join(root, folder, "vowels", "model", "heads", "vowels.safetensors"),
  });

  const tune = (name: string, more: string) =>
    runInProcess(root, `finetune texts/models/base own/${name}.csv ${FINETUNE.join(" ")} ${more}`, env);
  expect((await tune("vowels", "save_report=false")).code).toBe(0);
  const experts = { vowels: "runs/finetune/vowels", thirds: `${folder}/thirds/model` };
  await expect(init("leak", given({ finetune: undefined, experts }))).rejects.toThrow(
    /texts vowels: .*own\/vowels\.csv: expected examples that the expert has not learned from/,
  );
  const status = join(root, "runs", "finetune", "vowels", "status.json");
  await writeFile(status, (await readFile(status, "utf8")).replace("finished", "interrupted"));
  await expect(init("leak", given({ finetune: undefined, experts }))).rejects.toThrow(
    /vowels: .*expected a finished run, found one that is interrupted after step 6; .*finetune --resume/,
  );
}, 120_000);

it("refuses other settings than an expert was trained with, too few data sets, and what belongs to experts", async () => {
  const others = given({ finetune: [...FINETUNE, "seed=3"] });
  await expect(init("suite", others)).rejects.toThrow(/suite\.yaml: expected no such file yet/);
  for (const file of ["suite.yaml", "config.yaml"]) await rm(join(root, "suite", file));
  await expect(init("suite", others)).rejects.toThrow(
    /vowels: expected an expert that was trained with these settings/,
  );
  await expect(init("other", given({ texts: { vowels: "own/vowels.csv" } }))).rejects.toThrow(
    /labelled data of at least two tasks to make experts of, each once, found 1/,
  );
  await expect(init("other", given({ dryRun: true }))).rejects.toThrow(/dryRun: expected experts too, found none/);
  await writeFile(join(root, "own", "plain.csv"), "text\na b\nc d\n");
  await expect(init("other", given({ texts: { vowels: "own/vowels.csv", plain: "own/plain.csv" } }))).rejects.toThrow(
    /texts plain: .*expected labels .*since there is no expert of plain yet/,
  );
  // Nothing was trained for the data that came first.
  await expect(stat(join(root, "other", "runs"))).rejects.toThrow("ENOENT");
}, 60_000);
