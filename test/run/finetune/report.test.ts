/** What a fine-tuning tells of itself: its page, an MLflow server, a program's tracker. */
import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { finetune, resumeFinetune } from "../../../src/library/finetune.js";
import { compareRuns, report, sync } from "../../../src/library/runs.js";
import type { WorkOptions } from "../../../src/library/work-options.js";
import { temporaryFolder } from "../../support/cli.js";
import { type FakeMlflow, type FakeRun, startFakeMlflow } from "../../support/fake-mlflow.js";
import { runInProcess } from "../../support/in-process-cli.js";
import { writeImageSuite } from "../../support/tiny-image-suite.js";
import { writeTextSuite } from "../../support/tiny-text-suite.js";

let root = "";
let server: FakeMlflow;
const SMALL = { batch_size: 4, threads: 1, device: "cpu", steps: 4, "eval.every": 2, "eval.share": 0.34 };

beforeAll(async () => {
  root = await temporaryFolder();
  server = await startFakeMlflow();
  await writeTextSuite(join(root, "texts"));
  await writeImageSuite(join(root, "images"));
  const place = join(root, "texts", "texts", "thirds");
  await cp(join(place, "adapt.csv"), join(place, "train.csv"));
  await rm(join(place, "adapt.csv"));
}, 60_000);
afterAll(() => server.close());

const texts = (): [string, string] => [join(root, "texts", "models", "base"), join(root, "texts", "texts", "thirds")];
const work = (more: WorkOptions = {}): WorkOptions => ({ cwd: root, cacheDir: join(root, "cache"), env: {}, ...more });
const theRun = (name: string): FakeRun => {
  const [run, ...others] = [...server.runs.values()].filter((one) => one.name === name);
  if (run === undefined || others.length > 0) throw new Error(`${others.length + 1} runs ${name}`);
  return run;
};
const points = (run: FakeRun, key: string) => run.metrics.get(key)?.map(({ step }) => step) ?? [];

/** The page without its style, script and drawings. */
async function pageOf(run: string): Promise<string> {
  const text = await readFile(join(run, "report.html"), "utf8");
  return text.replaceAll(/<(style|script|svg)[\s>].*?<\/\1>/gs, "");
}

describe("the page", () => {
  it("of texts has curves, classes and what was taken for another class, and is the same when it is made again", async () => {
    const settings = { ...SMALL, "optimizer.learning_rate": 1e-4, report_examples: 2 };
    const { runPath, accuracyPercent } = await finetune(...texts(), { ...work(), settings });
    expect((await readdir(join(runPath, "figures"))).filter((name) => name.endsWith(".svg")).toSorted()).toEqual([
      ...["confusion.svg", "held-out.svg", "learning-rate.svg", "training-loss.svg"],
    ]);
    const page = await pageOf(runPath);
    expect(page).toContain('<p class="kind">Fine-tuning</p>');
    expect(page).toContain(`<dd class="value">${accuracyPercent.test?.toFixed(1)}\u00a0%</dd>`);
    expect(page).toMatch(/base fine-tuned on thirds, 3 classes: all weights, a linear head, 4 of 4 steps/);
    const judged = JSON.parse(await readFile(join(runPath, "judged.json"), "utf8"));
    const hits = judged.labels.filter((label: number, index: number) => judged.predictions[index] === label);
    expect((100 * hits.length) / judged.labels.length).toBeCloseTo(accuracyPercent.held ?? Number.NaN, 10);
    // The counts of classes add up to what is judged.
    const counts = [...page.matchAll(/<th scope="row">class \d<\/th><td data-kind="number"[^>]*>(\d+)<\/td>/g)];
    expect(counts.reduce((sum, [, count]) => sum + Number(count), 0)).toBe(judged.labels.length);
    const wrong = judged.labels.length - hits.length;
    expect(page.split('<figure class="lost">').length - 1).toBe(Math.min(2, wrong));
    expect(wrong).toBeGreaterThan(0);
    const [shown] = judged.shown;
    expect(page).toContain(shown.text);
    expect(page.replaceAll("<wbr>", "")).toMatch(/optimizer\.learning_rate<\/th><td>0\.0001<\/td><td>null<\/td>/);
    const before = await readFile(join(runPath, "report.html"), "utf8");
    await report(runPath, work());
    expect(await readFile(join(runPath, "report.html"), "utf8")).toBe(before);
  });

  it("of images has pictures; of a share that is held out, those of its rows", async () => {
    const data = join(root, "images", "images", "colours", "test");
    const settings = { ...SMALL, "eval.share": 0.25, "head.start": "normal" };
    const { runPath } = await finetune(join(root, "images", "base"), data, { ...work(), settings });
    const { shown, labels, classes } = JSON.parse(await readFile(join(runPath, "judged.json"), "utf8"));
    expect(labels).toHaveLength(9);
    expect((await pageOf(runPath)).split("data:image/png;base64").length - 1).toBe(shown.length);
    for (const { row, label } of shown) expect(label).toBe(classes[Math.floor(row / 12)]);
    const { data: records } = JSON.parse(await readFile(join(runPath, "environment.json"), "utf8"));
    expect(records.map((one: { split: string; use: string; examples: number }) => [one.use, one.examples])).toEqual([
      ["trained on", 27],
      ["held out", 9],
    ]);
  });
});

