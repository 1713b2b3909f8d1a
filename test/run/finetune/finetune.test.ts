/**
 * `adamerge finetune` from data to a saved model, on texts and images: what it learns is what its folder predicts, a run
 * that was stopped ends with the bits of one that was not, and bad input is refused with what to do.
 */
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../../src/checkpoint/checkpoint.js";
import { evaluateModel } from "../../../src/library/evaluate-model.js";
import { type FinetuneOptions, finetune, planFinetune, resumeFinetune } from "../../../src/library/finetune.js";
import { openHeadFile } from "../../../src/model/head-file.js";
import { openBase, openExpert } from "../../../src/model/open-models.js";
import { readKeptRecord } from "../../../src/optimize/fine-tune/kept-weights.js";
import { stateStep } from "../../../src/optimize/fine-tune/state.js";
import { temporaryFolder } from "../../support/cli.js";
import { runInProcess } from "../../support/in-process-cli.js";
import { writeImageSuite } from "../../support/tiny-image-suite.js";
import { writeTextSuite } from "../../support/tiny-text-suite.js";

let root = "";
const SMALL = {
  ...{ batch_size: 4, threads: 1, device: "cpu", steps: 12, "optimizer.learning_rate": 0.01 },
  // The page has tests of its own.
  save_report: false,
};

beforeAll(async () => {
  root = await temporaryFolder();
  await writeTextSuite(join(root, "texts"));
  await writeImageSuite(join(root, "images"));
  for (const task of ["thirds", "vowels"]) {
    const place = join(root, "texts", "texts", task);
    await cp(join(place, "adapt.csv"), join(place, "train.csv"));
    await rm(join(place, "adapt.csv"));
  }
}, 60_000);

const texts = (...path: string[]) => join(root, "texts", ...path);
const settings = (more: Readonly<Record<string, unknown>> = {}): FinetuneOptions => ({
  ...{ cwd: root, cacheDir: join(root, "cache"), settings: { ...SMALL, ...more } },
});
const lines = async (file: string): Promise<Record<string, number>[]> =>
  (await readFile(file, "utf8"))
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

async function tensorsOf(folder: string): Promise<Map<string, Float32Array>> {
  const checkpoint = await openCheckpoint(folder);
  const all = new Map<string, Float32Array>();
  for (const [name, { dtype }] of checkpoint.tensors)
    if (dtype === "F32") all.set(name, await checkpoint.readFloat32(name));
  return all;
}

