/** What programs add to adamerge, each used through a verb; and what is refused: mistakes, names that are taken, work in other processes. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import {
  addMethod,
  addObjective,
  addReader,
  addToBase,
  ConfigError,
  DataError,
  type Dataset,
  type DatasetReader,
  defineMethod,
  evaluate,
  fit,
  loadConfig,
  type MergeMethod,
  mergeModels,
  mergeTensors,
  methods,
  type OutsideObjective,
  readStateDict,
  report,
  reproduce,
  sweep,
  tf,
  type WorkOptions,
  z,
} from "../../src/index.js";
import { runCli, temporaryFolder } from "../support/cli.js";
import { TEXT_TASKS, writeTextSuite } from "../support/tiny-text-suite.js";

const TASKS = Object.keys(TEXT_TASKS);
const BARE = { steps: 2, save_model: false, save_report: false, tasks: TASKS };
let folder: string;
const work = (more: WorkOptions = {}): WorkOptions => ({ cwd: folder, cacheDir: "cache", tracking: false, ...more });
const config = (overrides: object) => loadConfig("config.yaml", { overrides: { ...BARE, ...overrides }, cwd: folder });

beforeAll(async () => {
  folder = await temporaryFolder();
  await writeTextSuite(folder);
});

/** The mean of the experts, a part of it: something that no method here is. */
const partOfMean = defineMethod({
  name: "part_of_mean",
  title: "Part of the mean",
  paper: "",
  parameters: z.strictObject({ part: z.number().default(0.5).describe("Of the mean task vector") }),
  unit: "element",
  prepare: async ({ source }, { part }) => {
    const share = part / source.tasks.length;
    return (piece) => addToBase(piece, (i) => share * piece.taskVectors.reduce((sum, tauN) => sum + (tauN[i] ?? 0), 0));
  },
});

describe("a method", () => {
  beforeAll(() => addMethod(partOfMean));

  it("is listed, judged, and merges in memory and from file to file alike", async () => {
    expect(methods().find(({ name }) => name === "part_of_mean")?.settings).toEqual([
      { name: "part", description: "Of the mean task vector", default: "0.5" },
    ]);
    const whole = await evaluate(await config({}), { method: "part_of_mean", settings: { part: 1 } }, work());
    const averaged = await evaluate(await config({}), { method: "weight_averaging" }, work());
    expect(whole.row.tasks).toEqual(averaged.row.tasks);
    expect(whole.predictions.methods).toHaveProperty("part_of_mean");

    const base = await readStateDict(join(folder, "models", "base"));
    const one = new Map(
      [...base].map(([name, { shape, values }]) => [name, { shape, values: values.map((x) => x + 1) }]),
    );
    const merged = await mergeTensors({ base, experts: [one], method: "part_of_mean" });
    for (const [name, { values }] of base)
      for (const [i, value] of values.entries()) expect(merged.get(name)?.values[i]).toBeCloseTo(value + 0.5, 5);

    await writeFile(
      join(folder, "merge.yaml"),
      `models: [{model: models/${TASKS[0]}}, {model: models/${TASKS[1]}}]\nbase_model: models/base\nmethod: part_of_mean\n`,
    );
    await mergeModels("merge.yaml", { ...work(), output: "merged", threads: 4 });
    const written = await readStateDict(join(folder, "merged"));
    const experts = await Promise.all(TASKS.map((task) => readStateDict(join(folder, "models", task))));
    const name = "encoder.layer.0.output.dense.weight";
    const at = (tensors: Awaited<ReturnType<typeof readStateDict>>, tensor: string) =>
      tensors.get(tensor)?.values[3] ?? 0;
    const mean = experts.reduce((sum, expert) => sum + at(expert, `bert.${name}`) - at(base, name), 0) / TASKS.length;
    expect(at(written, name)).toBeCloseTo(at(base, name) + 0.5 * mean, 6);
  });

  it("may not have a name that is taken, nor be something else", async () => {
    const named = (name: string): MergeMethod => ({ ...partOfMean, name });
    expect(() => addMethod(partOfMean)).toThrow(/no method has yet, found part_of_mean/);
    expect(() => addMethod(named("ties"))).toThrow(/no method has yet, found ties/);
    expect(() => addMethod(named("individual"))).toThrow(/a model that is there already/);
    expect(() => addMethod(named("Part of mean"))).toThrow(/name: expected small letters, digits and _/);
    const { prepare: _, ...without } = named("other");
    expect(() => addMethod(without as MergeMethod)).toThrow(/addMethod: prepare: expected a function/);
  });

  it("that merges something else than it was given is refused with the tensor", async () => {
    addMethod({ ...partOfMean, name: "too_short", prepare: async () => () => new Float32Array(1) });
    const base = new Map([["weight", { shape: [2], values: new Float32Array(2) }]]);
    await expect(mergeTensors({ base, experts: [base], method: "too_short" })).rejects.toThrow(
      "method too_short: tensor weight: expected a Float32Array of 2 merged values, found 1",
    );
  });

  it("added by a program is not there in other processes, which is said before they start", async () => {
    await writeFile(join(folder, "sweep.yaml"), "config: config.yaml\nparameters: {steps: [1]}\n");
    await expect(sweep("sweep.yaml", work())).rejects.toThrow(
      /expected extensions from modules, .* found the method part_of_mean, added by the program/,
    );
    await expect(reproduce("mini8-main", { ...work(), jobs: 2 })).rejects.toThrow(ConfigError);
  });
});

