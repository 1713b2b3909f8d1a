/**
 * Merge files of models that classify: the result's `heads/` has what each model classified with, and `predict` labels
 * with it as with the model that a suite merges to the same weights.
 */
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../../src/checkpoint/checkpoint.js";
import { writeSafetensors } from "../../../src/checkpoint/safetensors-writer.js";
import { loadRunConfig } from "../../../src/config/load.js";
import { openHeadFile, writeHeadFile } from "../../../src/model/head-file.js";
import { mergeToDirectory } from "../../../src/run/coefficients/merge-to-directory.js";
import { predict } from "../../../src/run/predict/predict.js";
import { ROOT, temporaryFolder } from "../../support/cli.js";
import { runInProcess } from "../../support/in-process-cli.js";
import { randomArray } from "../../support/random.js";
import { coefficientsOf, IMAGE_TASKS, writeImageSuite } from "../../support/tiny-image-suite.js";
import { TEXT_TASKS, writeTextSuite } from "../../support/tiny-text-suite.js";

let root = "";
let images = "";
let texts = "";

beforeAll(async () => {
  root = await temporaryFolder();
  [images, texts] = [join(root, "images"), join(root, "texts")];
  await writeImageSuite(images, 2);
  await writeTextSuite(texts);
}, 60_000);

/** Weights 0.5 of the first model and 0.25 of the second, as `coefficientsOf`. */
async function merge(folder: string, models: readonly string[], base: string | undefined, output: string) {
  const list = models.map((model, index) => `  - {model: ${model}, parameters: {weight: ${0.5 / (index + 1)}}}\n`);
  const method = base === undefined ? "merge_method: linear\n" : `base_model: ${base}\nmerge_method: task_arithmetic\n`;
  await rm(join(folder, output), { recursive: true, force: true });
  await writeFile(join(folder, `${output}.yaml`), `models:\n${list.join("")}${method}`);
  return runInProcess(folder, `merge ${output}.yaml --output ${output}`, { ADAMERGE_CACHE: join(folder, "cache") });
}

async function predictions(folder: string, model: string, files: string[], tasks?: string[]) {
  const rows = [];
  const options = { device: "cpu", threads: 1, cwd: folder, top: 2, tasks } as const;
  for await (const row of predict(join(folder, model), { files }, options)) rows.push(row);
  return rows;
}

const headsIn = (...folder: string[]) => readdir(join(...folder, "heads")).catch(() => undefined);

const headOf = async (path: string) => (await openHeadFile(path)).read("any");