describe("texts", () => {
  it("saves what was measured: the folder's head predicts as the training did, and a classifier of transformers is beside it", async () => {
    const result = await finetune(
      texts("models", "base"),
      texts("texts", "thirds"),
      settings({ batch_size: 9, steps: 20 }),
    );
    expect(result).toMatchObject({ task: "thirds", reason: "finished", step: 20, steps: 20 });
    expect(result.classes).toEqual(["class 0", "class 1", "class 2"]);
    const run = result.runPath;
    expect((await readdir(run)).filter((name) => !name.startsWith(".")).toSorted()).toEqual(
      [
        "classifier",
        "config.yaml",
        "environment.json",
        "metrics.jsonl",
        "model",
        "status.json",
        "summary.json",
      ].toSorted(),
    );
    const noted = await lines(join(run, "metrics.jsonl"));
    const losses = noted.flatMap((line) => line["train/loss"] ?? []);
    expect(losses).toHaveLength(20);
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(mean(losses.slice(-3))).toBeLessThan(0.8 * mean(losses.slice(0, 3)));
    // What the folder says by itself, by other code.
    const judged = await evaluateModel(run, {
      ...{ cwd: root, cacheDir: join(root, "cache"), device: "cpu", threads: 1 },
      data: { thirds: texts("texts", "thirds") },
    });
    expect(judged.row.tasks.thirds).toBe(result.accuracyPercent.test);
    const classifier = await openCheckpoint(join(run, "classifier"));
    expect(classifier.config).toMatchObject({
      architectures: ["BertForSequenceClassification"],
      id2label: { 0: "class 0", 1: "class 1", 2: "class 2" },
    });
    expect(await readFile(join(run, "model", "README.md"), "utf8")).toContain("| test | ");
    const [before, after] = [await tensorsOf(texts("models", "base")), await tensorsOf(join(run, "model"))];
    const same = [...after].filter(([name, values]) =>
      Buffer.from(values.buffer).equals(Buffer.from(before.get(name)?.buffer ?? new ArrayBuffer(0))),
    );
    // All weights have moved.
    expect(same.map(([name]) => name)).toEqual([]);
  });

  it("freezes what it is told to, trains no head of names, and takes one rate a block", async () => {
    const named = join(root, "named.csv");
    await writeFile(named, "text,label\na b c,a\nx y z,z\na c,a\ny z,z\n");
    const more = {
      name: "frozen",
      freeze: ["embeddings.*"],
      "optimizer.layer_decay": 0.5,
      steps: 1,
      "head.kind": "zero_shot",
    };
    const zeroShot = { ...more, "features.pooling": "mean", "features.normalize": true, "head.template": "{}" };
    const { runPath } = await finetune(texts("models", "base"), named, settings(zeroShot));
    const [before, after] = [await tensorsOf(texts("models", "base")), await tensorsOf(join(runPath, "model"))];
    expect(after.get("embeddings.word_embeddings.weight")).toEqual(before.get("embeddings.word_embeddings.weight"));
    const moved = (layer: number) => {
      const name = `encoder.layer.${layer}.output.dense.weight`;
      const own = after.get(name) ?? new Float32Array();
      return Math.max(...own.map((value, at) => Math.abs(value - (before.get(name)?.[at] ?? 0))));
    };
    // AdamW's first step moves elements by its rate.
    expect(moved(0) / moved(1)).toBeGreaterThan(0.48);
    expect(moved(0) / moved(1)).toBeLessThan(0.52);
    const head = await (await openHeadFile(join(runPath, "model", "heads", "named.safetensors"))).read("named");
    const row = head.weight.subarray(0, head.featureSize);
    expect(Math.hypot(...row)).toBeCloseTo(1, 5);
    await expect(finetune(texts("models", "base"), named, settings({ ...more, name: "other" }))).rejects.toThrow(
      /head\.kind: expected features of length 1 for a zero_shot head.*features\.pooling=mean/,
    );
  });

  it("learns LoRA: the adapter of the base is the saved model", async () => {
    const lora = {
      name: "lora",
      "lora.rank": 2,
      "lora.targets": ["*.query.weight", "*.value.weight"],
      "lora.dropout": 0.1,
    };
    const { runPath, saved } = await finetune(texts("models", "base"), texts("texts", "thirds"), settings(lora));
    const base = await openBase(texts("models", "base"));
    const adapted = await openExpert(saved?.adapter ?? "", base);
    const model = await tensorsOf(join(runPath, "model"));
    const before = await tensorsOf(texts("models", "base"));
    let moved = 0;
    for (const [name, values] of model) {
      const own = adapted.tensors.has(name) ? await adapted.readFloat32(name) : before.get(name);
      expect(Math.max(...values.map((value, at) => Math.abs(value - (own?.[at] ?? Number.NaN)))), name).toBeLessThan(
        1e-6,
      );
      if (values.some((value, at) => value !== before.get(name)?.[at])) moved += 1;
    }
    // Query and value of two layers.
    expect(moved).toBe(4);
    const config = JSON.parse(await readFile(join(runPath, "adapter", "adapter_config.json"), "utf8"));
    expect(config).toMatchObject({ r: 2, lora_alpha: 4, lora_dropout: 0.1, task_type: "FEATURE_EXTRACTION" });
    await expect(
      finetune(texts("models", "base"), texts("texts", "thirds"), settings({ name: "wide", "lora.rank": 17 })),
    ).rejects.toThrow(/lora\.rank: expected a whole number from 1 to 16.*found 17/);
  });
});