/** 1 - the probability of the likeliest class. */
const uncertainty: OutsideObjective = {
  name: "uncertainty",
  title: "Share of doubt in the likeliest class",
  label: "uncertainty",
  unit: null,
  paper: "",
  targets: "none",
  loss: (logitsBC) => {
    const likeliestB = tf.exp(tf.max(tf.logSoftmax(logitsBC, -1), -1));
    return tf.mean(tf.sub(tf.scalar(1), likeliestB));
  },
};

describe("an objective", () => {
  it("is what a fit minimises, by its name in a config, and what reports call it", async () => {
    await expect(config({ "objective.name": "uncertainty" })).rejects.toThrow(
      /expected one of entropy, .*"uncertainty"/,
    );
    addObjective(uncertainty);
    const losses: number[] = [];
    const onEvent = (event: { type: string; loss?: number }) => {
      if (event.type === "step" && event.loss !== undefined) losses.push(event.loss);
    };
    const chosen = await config({ "objective.name": "uncertainty", name: "certain", steps: 6 });
    const { runPath } = await fit(chosen, work({ onEvent }));
    // The sum over two tasks of something between 0 and 1.
    expect(losses.every((loss) => loss > 0 && loss < 2)).toBe(true);
    const page = await readFile(await report(runPath, work()), "utf8");
    expect(page).toContain("Objective: uncertainty");
    expect(await readFile(join(runPath, "metrics.jsonl"), "utf8")).toContain("train/uncertainty");
  });

  it("may not have a name that is taken, nor be something else, nor give anything but a scalar", async () => {
    expect(() => addObjective({ ...uncertainty, name: "entropy" })).toThrow(/no objective has yet, found entropy/);
    const { loss: _, ...without } = uncertainty;
    expect(() => addObjective({ ...without, name: "none" } as OutsideObjective)).toThrow(/loss: expected a function/);
    addObjective({ ...uncertainty, name: "per_example", loss: (logitsBC) => tf.max(logitsBC, -1) });
    const wrong = await config({ "objective.name": "per_example", name: "wrong" });
    await expect(fit(wrong, work())).rejects.toThrow(/objective per_example: loss: expected a scalar tensor/);
  });
});

/** Texts as lines `label|text` of `<split>.lines`. */
const lines: DatasetReader = {
  name: "lines",
  title: () => "Lines",
  layout: () => "<split>.lines",
  parameters: () => z.strictObject({}),
  detect: async (path, split) => (await readFile(join(path, `${split}.lines`)).catch(() => undefined)) !== undefined,
  splits: async () => undefined,
  open: async ({ path, split, kind }): Promise<Dataset> => {
    const file = join(path, `${split}.lines`);
    const rows = (await readFile(file, "utf8")).trim().split("\n");
    const parts = rows.map((row) => row.split("|"));
    const classes = [...new Set(parts.map(([label = ""]) => label))].toSorted();
    return {
      ...{ kind: kind.name, name: basename(path), split, size: rows.length, classes },
      labels: Int32Array.from(parts, ([label = ""]) => classes.indexOf(label)),
      encoded: async (index) => kind.files.fromBytes(Buffer.from(parts[index]?.[1] ?? ""), file),
      locate: (index) => `${file}:${index + 1}`,
    };
  },
};

