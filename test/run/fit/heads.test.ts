/**
 * Heads that are learned, on a tiny suite of texts: alone, with what is merged and in stages; stopped and resumed; saved and asked again; and what of
 * such a run is refused.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { loadRunConfig } from "../../../src/config/load.js";
import { evaluateModel } from "../../../src/library/evaluate-model.js";
import { openHeadFile } from "../../../src/model/head-file.js";
import type { TrainEvent } from "../../../src/optimize/events.js";
import { mergeToDirectory } from "../../../src/run/coefficients/merge-to-directory.js";
import { writeClassifier } from "../../../src/run/export-classifier/classifier.js";
import { fit } from "../../../src/run/fit/fit.js";
import { stoppedRun } from "../../../src/run/fit/fit-folder.js";
import { learningBytes } from "../../../src/run/fit/fit-needs.js";
import { planFit } from "../../../src/run/fit/plan-fit.js";
import { evaluateMethod } from "../../../src/run/judge/evaluate-method.js";
import { ROOT, temporaryFolder } from "../../support/cli.js";
import { TEXT_TASKS, writeTextSuite } from "../../support/tiny-text-suite.js";

const TASKS = Object.keys(TEXT_TASKS);
const LEARNED = ["objective.name=expert_divergence", "heads_learning_rate=0.01", "save_report=false"];
let root: string;
beforeAll(async () => {
  root = await temporaryFolder();
  await writeTextSuite(root);
});

async function configOf(...overrides: readonly string[]) {
  const presetsDir = join(ROOT, "configs", "presets");
  return (await loadRunConfig(join(root, "config.yaml"), overrides, { presetsDir, cwd: root })).config;
}

const work = (signal = new AbortController().signal) => ({ cacheDir: join(root, "cache"), signal, log: () => {} });

async function run(name: string, overrides: readonly string[], after?: number) {
  const config = await configOf(`name=${name}`, "data.eval_every=2", "checkpoint_every=2", ...LEARNED, ...overrides);
  const abort = new AbortController();
  const onEvent = (event: TrainEvent) => {
    if (event.type === "step" && event.step === after) abort.abort();
  };
  return { config, ...(await fit(config, { ...work(abort.signal), overwrite: false, onEvent })) };
}

async function resumed(runPath: string) {
  const { config } = await stoppedRun(runPath);
  return fit(config, { ...work(), overwrite: false, onEvent: () => {}, resume: runPath });
}

/** What a run learned, in bytes. */
async function outcome(runPath: string): Promise<Record<string, string>> {
  const heads = (await readdir(join(runPath, "model", "heads"))).map((name) => join("model", "heads", name));
  const files = ["coefficients.json", "predictions.json", "trajectory.jsonl", "model/model.safetensors", ...heads];
  const read = async (name: string) => [name, (await readFile(join(runPath, name))).toString("base64")] as const;
  return Object.fromEntries(await Promise.all(files.map(read)));
}

const savedHead = async (runPath: string, task: string) =>
  (await openHeadFile(join(runPath, "model", "heads", `${task}.safetensors`))).read(task);

const card = (runPath: string) => readFile(join(runPath, "README.md"), "utf8");

const STAGES =
  "stages=[{heads: trained, steps: 2}, {parametrisation: all_weights, steps: 2, learning_rate: 0.001}, " +
  "{parametrisation: none, heads: surgery, steps: 3, objective: {name: feature_l1}}]";

