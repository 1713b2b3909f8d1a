/**
 * A saved model that classifies: predictions of its folder are those of the evaluation that it was merged by, for
 * images and texts, whatever they lie in.
 */
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { beforeAll, describe, expect, it } from "vitest";
import { loadRunConfig } from "../../../src/config/load.js";
import { writeHeadFile } from "../../../src/model/head-file.js";
import { mergeToDirectory } from "../../../src/run/coefficients/merge-to-directory.js";
import { evaluateMethod } from "../../../src/run/judge/evaluate-method.js";
import { evaluateModel } from "../../../src/run/predict/evaluate-model.js";
import type { GivenInputs, PredictionRow, PredictOptions } from "../../../src/run/predict/predict.js";
import { openPredictor, predict } from "../../../src/run/predict/predict.js";
import { ROOT, temporaryFolder } from "../../support/cli.js";
import { runInProcess } from "../../support/in-process-cli.js";
import { randomArray } from "../../support/random.js";
import { coefficientsOf, IMAGE_TASKS, writeImageSuite } from "../../support/tiny-image-suite.js";
import { TEXT_TASKS, writeTextSuite } from "../../support/tiny-text-suite.js";

const ENGINE = { device: "cpu", threads: 1 } as const;

let images = "";
let texts = "";
/** Predicted classes by task of the evaluation in a run. */
let judged: Record<"images" | "texts", Readonly<Record<string, readonly number[]>>>;

beforeAll(async () => {
  const root = await temporaryFolder();
  [images, texts] = [join(root, "images"), join(root, "texts")];
  await writeImageSuite(images);
  await writeTextSuite(texts);
  await writeFile(join(texts, "coefficients.json"), coefficientsOf(Object.keys(TEXT_TASKS)));
  judged = { images: await mergeAndJudge(images), texts: await mergeAndJudge(texts) };
}, 60_000);

const work = (folder: string, log: (line: string) => void = () => {}) => ({
  ...{ cacheDir: join(folder, "cache"), signal: new AbortController().signal, log },
});

async function mergeAndJudge(folder: string) {
  const path = join(folder, "coefficients.json");
  const { config } = await loadRunConfig(join(folder, "config.yaml"), ["granularity=task-wise"], {
    ...{ presetsDir: join(ROOT, "configs", "presets"), cwd: folder },
  });
  await mergeToDirectory(config, path, join(folder, "merged"), work(folder));
  const { predictions } = await evaluateMethod(config, { kind: "coefficients", path }, work(folder));
  return predictions.methods.coefficients ?? {};
}

async function rowsOf(folder: string, given: GivenInputs, options: PredictOptions & { tasks?: string[] } = {}) {
  const rows: PredictionRow[] = [];
  const all = predict(join(folder, "merged"), given, { ...ENGINE, cwd: folder, ...options });
  for await (const row of all) rows.push(row);
  return rows;
}

/** The likeliest label of one head, or what is said instead. */
function labelsOf(rows: readonly PredictionRow[], task: string): (string | undefined)[] {
  return rows.map((row) => {
    if ("error" in row) return `error: ${row.error}`;
    return row.predictions.find((prediction) => prediction.task === task)?.labels[0]?.label;
  });
}

const classesOf = (tasks: Readonly<Record<string, readonly string[]>>, task: string, predicted: readonly number[]) =>
  predicted.map((label) => tasks[task]?.[label]);