describe("a reader", () => {
  it("reads what no reader here does, for a verb that judges", async () => {
    for (const task of TASKS) {
      await mkdir(join(folder, "lines", task), { recursive: true });
      const csv = await readFile(join(folder, "texts", task, "test.csv"), "utf8");
      const rows = csv
        .trim()
        .split("\n")
        .slice(1)
        .map((row) => row.split(",").toReversed().join("|"));
      await writeFile(join(folder, "lines", task, "test.lines"), `${rows.join("\n")}\n`);
    }
    const suite = await readFile(join(folder, "suite.yaml"), "utf8");
    await writeFile(join(folder, "lines.yaml"), suite.replaceAll("texts/", "lines/"));
    const judged = async () =>
      evaluate(
        await config({ suite: join(folder, "lines.yaml"), "data.adapt_split": "test" }),
        { method: "pretrained" },
        work(),
      );
    await expect(judged()).rejects.toThrow(DataError);
    addReader(lines);
    const usual = await evaluate(await config({}), { method: "pretrained" }, work());
    expect((await judged()).row.tasks).toEqual(usual.row.tasks);
  });

  it("may not have a name that is taken, nor open something else than a data set", async () => {
    expect(() => addReader(lines)).toThrow(/no reader has yet, found lines/);
    expect(() => addReader({ ...lines, name: "parquet" })).toThrow(/no reader has yet, found parquet/);
    const { detect: _, ...without } = lines;
    expect(() => addReader({ ...without, name: "none" } as DatasetReader)).toThrow(/addReader: detect: expected a/);
    addReader({
      ...lines,
      name: "wrong",
      detect: async (path) => path.endsWith("wrong"),
      open: async (request) => ({ ...(await lines.open({ ...request, path: join(request.path, "..") })), size: 0 }),
    });
    await mkdir(join(folder, "lines", TASKS[0] ?? "", "wrong"));
    const suite = await readFile(join(folder, "lines.yaml"), "utf8");
    await writeFile(join(folder, "wrong.yaml"), suite.replace(`lines/${TASKS[0]}`, `lines/${TASKS[0]}/wrong`));
    const chosen = await config({ suite: join(folder, "wrong.yaml") });
    await expect(evaluate(chosen, { method: "pretrained" }, work())).rejects.toThrow(/reader wrong: size: expected at/);
  });
});

describe("a module", () => {
  const MODULE = `
    import { addObjective, tf } from "adamerge";
    addObjective({
      ...{ name: "peak", title: "Peak", label: "peak", unit: null, paper: "", targets: "none" },
      loss: (logitsBC) => tf.neg(tf.mean(tf.max(tf.logSoftmax(logitsBC, -1), -1))),
    });
  `;

  it("adds to registries in the processes of a sweep too, and a run is resumed with the same file only", async () => {
    await writeFile(join(folder, "peak.mjs"), MODULE);
    await writeFile(join(folder, "peaks.yaml"), "config: config.yaml\nparameters: {optimizer.learning_rate: [0.1]}\n");
    const settings = ["objective.name=peak", "data.eval_split=adapt", "save_report=false", "--json"];
    const { code, stdout } = await runCli(folder, ["sweep", "peaks.yaml", ...settings, "--family", "peak.mjs"]);
    expect(JSON.parse(stdout).rows).toMatchObject([{ state: "finished" }]);
    expect(code).toBe(0);
    const { trial } = JSON.parse(stdout).rows[0];
    const status = join(folder, "runs", "peaks", trial, "status.json");
    await writeFile(status, JSON.stringify({ ...JSON.parse(await readFile(status, "utf8")), state: "interrupted" }));
    await writeFile(join(folder, "peak.mjs"), `${MODULE}// changed`);
    const resumed = ["fit", "--resume", join("runs", "peaks", trial)];
    expect((await runCli(folder, resumed)).stderr).toMatch(/objective.name: expected one of entropy, .*--family FILE/);
    expect((await runCli(folder, [...resumed, "--family", "peak.mjs"])).stderr).toMatch(
      /expected the module of the objective peak that the run began with, found others/,
    );
  });

  it("that adds nothing is refused", async () => {
    await writeFile(join(folder, "nothing.mjs"), "export const a = 1;");
    const { code, stderr } = await runCli(folder, ["methods", "--family", "nothing.mjs"]);
    expect(stderr).toMatch(/nothing\.mjs: expected a ModelFamily .* or calls of addMethod, addObjective or addReader/);
    expect(code).toBe(2);
  });
});