describe("heads that are learned with coefficients", () => {
  let whole: Awaited<ReturnType<typeof run>>;
  beforeAll(async () => {
    whole = await run("trained", ["heads=trained", "steps=5"]);
  });

  it("differ from the suite's and are saved with the model, which answers as it was judged", async () => {
    const frozen = await run("frozen", ["steps=5"]);
    for (const task of TASKS) {
      const [own, before] = [await savedHead(whole.runPath, task), await savedHead(frozen.runPath, task)];
      expect(own.weight).not.toEqual(before.weight);
      expect(own.logitScale).toBe(before.logitScale);
    }
    const [row] = whole.table.slice(-1);
    expect(row?.method).toBe("layer_wise_heads_expert");
    const answered = await evaluateModel(whole.runPath, { cwd: root, suite: root, cacheDir: join(root, "cache") });
    expect(answered.row.tasks).toEqual(row?.tasks);
    const numbers = TASKS.map((task) => savedHead(whole.runPath, task));
    const bytes = (await Promise.all(numbers)).reduce(
      (sum, { weight, bias }) => sum + 4 * (weight.length + bias.length),
      0,
    );
    expect(whole.headBytes).toBe(bytes);
    expect(frozen.headBytes).toBe(0);
    expect(await card(whole.runPath)).toMatch(
      new RegExp(
        `With them weights of heads were learned .*They are ${bytes.toLocaleString("en-US")} bytes .*must be known`,
        "s",
      ),
    );
    expect(await card(frozen.runPath)).not.toMatch(/of heads were learned/);
    expect(await readdir(join(frozen.runPath, "checkpoints", "step-000005"))).not.toContain("heads.f64");
  });

  it.each([3])("resume after step %d to the bit", async (step) => {
    const stopped = await run(`trained-${step}`, ["heads=trained", "steps=5"], step);
    expect(stopped.reason).toBe("interrupted");
    await resumed(stopped.runPath);
    expect(await outcome(stopped.runPath)).toEqual(await outcome(whole.runPath));
  });

  it("compare with models under the suite's own heads", async () => {
    const judge = async (name: string) => {
      const method = { kind: "method", name, settings: {} } as const;
      return (await evaluateMethod(await configOf("heads=trained"), method, work())).row.tasks;
    };
    // All but the start and the learned model, which no method makes.
    for (const row of whole.table.slice(0, -2)) expect(row.tasks, row.method).toEqual(await judge(row.method));
  });

  it("are not in the coefficients, which are refused alone", async () => {
    const { config, runPath } = whole;
    const file = join(runPath, "coefficients.json");
    const message = /learned heads too \(heads trained\), which the file does not have; use the `model` folder/;
    await expect(mergeToDirectory(config, file, join(root, "refused"), work())).rejects.toThrow(message);
    const method = { kind: "coefficients", path: file } as const;
    await expect(evaluateMethod(config, method, work())).rejects.toThrow(message);
  });

  it("end at the best look with its heads", async () => {
    const rule = ["stopping.rule=disagreement", "stopping.every=1", "stopping.examples=4", "stopping.patience=9"];
    const own = ["heads=trained", "steps=4", "heads_learning_rate=0.5", "optimizer.learning_rate=0.3", ...rule];
    const straight = await run("stopping", own);
    const stopped = await run("stopping-stopped", own, 3);
    await resumed(stopped.runPath);
    expect(await outcome(stopped.runPath)).toEqual(await outcome(straight.runPath));
    const { stopping } = JSON.parse(await readFile(join(straight.runPath, "summary.json"), "utf8"));
    const short = await run("stopping-short", [...own, `steps=${Math.max(1, stopping.bestStep)}`]);
    const best = JSON.parse(await readFile(join(short.runPath, "summary.json"), "utf8")).stopping;
    expect(best.bestStep).toBe(stopping.bestStep);
    for (const task of TASKS)
      expect(await savedHead(straight.runPath, task)).toEqual(await savedHead(short.runPath, task));
  });
});