describe("classifiers of the models", () => {
  it("are heads of the result, each under its model's name, and label as those of a suite's merge", async () => {
    const { code, stderr } = await merge(texts, ["models/thirds", "models/vowels"], "models/base", "merged");
    expect(code).toBe(0);
    expect(stderr).toMatch(/notice: heads\/ has the heads thirds, vowels, as the models have them\n/);
    expect(await headsIn(texts, "merged")).toEqual(["thirds.safetensors", "vowels.safetensors"]);
    const { classes, features } = await openHeadFile(join(texts, "merged", "heads", "thirds.safetensors"));
    expect(classes).toEqual(TEXT_TASKS.thirds.map((_, label) => `class ${label}`));
    expect(features).toEqual({ pooling: "pooler", normalized: false });
    expect(await readFile(join(texts, "merged", "README.md"), "utf8")).toMatch(/## Heads\n\n.*`thirds`, `vowels`/);

    await writeFile(join(texts, "coefficients.json"), coefficientsOf(Object.keys(TEXT_TASKS)));
    const { config } = await loadRunConfig(join(texts, "config.yaml"), ["granularity=task-wise"], {
      ...{ presetsDir: join(ROOT, "configs", "presets"), cwd: texts },
    });
    await mergeToDirectory(config, join(texts, "coefficients.json"), join(texts, "of-suite"), {
      ...{ cacheDir: join(texts, "cache"), log: () => {}, signal: new AbortController().signal },
    });
    const files = ["texts/thirds/test.csv"];
    const [found, wanted] = [await predictions(texts, "merged", files), await predictions(texts, "of-suite", files)];
    expect(found).toHaveLength(12);
    const rounded = (rows: unknown) =>
      JSON.parse(JSON.stringify(rows), (_, value: unknown) => (typeof value === "number" ? value.toFixed(5) : value));
    expect(rounded(found)).toEqual(rounded(wanted));
  });

  it("are merged, and no heads, where all models do the same task", async () => {
    await rm(join(texts, "models", "other"), { recursive: true, force: true });
    await cp(join(texts, "models", "vowels"), join(texts, "models", "other"), { recursive: true });
    const own = await openCheckpoint(join(texts, "models", "vowels"));
    const tensors = await Promise.all(
      [...own.tensors].map(async ([name, { shape }], index) => {
        const values = await own.readFloat32(name);
        const moves = randomArray(values.length, 900 + index, -0.1, 0.1);
        return { name, dtype: "F32", shape, data: values.map((value, at) => value + (moves[at] ?? 0)) };
      }),
    );
    await writeSafetensors(join(texts, "models", "other", "model.safetensors"), tensors, {
      metadata: { format: "pt" },
    });
    const { code, stderr } = await merge(texts, ["models/vowels", "models/other"], undefined, "soup");
    expect(code).toBe(0);
    expect(stderr).toMatch(/notice: the classifier is merged too: all models have the same classes\n/);
    expect(await headsIn(texts, "soup")).toBeUndefined();
    const [row] = await predictions(texts, "soup", ["texts/vowels/test.csv"]);
    expect(row).toMatchObject({ predictions: [{ task: "classifier" }] });
  });

  it("stay apart where the models, one of them the pattern, have other classes, or do not name them", async () => {
    const config = join(texts, "models", "other", "config.json");
    const json = JSON.parse(await readFile(config, "utf8"));
    await writeFile(config, JSON.stringify({ ...json, id2label: { 0: "LABEL_0", 1: "LABEL_1" } }));
    expect((await merge(texts, ["models/vowels", "models/other"], undefined, "apart")).code).toBe(0);
    expect(await headsIn(texts, "apart")).toEqual(["other.safetensors", "vowels.safetensors"]);
    expect((await openHeadFile(join(texts, "apart", "heads", "other.safetensors"))).classes).toBeUndefined();
  });
});

describe("heads/ of the models", () => {
  const NOTES = { classes: ["a", "b"], features: { pooling: "projection", normalized: true } } as const;
  const made = (seed: number) => ({
    ...{ task: "any", classes: 2, featureSize: 16, logitScale: 5, bias: new Float32Array(2) },
    weight: randomArray(32, seed),
  });
  const place = (model: string, task: string) => join(images, model, "heads", `${task}.safetensors`);

  it("are brought along, the same ones once, those that differ with their models' names in front", async () => {
    for (const [seed, [task, classes]] of Object.entries(IMAGE_TASKS).entries()) {
      const file = await openHeadFile(join(images, `${task}.safetensors`));
      const head = await file.read(task, 5);
      await writeHeadFile(place(task, task), head, { ...NOTES, classes });
      await writeHeadFile(place(task, "common"), made(1), NOTES);
      await writeHeadFile(place(task, "own"), made(2 + seed), NOTES);
    }
    const { code, stderr } = await merge(images, ["colours", "pair"], "base", "merged");
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /notice: colours, pair have different heads called own: each has its model's name in front\n/,
    );
    expect(stderr).not.toContain("other weights");
    const names = ["colours-own", "colours", "common", "pair-own", "pair"];
    expect(await headsIn(images, "merged")).toEqual(names.map((name) => `${name}.safetensors`));
    const own = await headOf(join(images, "merged", "heads", "pair-own.safetensors"));
    expect(own.weight).toEqual(made(3).weight);
    const [row] = await predictions(images, "merged", ["images/colours/test/red/00.png"]);
    expect(row !== undefined && "predictions" in row && row.predictions.map(({ task }) => task)).toEqual(names);
  });

  it("of other features are brought along with a notice, and predict one kind at a time", async () => {
    await rm(place("pair", "own"));
    await writeHeadFile(place("pair", "long"), made(4), {
      ...NOTES,
      features: { pooling: "projection", normalized: false },
    });
    const { stderr } = await merge(images, ["colours", "pair"], "base", "kinds");
    expect(stderr).toMatch(
      /notice: the heads read different features: projection, length 1 \(colours, common, own, pair\); projection, of any length \(long\)\. Predict with those of one kind at a time \(--task\)\n/,
    );
    const red = ["images/colours/test/red/00.png"];
    await expect(predictions(images, "kinds", red)).rejects.toThrow(/choose heads that belong together with --task/);
    expect(await predictions(images, "kinds", red, ["pair", "own"])).toHaveLength(1);
  });

  it("that cannot be read are said, and the weights are merged", async () => {
    await writeFile(place("pair", "long"), "no tensors");
    const { code, stderr } = await merge(images, ["colours", "pair"], "base", "damaged");
    expect(code).toBe(0);
    expect(stderr).toMatch(/notice: a head is not carried over: .*pair.heads.long\.safetensors: /);
    expect(await headsIn(images, "damaged")).not.toContain("long.safetensors");
  });

  it("of models that are no encoders come along too; models without heads are named", async () => {
    for (const name of ["one", "two"]) {
      await mkdir(join(root, name), { recursive: true });
      const tensor = { name: "lm_head.weight", dtype: "F32", shape: [2], data: Float32Array.of(1, 2) };
      await writeSafetensors(join(root, name, "model.safetensors"), [tensor]);
      await writeFile(join(root, name, "config.json"), '{"model_type": "made"}');
    }
    await writeHeadFile(join(root, "one", "heads", "mood.safetensors"), made(5), {});
    const { code, stderr } = await merge(root, ["one", "two"], undefined, "made");
    expect(code).toBe(0);
    expect(stderr).toMatch(/notice: no head was found in two\n/);
    expect(await headsIn(root, "made")).toEqual(["mood.safetensors"]);
  });
});