describe("images", () => {
  it("trains a tower of images under a drawn head, and says what a dry run would do without writing", async () => {
    const data = join(root, "images", "images", "colours", "test");
    const given = settings({
      name: "colours",
      "head.start": "normal",
      batch_size: 27,
      "optimizer.learning_rate": 1e-3,
      steps: 20,
      "eval.share": 0.25,
      "eval.every": 5,
      "eval.keep": "best",
    });
    const plan = await planFinetune(join(root, "images", "base"), data, given);
    expect(plan).toMatchObject({ task: "test", steps: 20, examples: { train: 27, held: 9, test: 0 } });
    const result = await finetune(join(root, "images", "base"), data, given);
    expect((await readdir(join(root, "runs", "finetune"))).includes("test")).toBe(false);
    const noted = await lines(join(result.runPath, "metrics.jsonl"));
    const accuracies = noted.flatMap((line) => (line["eval/acc"] === undefined ? [] : [[line.step, line["eval/acc"]]]));
    expect(accuracies.map(([step]) => step)).toEqual([0, 5, 10, 15, 20]);
    const best = Math.max(...accuracies.slice(1).map(([, value]) => value ?? 0));
    expect(result.accuracyPercent.held).toBe(best);
    expect(result.step).toBe(accuracies.slice(1).find(([, value]) => value === best)?.[0]);
    const losses = noted.flatMap((line) => line["train/loss"] ?? []);
    expect(losses.at(-1)).toBeLessThan(0.9 * (losses[0] ?? 0));
  });
});

describe("resuming", () => {
  const best = { steps: 8, checkpoint_every: 2, "eval.every": 1, "eval.keep": "best", "eval.share": 0.3 };
  const base = () => texts("models", "base");
  const data = () => texts("texts", "vowels");

  it.each(["aborted", "killed"])("of a run that was %s ends with the bits of one that was not", async (how) => {
    const whole = await finetune(base(), data(), settings({ ...best, name: `whole-${how}` }));
    const name = `stopped-${how}`;
    const abort = new AbortController();
    const stopped = finetune(base(), data(), {
      ...settings({ ...best, name }),
      signal: abort.signal,
      onEvent: (event) => {
        if (event.type !== "progress" || event.what !== "training" || event.done !== 5) return;
        // What a listener throws ends the work on the spot: no state is written.
        if (how === "killed") throw new Error("killed");
        abort.abort();
      },
    });
    if (how === "killed") await expect(stopped).rejects.toThrow("killed");
    else expect(await stopped).toMatchObject({ reason: "interrupted", step: 5, saved: undefined });
    const place = join(root, "runs", "finetune", name);
    expect((await readdir(place)).filter((file) => file.endsWith(".safetensors")).toSorted()).toEqual([
      ...["best.safetensors", "start-head.safetensors", "state.safetensors"],
    ]);
    const resumed = await resumeFinetune(place, settings());
    expect(resumed).toMatchObject({ reason: "finished", step: whole.step, accuracyPercent: whole.accuracyPercent });
    for (const file of ["model/model.safetensors", "model/heads/vowels.safetensors", "classifier/model.safetensors"])
      expect((await readFile(join(place, file))).equals(await readFile(join(whole.runPath, file))), file).toBe(true);
    const metricsOf = async (run: string) =>
      (await lines(join(run, "metrics.jsonl"))).map(({ time: _, "time/step_seconds": __, ...values }) => values);
    expect(await metricsOf(place)).toEqual(await metricsOf(whole.runPath));
    await expect(resumeFinetune(place, settings())).rejects.toThrow(
      /expected a run that stopped, found one that is finished/,
    );
  });

  it("refuses other data than the run began with", async () => {
    const own = join(root, "own.csv");
    const rows = (word: string) =>
      `text,label\n${"abcdefgh"
        .split("")
        .map((letter, at) => `${letter} ${word},${at % 2}\n`)
        .join("")}`;
    await writeFile(own, rows("x"));
    const abort = new AbortController();
    await finetune(base(), own, {
      ...settings({ name: "changed", "eval.share": 0 }),
      signal: abort.signal,
      onEvent: (event) => {
        if (event.type === "progress" && event.what === "training" && event.done === 2) abort.abort();
      },
    });
    await writeFile(own, rows("y"));
    await expect(resumeFinetune(join(root, "runs", "finetune", "changed"), settings())).rejects.toThrow(
      /found another training's \(tasks and their data/,
    );
  });
});