describe("in stages", () => {
  let whole: Awaited<ReturnType<typeof run>>;
  beforeAll(async () => {
    whole = await run("stages", [STAGES]);
  });

  it("each goes on with the heads of the former, and adapters come last", async () => {
    expect(whole.table.at(-1)?.method).toBe("layer_wise_heads_then_all_weights_then_surgery_feature_l1");
    const before = await run("stages-two", [STAGES.replace(/, \{parametrisation: none.*/, "]")]);
    const first = await run("stages-one", ["heads=trained", "steps=2", "optimizer.schedule=constant"]);
    for (const task of TASKS) {
      const own = await savedHead(whole.runPath, task);
      expect(own.weight).toEqual((await savedHead(before.runPath, task)).weight);
      expect(own.weight).toEqual((await savedHead(first.runPath, task)).weight);
      expect(own.adapter?.up.some((value) => value !== 0)).toBe(true);
    }
    const answered = await evaluateModel(whole.runPath, { cwd: root, suite: root, cacheDir: join(root, "cache") });
    expect(answered.row.tasks).toEqual(whole.table.at(-1)?.tasks);
    expect(await card(whole.runPath)).toMatch(/features - up relu\(down features\).* bytes .* must be known/);
    expect(await card(whole.runPath)).toContain('head.get_tensor("adapter.up")');
  });

  it.each([3, 6])("resume after step %d to the bit", async (step) => {
    const stopped = await run(`stages-${step}`, [STAGES], step);
    await resumed(stopped.runPath);
    expect(await outcome(stopped.runPath)).toEqual(await outcome(whole.runPath));
  });

  it("are refused by what has no place for an adapter", async () => {
    const [task = ""] = TASKS;
    const onto = { task, overwrite: false, notice: () => {} };
    await expect(writeClassifier(whole.runPath, join(root, "classifier"), onto)).rejects.toThrow(
      /found an adapter before the head of .* \(heads surgery\), which no class of transformers has/,
    );
  });
});

describe("heads alone", () => {
  it("leave the weights as they start", async () => {
    const own = ["parametrisation=none", "heads=trained", "coefficients.initial=0.4", "steps=3"];
    const { runPath, table } = await run("alone", own);
    expect(table.at(-1)?.method).toBe("heads_expert");
    const merged = await run("start", ["coefficients.initial=0.4", "steps=1", "optimizer.learning_rate=1e-12"]);
    const weights = (path: string) => readFile(join(path, "model", "model.safetensors"));
    expect(Buffer.compare(await weights(runPath), await weights(merged.runPath))).toBe(0);
  });

  it("learn from labels of so many examples a class", async () => {
    const own = ["parametrisation=none", "heads=trained", "objective.name=cross_entropy", "steps=2"];
    const { imagesUnique, table } = await run("labels", [...own, "data.adapt_per_class=2"]);
    expect(imagesUnique).toBe(2 * Object.values(TEXT_TASKS).flat().length);
    expect(table.at(-1)?.method).toBe("heads_labels");
  });

  it("are planned: their numbers, and memory within memory_gb", async () => {
    const config = await configOf("parametrisation=none", "heads=trained");
    const plan = await planFit(config, work());
    expect(plan.parameters).toBe("weights of heads");
    expect(plan.coefficients).toBeGreaterThan(0);
    const models = {
      model: { tensors: [], valuesPerExample: () => 0 },
      tasks: 2,
      heads: { classes: 5, featureSize: 16 },
    };
    const trained = learningBytes(config, models, false);
    const surgery = learningBytes({ ...config, heads: "surgery", heads_rank: 4 }, models, false);
    expect(trained).toBeGreaterThanOrEqual(5 * 17 * 8 * 6);
    expect(surgery - trained).toBeGreaterThanOrEqual(2 * 2 * 4 * 16 * 8 * 6);
  });
});

it.each([
  [
    ["parametrisation=none"],
    /parametrisation: expected something to learn, found parametrisation none with heads frozen/,
  ],
  [
    ["heads=trained", "objective.name=feature_l1"],
    /objective\.name: expected an objective of predictions with heads trained/,
  ],
  [["heads=surgery", "optimizer.sam.rho=0.1"], /optimizer\.sam\.rho: expected 0 with heads surgery, found 0\.1/],
  [["heads=trained", "data.gradient_images=4"], /data\.gradient_images: expected 0 with heads trained, found 4/],
  [["heads=bent"], /heads: expected one of frozen, trained, surgery/],
  [
    ["data.adapt_per_class=16"],
    /data\.adapt_per_class: expected null with objective\.name entropy, which reads no labels/,
  ],
  [
    ["data.adapt_per_class=16", "data.adapt_limit=9", "objective.name=cross_entropy"],
    /data\.adapt_per_class: expected null with data\.adapt_limit 9/,
  ],
  [
    ["stages=[{steps: 2}, {steps: 2, parametrisation: none}]"],
    /stages\.1\.parametrisation: stage 2: expected something to learn/,
  ],
])("refuses %j before work", async (overrides, message) => {
  await expect(configOf(...overrides)).rejects.toThrow(message);
});

it("refuses adapters of a higher rank than the features", async () => {
  await expect(run("rank", ["heads=surgery", "heads_rank=99"])).rejects.toThrow(/heads_rank: expected at most 16/);
});