describe("images", () => {
  it("in folders get the labels that the evaluation gave them, from all heads", async () => {
    for (const [task, classes] of Object.entries(IMAGE_TASKS)) {
      const rows = await rowsOf(images, { files: [`images/${task}`] });
      // More than a batch of one of the tasks, in the order of folders and names, as the data set has them.
      expect(rows).toHaveLength(12 * classes.length);
      expect(rows[12]?.source).toBe(join("images", task, "test", classes.toSorted()[1] ?? "", "00.png"));
      expect(labelsOf(rows, task)).toEqual(classesOf(IMAGE_TASKS, task, judged.images[task] ?? []));
      for (const row of rows)
        expect("predictions" in row && row.predictions.map((one) => one.task)).toEqual(["colours", "pair"]);
    }
    const found = new Set(Object.values(judged.images).flat());
    expect(found.size).toBeGreaterThan(1);
  });

  it("have as many labels as are asked, with probabilities of the whole head", async () => {
    const [row] = await rowsOf(images, { files: ["images/colours/test/red/00.png"] }, { top: 9, tasks: ["colours"] });
    const labels = row !== undefined && "predictions" in row ? (row.predictions[0]?.labels ?? []) : [];
    expect(labels.map(({ label }) => label).toSorted()).toEqual(IMAGE_TASKS.colours);
    const probabilities = labels.map(({ probability }) => probability);
    expect(probabilities).toEqual(probabilities.toSorted((a, b) => b - a));
    expect(probabilities.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
  });

  it("that cannot be read are rows that say why, and the others are done", async () => {
    const place = join(images, "mixed");
    await cp(join(images, "images", "pair", "test", "no"), join(place, "a"), { recursive: true });
    const plain = labelsOf(await rowsOf(images, { files: ["mixed"] }), "pair");
    await writeFile(join(place, "a", "03b.png"), "<html>not found</html>");
    await writeFile(join(place, "a", "list.csv"), "path\n");
    await writeFile(join(place, "z.jpg"), "");
    await writeFile(join(images, "mixed.csv"), "path,x\nmixed/a/00.png,1\nmixed/none.png,2\nmixed/a/01.png,3\n");
    await writeFile(join(images, "broken.csv"), 'path\nmixed/a/00.png\n"mixed/a/01.png\n');
    const notices: string[] = [];
    const predictor = await openPredictor(join(images, "merged"), { ...ENGINE, notice: (text) => notices.push(text) });
    const rows: PredictionRow[] = [];
    const files = ["mixed", "nowhere", "mixed.csv", "mixed/a/02.png", "broken.csv", "suite.yaml"];
    for await (const row of predictor.predict({ files }, { cwd: images })) rows.push(row);
    await predictor.close();
    const said = labelsOf(rows, "pair");
    expect(said.filter((label) => !label?.startsWith("error"))).toEqual([
      ...plain,
      ...[plain[0], plain[1], plain[2], plain[0]],
    ]);
    expect(notices).toEqual(["mixed: passed over: 1 .csv (list.csv)"]);
    const errors = rows.flatMap((row) => ("error" in row ? [[row.source, row.error]] : []));
    expect(errors.map(([source]) => source)).toEqual([
      ...[join("mixed", "a", "03b.png"), join("mixed", "z.jpg"), "nowhere", "mixed.csv:3 (mixed/none.png)"],
      ...["broken.csv", "suite.yaml"],
    ]);
    const texts = errors.map(([, error]) => error);
    expect(texts[0]).toMatch(/^expected an encoded image, found an HTML page/);
    expect(texts[1]).toMatch(/^expected an encoded image, found 0 bytes/);
    expect(texts[2]).toMatch(/^expected a file or folder of images, found nothing there/);
    expect(texts[3]).toMatch(/none\.png/);
    expect(texts[4]).toMatch(/broken\.csv: expected CSV with a header row/);
    expect(texts[5]).toMatch(/^expected an encoded image, found \d+ bytes of another form/);
  });

  it("are judged by the folder as by the run, on a suite or on a person's own folders", async () => {
    const folder = join(images, "merged");
    const options = { ...work(images), ...ENGINE };
    const ofSuite = await evaluateModel(folder, { suite: images }, options);
    expect(ofSuite.predictions).toEqual({ split: "test", methods: { model: judged.images } });
    const data = new Map([["pair", join(images, "images", "pair")]]);
    const own = await evaluateModel(folder, { data }, options);
    expect(own.row.tasks).toEqual({ pair: ofSuite.row.tasks.pair });
    const collection = new Map([["pair", join(images, "images", "pair", "test")]]);
    expect((await evaluateModel(folder, { data: collection }, options)).row).toEqual(own.row);
    const bare = new Map([["pair", join(images, "images", "pair", "test", "no")]]);
    await expect(evaluateModel(folder, { data: bare }, options)).rejects.toThrow(
      /task pair: .*: expected labels \(a folder for each class, or a column label\), found none/,
    );
    await expect(evaluateModel(folder, { data: bare, labelColumn: "kind" }, options)).rejects.toThrow("unknown key");
    const table = join(images, "table.csv");
    await writeFile(table, "photo,kind,label\nimages/pair/test/no/00.png,no,x\n");
    const columns = { column: "photo", labelColumn: "kind" };
    const named = await evaluateModel(folder, { data: new Map([["pair", table]]), ...columns }, options);
    expect(named.predictions.methods.model?.pair).toHaveLength(1);
    const other = new Map([["colours", join(images, "images", "pair")]]);
    await expect(evaluateModel(folder, { data: other }, options)).rejects.toThrow(/expected the head's 3 classes/);
  });
});

describe("texts", () => {
  const all = async (task: string) =>
    (await readFile(join(texts, "texts", task, "test.csv"), "utf8"))
      .trimEnd()
      .split("\n")
      .slice(1)
      .map((line) => line.split(",")[0] ?? "");

  it.each(Object.keys(TEXT_TASKS))("of %s get the evaluation's labels from every kind of file", async (task) => {
    const own = await all(task);
    const expected = (judged.texts[task] ?? []).map((label) => `class ${label}`);
    const folder = join(texts, "given", task);
    await mkdir(join(folder, "files"), { recursive: true });
    await writeFile(join(folder, "lines.txt"), own.map((text) => `${text}\r\n`).join(""));
    await writeFile(join(folder, "rows.jsonl"), own.map((body) => `${JSON.stringify({ id: 1, body })}\n`).join(""));
    const column = { name: "odd", data: own, type: "STRING" as const };
    const parquet = parquetWriteBuffer({ columnData: [column], rowGroupSize: 5 });
    await writeFile(join(folder, "rows.parquet"), new Uint8Array(parquet));
    for (const [index, text] of own.entries())
      await writeFile(join(folder, "files", `${String(index).padStart(2, "0")}.txt`), text);
    const predictor = await openPredictor(join(texts, "merged"), ENGINE);
    const label = async (given: GivenInputs, options: PredictOptions = {}) => {
      const rows: PredictionRow[] = [];
      for await (const row of predictor.predict(given, { cwd: texts, ...options })) rows.push(row);
      return labelsOf(rows, task);
    };
    expect(await label({ files: [join("texts", task, "test.csv")] })).toEqual(expected);
    expect(await label({ texts: own })).toEqual(expected);
    expect(await label({ files: [join(folder, "files")] })).toEqual(expected);
    expect(await label({ files: [join(folder, "lines.txt")] }, { byLines: true })).toEqual(expected);
    expect(await label({ files: [join(folder, "rows.jsonl")] })).toEqual(expected);
    expect(await label({ files: [join(folder, "rows.parquet")] }, { column: "odd" })).toEqual(expected);
    expect(await label({ files: [join(folder, "rows.parquet")] }, { column: "text" })).toEqual([
      expect.stringMatching(/expected a column text, found odd/),
    ]);
    await predictor.close();
  });

  it("come in any number, in their order, though they are sorted by length meanwhile", async () => {
    const own = await all("thirds");
    const many = Array.from({ length: 150 }, (_, index) => own[(5 * index) % own.length] ?? "");
    const rows = labelsOf(await rowsOf(texts, { texts: many }), "thirds");
    const expected = judged.texts.thirds ?? [];
    expect(rows).toEqual(many.map((_, index) => `class ${expected[(5 * index) % own.length]}`));
  });

  it("are told what a text behind the model, and a file of many, were meant as", async () => {
    const said: string[] = [];
    const notice = (line: string) => said.push(line);
    const given = { files: ["a text itself", "nosuch.txt", "many.txt"] };
    await writeFile(join(texts, "many.txt"), "a b\n\nc d\n");
    const rows: PredictionRow[] = [];
    for await (const row of predict(join(texts, "merged"), given, { ...ENGINE, cwd: texts, notice })) rows.push(row);
    const errors = rows.map((row) => ("error" in row ? row.error : ""));
    expect(errors[0]).toMatch(/found nothing there.*; check the path, or give a text itself behind --text$/);
    expect(errors[1]).toMatch(/check the path$/);
    expect(new Set(said)).toEqual(
      new Set(["many.txt: its 2 lines are taken as one text; with --lines each is a text of its own"]),
    );
    const { code, stdout, stderr } = await runInProcess(texts, "predict merged nosuch.txt --device cpu", {});
    expect([code, stdout]).toEqual([3, ""]);
    expect(stderr).toMatch(/^adamerge: 1 of 1 text could not be read; it is nosuch\.txt: expected a file/m);
  });

  it("are printed by the command line, which says with its code that one could not be read", async () => {
    await writeFile(join(texts, "rows.jsonl"), '{"text":"a b"}\n{"text":7}\n{"text":"b"}\n');
    const line = "predict merged rows.jsonl --task vowels --format jsonl --threads 1 --device cpu";
    const { code, stdout, stderr } = await runInProcess(texts, line, {});
    expect(code).toBe(3);
    const rows = stdout
      .trimEnd()
      .split("\n")
      .map((text) => JSON.parse(text));
    expect(rows.map(({ source }) => source)).toEqual(["rows.jsonl:1", "rows.jsonl:2", "rows.jsonl:3"]);
    expect(rows[1].error).toMatch(/^expected a text in column text, found a number/);
    expect(rows[2].predictions[0].labels).toHaveLength(1);
    expect(stderr).toMatch(/^adamerge: 1 of 3 texts could not be read; it is rows\.jsonl:2: expected a text/m);
  });

  it("are labelled by an expert too, with the classifier that it was saved with", async () => {
    const rows: PredictionRow[] = [];
    for await (const row of predict(join(texts, "models", "thirds"), { texts: ["a b"] }, ENGINE)) rows.push(row);
    expect(rows).toMatchObject([{ source: "text", predictions: [{ task: "classifier", labels: [{}] }] }]);
    expect(labelsOf(rows, "classifier")[0]).toMatch(/^class [012]$/);
  });

  it("end when they are told to, and when nobody wants more", async () => {
    const abort = new AbortController();
    const predictor = await openPredictor(join(texts, "merged"), { ...ENGINE, signal: abort.signal });
    const given = { texts: Array.from({ length: 200 }, () => "a b c") };
    for await (const _ of predictor.predict(given)) break;
    const rows: PredictionRow[] = [];
    const interrupted = async () => {
      for await (const row of predictor.predict(given)) {
        rows.push(row);
        abort.abort();
      }
    };
    await expect(interrupted()).rejects.toThrow(/abort/i);
    expect(rows.length).toBeLessThan(100);
    await predictor.close();
  });
});

describe("refused before anything is computed", () => {
  const head = (featureSize: number) => ({
    ...{ task: "x", classes: 2, featureSize, logitScale: 1 },
    ...{ weight: randomArray(2 * featureSize, 1), bias: new Float32Array(2) },
  });

  const damaged: readonly (readonly [what: string, damage: (folder: string) => Promise<void>, message: RegExp])[] = [
    [
      "a head of another width",
      (folder) => writeHeadFile(join(folder, "heads", "x.safetensors"), head(15), {}),
      /x\.safetensors: expected a head for the model's 16 features, found one for 15; is it the head of another model\?/,
    ],
    [
      "a head for features that the model has not",
      async (folder) => {
        await rm(join(folder, "heads"), { recursive: true });
        const features = { pooling: "mean", normalized: true } as const;
        await writeHeadFile(join(folder, "heads", "x.safetensors"), head(16), { features });
      },
      /x\.safetensors: expected a head for features that a .* has \(projection\), found mean/,
    ],
    [
      "heads for different features",
      async (folder) => {
        const features = { pooling: "projection", normalized: false } as const;
        await writeHeadFile(join(folder, "heads", "x.safetensors"), head(16), { features });
      },
      /expected a head for the features of .*colours\.safetensors \(projection, length 1\), found one for others .*--task/,
    ],
    [
      "no heads",
      (folder) => rm(join(folder, "heads"), { recursive: true }),
      /merged: expected heads \(heads\/<task>\.safetensors\) or a model that was saved with its classifier, found neither/,
    ],
    ["no weights", (folder) => rm(join(folder, "model.safetensors")), /expected model\.safetensors, .*in this folder/],
    ["no config", (folder) => rm(join(folder, "config.json")), /config\.json: expected the config\.json of a model/],
    [
      "weights of something else",
      (folder) => cp(join(folder, "heads", "pair.safetensors"), join(folder, "model.safetensors")),
      /merged: expected a tensor ".*" of shape \[\d+\] .*, found none; get the complete model again/,
    ],
    ["no folder", (folder) => rm(folder, { recursive: true }), /merged: expected the folder of a merged model/],
  ];

  it.each(damaged)("%s", async (_, damage, message) => {
    const folder = join(await temporaryFolder(), "merged");
    await cp(join(images, "merged"), folder, { recursive: true });
    await damage(folder);
    await expect(openPredictor(folder, ENGINE)).rejects.toThrow(message);
  });

  it("a damaged head, and not where another is asked", async () => {
    const folder = join(await temporaryFolder(), "merged");
    await cp(join(images, "merged"), folder, { recursive: true });
    await writeFile(join(folder, "heads", "pair.safetensors"), "no head");
    await expect(openPredictor(folder, ENGINE)).rejects.toThrow(/pair\.safetensors: not a valid safetensors file/);
    const predictor = await openPredictor(folder, { ...ENGINE, tasks: ["colours"] });
    expect([...predictor.classes.keys()]).toEqual(["colours"]);
    await predictor.close();
  });

  it("a task that there is not, texts for a model of images, and a suite of other tasks", async () => {
    const folder = join(images, "merged");
    await expect(openPredictor(folder, { ...ENGINE, tasks: ["pairs"] })).rejects.toThrow(
      /--task pairs: .* has no head "pairs"; did you mean pair\? It has colours, pair/,
    );
    await expect(rowsOf(images, { texts: ["a"] })).rejects.toThrow(
      /expected images, which this model takes, found texts/,
    );
    const options = { ...work(images), ...ENGINE };
    await expect(evaluateModel(folder, { suite: texts }, options)).rejects.toThrow(
      /suite\.yaml: expected tasks called as the model's heads \(colours, pair\), found thirds, vowels/,
    );
    expect(await readdir(folder)).toContain("heads");
  });
});