describe("bad input", () => {
  const refused = async (
    name: string,
    files: Readonly<Record<string, string>>,
    more: Readonly<Record<string, unknown>> = {},
  ) => {
    const folder = join(root, "bad", name);
    await mkdir(folder, { recursive: true });
    for (const [file, text] of Object.entries(files)) await writeFile(join(folder, file), text);
    const failed = await finetune(texts("models", "base"), folder, settings({ ...more, name: `bad-${name}` })).then(
      () => "",
      (error: unknown) => String(error),
    );
    // Nothing is begun.
    const begun = await readdir(join(root, "runs", "finetune")).catch((): string[] => []);
    expect(begun.includes(`bad-${name}`)).toBe(false);
    return failed;
  };

  it("without labels, of one class, and with classes that are not trained", async () => {
    expect(await refused("unlabelled", { "train.csv": "text\na b\nc d\n" })).toMatch(
      /DataError.*expected labels in split train/,
    );
    expect(await refused("one", { "train.csv": "text,label\na b,x\nc d,x\n" })).toMatch(
      /at least 2 classes, found one class alone \(x\) in 2 texts/,
    );
    const train = "text,label\na b,x\nc d,y\n";
    expect(await refused("more", { "train.csv": train, "test.csv": "text,label\ne f,x\ng h,z\n" })).toMatch(
      /split test: expected the 2 classes of split train, found others \(z\); name them alike/,
    );
    expect(
      await refused("numbers", { "train.csv": "text,label\na,0\nb,2\n", "test.csv": "text,label\na,0\n" }),
    ).toMatch(/expected some texts of each of its 3 classes, found none of 1|some/);
  });

  it("whose columns are called otherwise, until they are named", async () => {
    const file = { "train.csv": "description,section\na b,x\nc d,y\ne f,x\ng h,y\n" };
    expect(await refused("called", file)).toMatch(
      /expected labels in split train .* found columns description, section\); add label_column=NAME/,
    );
    const folder = join(root, "bad", "called");
    const named = settings({ text_column: "description", label_column: "section", "eval.share": 0 });
    expect(await planFinetune(texts("models", "base"), folder, named)).toMatchObject({
      ...{ classes: ["x", "y"], examples: { train: 4 } },
    });
    await expect(planFinetune(texts("models", "base"), folder, settings({ text_column: "nosuch" }))).rejects.toThrow(
      /expected a column nosuch, found description, section; add text_column=NAME/,
    );
    await writeFile(join(folder, "train.csv"), "text,Category\na b,x\nc d,y\ne f,x\ng h,y\n");
    const said: string[] = [];
    const near = { ...settings({ "eval.share": 0 }), log: (line: string) => said.push(line) };
    await planFinetune(texts("models", "base"), folder, near);
    expect(said.join("\n")).toContain(
      "the labels are those of column Category; to take another, add label_column=NAME",
    );
  });

  it("a memory in which no example fits; in one that holds some, a step is computed in parts", async () => {
    const rows = {
      "train.csv": `text,label\n${"abcdefgh"
        .split("")
        .map((letter, at) => `${letter},${at % 2}\n`)
        .join("")}`,
    };
    expect(await refused("memory", rows, { memory_gb: 0.3 })).toMatch(
      /memory_gb: expected at least 0\.31 for a step with one example .*cut texts or take a smaller model/,
    );
    const said: string[] = [];
    const folder = join(root, "bad", "memory");
    const split = settings({ name: "parts", memory_gb: 0.3015, batch_size: 64, steps: 2, "eval.share": 0 });
    const { reason } = await finetune(texts("models", "base"), folder, { ...split, log: (line) => said.push(line) });
    expect(reason).toBe("finished");
    expect(said.join("\n")).toMatch(/each step in \d+ parts, to stay within memory_gb/);
  });

  it("settings that do not fit, at once", async () => {
    // What a person says who has read of suite.yaml, and a section that is not there.
    const data = { "train.csv": "text,label\na,x\nb,y\n" };
    expect(await refused("dataset", data, { "dataset.label_column": "x" })).toContain("did you mean `label_column`?");
    expect(await refused("section", data, { "nosuch.thing": 1 })).toMatch(
      /unknown key `nosuch\.thing`; known: base, data, text_column, .*, optimizer\.learning_rate, /,
    );
    const more = { "optimizer.learning_rat": 1, "lora.alpha": 3 };
    expect(await refused("settings", { "train.csv": "text,label\na,x\nb,y\n" }, more)).toMatch(
      /unknown key `optimizer\.learning_rat`; did you mean `optimizer\.learning_rate`\?[\s\S]*lora\.rank: expected a rank from 1/,
    );
  });

  it("a loss that is not finite: the last good state and the best weights stay, and the run says why it failed", async () => {
    const name = "nan";
    const given = {
      name,
      "optimizer.learning_rate": 4e9,
      "optimizer.max_grad_norm": null,
      checkpoint_every: 1,
      "optimizer.warmup": 0.9,
      "eval.every": 1,
      "eval.keep": "best",
      "eval.share": 0.3,
    };
    await expect(finetune(texts("models", "base"), texts("texts", "vowels"), settings(given))).rejects.toThrow(
      /step \d+: .* (?:NaN|infinite|finite).*Lower the learning rate/,
    );
    const status = JSON.parse(await readFile(join(root, "runs", "finetune", name, "status.json"), "utf8"));
    expect(status).toMatchObject({ state: "failed", error: expect.stringContaining("Lower the learning rate") });
    // After the first step, which was still finite.
    expect((await readKeptRecord(join(root, "runs", "finetune", name, "best.safetensors")))?.step).toBe(1);
    expect(await stateStep(join(root, "runs", "finetune", name, "state.safetensors"))).toBe(1);
  });
});