it("names the classes of which nothing is held out, in the log and on the page", async () => {
  const [base] = texts();
  const file = join(root, "rare.csv");
  const rows = "abcdefghijkl".split("").map((letter, at) => `${letter},${at % 2 === 0 ? "even" : "odd"}\n`);
  await writeFile(file, `text,label\n${rows.join("")}z,rare <one>\n`);
  const said: string[] = [];
  const { runPath } = await finetune(base, file, { ...work({ log: (line) => said.push(line) }), settings: SMALL });
  const notice = "texts of a class are held out, so that accuracies there say nothing of it: rare";
  expect(said.filter((line) => line.includes(`no ${notice} <one>`))).toHaveLength(1);
  expect((await pageOf(runPath)).split(`<p class="warning">No ${notice} &lt;one&gt;.</p>`)).toHaveLength(2);
});

describe("a server", () => {
  it("has params, tags, points, data sets, files and the model; a run that was stopped is one run there", async () => {
    const settings = { ...SMALL, name: "told", log_model: true, register_model: "expert", checkpoint_every: 1 };
    const abort = new AbortController();
    const stopped = await finetune(...texts(), {
      ...work({ tracking: server.uri, signal: abort.signal }),
      onEvent: (event) => {
        if (event.type === "finetune step" && event.step === 3) abort.abort();
      },
      settings,
    });
    expect(theRun("told").status).toBe("KILLED");
    const { accuracyPercent } = await resumeFinetune(stopped.runPath, work({ tracking: server.uri }));
    const run = theRun("told");
    expect(server.experiments.has("finetune")).toBe(true);
    expect(run.status).toBe("FINISHED");
    expect(run.params.get("batch_size")).toBe("4");
    expect(run.params.get("lora.rank")).toBe("0");
    expect(run.tags.get("adamerge.trained")).toBe("all weights");
    expect(run.tags.get("mlflow.note.content")).toMatch(/accuracy on the texts held out.*before the training/);
    expect(points(run, "train/loss")).toEqual([1, 2, 3, 4]);
    expect(points(run, "eval/acc")).toEqual([0, 2, 4]);
    expect(run.metrics.get("saved/acc")?.map(({ value }) => value)).toEqual([accuracyPercent.held]);
    expect([...run.inputs].map(([name, { context }]) => [name, context])).toEqual([
      ["thirds/train", "training"],
      ["thirds/held-out", "validation"],
      ["thirds/test", "evaluation"],
    ]);
    const files = [...server.artifacts.keys()].map((name) => name.replace(/^.*\/(?:artifacts|files)\//, ""));
    for (const name of ["report.html", "figures/held-out.svg", "metrics.jsonl", "config.yaml"])
      expect(files).toContain(name);
    const [model] = [...(server.models?.values() ?? [])];
    expect(model).toMatchObject({ name: "told", status: "LOGGED_MODEL_READY", step: 4 });
    expect(model?.metrics.get("eval/acc@4")).toContain("thirds/held-out");
    expect(server.registry.get("expert")).toHaveLength(1);
    const [again] = await sync(stopped.runPath, work({ tracking: server.uri }));
    expect(again).toMatchObject({ points: 0, files: 0 });
  });

  it("of a program's own is told which kind of run it follows; nothing else is written where nobody wants a page", async () => {
    const seen: string[] = [];
    const { reason, runPath } = await finetune(...texts(), {
      ...work({
        tracking: {
          track: ({ kind, config }) => ({
            notify: ({ type }) => void seen.push(type),
            finish: async () => void seen.push(`${kind} ${config.steps}`),
          }),
        },
      }),
      settings: { ...SMALL, steps: 2, name: "followed", save_report: false },
    });
    expect(reason).toBe("finished");
    expect(seen).toEqual([
      ...["finetune evaluation", "finetune step", "finetune step", "finetune evaluation", "finetune 2"],
    ]);
    expect(await readdir(runPath)).not.toContain("report.html");
    const refused = await runInProcess(root, "fit --resume runs/finetune/followed", {});
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expect(refused.stderr).toMatch(/expected a run of `adamerge fit`, found one of `adamerge finetune`/);
    const compared = await compareRuns([runPath, join(root, "runs", "finetune", "thirds")], work());
    expect(compared).toBe(join(root, "runs", "finetune", "comparison.html"));
    const page = (await readFile(compared, "utf8")).replaceAll("<wbr>", "");
    expect(page).toContain("2 fine-tunings compared");
    for (const name of ["followed", "thirds"]) expect(page).toContain(`<th scope="row">${name}</th>`);
    // The settings in which they differ.
    expect(page).toMatch(/<td[^>]*>0\.0001<\/td>/);
  });
});