it("is a command: results as a table or JSON, overrides, and a name that is taken", async () => {
  const env = { ADAMERGE_CACHE: join(root, "cache") };
  const inside = (words: string) => runInProcess(texts(), words, env);
  const ran = await inside(
    "finetune models/base texts/thirds batch_size=4 threads=1 device=cpu steps=2 name=cli --json",
  );
  expect(ran.code).toBe(0);
  expect(JSON.parse(ran.stdout)).toMatchObject({ task: "thirds", reason: "finished", steps: 2 });
  expect(ran.stderr).toContain("12 texts of its train are trained on");
  const again = await inside("finetune models/base texts/thirds steps=2 name=cli");
  expect(again).toMatchObject({ code: 2, stdout: "" });
  expect(again.stderr).toMatch(/found one that is finished. Choose: name=cli-2 .*--overwrite/);
  const over = await inside(
    "finetune models/base texts/thirds batch_size=4 threads=1 device=cpu steps=1 name=cli --overwrite",
  );
  expect(over.stdout).toMatch(/task +before % +held out % +test % +step\n-.*\nthirds +.* 1 of 1\nmodel: /);
  expect((await inside("finetune models/base")).stderr).toMatch(
    /expected a model and data, or --resume RUN, found a model alone/,
  );
  expect((await inside("finetune --resume runs/finetune/cli --overwrite")).code).toBe(2);
});
