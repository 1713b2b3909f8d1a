/** A small fit of the shipped suite from config to merged model, through the library. */
import { chmod, readdir, readFile, truncate } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../../src/checkpoint/checkpoint.js";
import { loadRunConfig } from "../../../src/config/load.js";
import type { TrainEvent } from "../../../src/optimize/events.js";
import { mergeToDirectory } from "../../../src/run/coefficients/merge-to-directory.js";
import { fit } from "../../../src/run/fit/fit.js";
import { evaluateMethod } from "../../../src/run/judge/evaluate-method.js";
import { type CoefficientsRecord, parseCoefficients } from "../../../src/track/coefficients-file.js";
import { ROOT, temporaryFolder } from "../../support/cli.js";
import { canLease } from "../../support/leases.js";
import { relativeError } from "../../support/random.js";

const SMALL = [
  "tasks=[mnist, letters]",
  "data.eval_limit=60",
  "data.batch_size=4",
  "data.eval_every=2",
  "optimizer.learning_rate=0.05",
];
let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
});

async function configOf(overrides: readonly string[]) {
  const presetsDir = join(ROOT, "configs", "presets");
  const all = [...SMALL, "steps=4", "experiment=e", ...overrides];
  return (await loadRunConfig(join(ROOT, "configs", "mini8.yaml"), all, { presetsDir, cwd: folder })).config;
}

const quiet = () => ({ cacheDir: join(folder, "cache"), signal: new AbortController().signal, log: () => {} });

async function run(
  name: string,
  overrides: readonly string[] = [],
  onEvent: (event: TrainEvent) => void = () => {},
  signal = quiet().signal,
) {
  const config = await configOf([`name=${name}`, ...overrides]);
  const result = await fit(config, { ...quiet(), signal, overwrite: false, onEvent });
  const file = join(result.runPath, "coefficients.json");
  return { ...result, config, coefficients: parseCoefficients(await readFile(file, "utf8"), file), file };
}

const largestDifference = (a: CoefficientsRecord, b: CoefficientsRecord): number =>
  Math.max(
    ...a.values.flatMap((row, task) =>
      row.map((value, group) => Math.abs(value - (b.values[task]?.[group] ?? Number.NaN))),
    ),
  );

describe("fit", () => {
  it("is judged on other tasks of the suite than it merges, and learns the same", async () => {
    const [own, other] = [await run("own"), await run("other", ["data.eval_tasks=[letters, thai]"])];
    expect(own.table.map(({ tasks }) => Object.keys(tasks))).toEqual(own.table.map(() => ["mnist", "letters"]));
    const judgedOn = (method: string) => (method === "individual" ? ["letters"] : ["letters", "thai"]);
    expect(other.table.map(({ tasks }) => Object.keys(tasks))).toEqual(
      other.table.map(({ method }) => judgedOn(method)),
    );
    expect(other.table.map(({ tasks }) => tasks.letters)).toEqual(own.table.map(({ tasks }) => tasks.letters));
    expect(other.coefficients.values).toEqual(own.coefficients.values);
    const individual = { kind: "method", name: "individual", settings: {} } as const;
    // Nobody's expert is judged on thai: the one that is there is not merged.
    const { row } = await evaluateMethod(other.config, individual, quiet());
    expect(Object.keys(row.tasks)).toEqual(["letters"]);
    expect(row.average).toBe(row.tasks.letters);
    const unknown = await configOf(["data.eval_tasks=[leters]"]);
    await expect(evaluateMethod(unknown, individual, quiet())).rejects.toThrow(
      /data.eval_tasks: the suite mini8 has no task leters; did you mean letters/,
    );
  });

  it("compares the gradients of objective and labelled loss without changing what is learned", async () => {
    const cosinesOf = async (runPath: string) =>
      (await readFile(join(runPath, "metrics.jsonl"), "utf8"))
        .trim()
        .split("\n")
        .flatMap((line): [number, number][] => {
          const { step, "eval/gradient_cosine": cosine } = JSON.parse(line);
          return cosine === undefined ? [] : [[step, cosine]];
        });
    const plain = await run("plain");
    const watched = await run("watched", ["data.gradient_images=8"]);
    expect(watched.coefficients.values).toEqual(plain.coefficients.values);
    expect(await cosinesOf(plain.runPath)).toEqual([]);
    const cosines = await cosinesOf(watched.runPath);
    expect(cosines.map(([step]) => step)).toEqual([0, 2, 4]);
    for (const [, cosine] of cosines) expect(Math.abs(cosine)).toBeLessThan(1);
    expect(await readdir(join(watched.runPath, "figures"))).toContain("gradient-cosine.svg");
    // The labelled loss agrees with itself.
    const labelled = await run("labelled", ["data.gradient_images=8", "objective.name=cross_entropy"]);
    for (const [, cosine] of await cosinesOf(labelled.runPath)) expect(cosine).toBeCloseTo(1, 6);
    // Of tasks and groups alike: task-wise the gradient is a sum over layers.
    const taskWise = await run("watched-task-wise", ["data.gradient_images=8", "granularity=task-wise", "steps=2"]);
    expect(await cosinesOf(taskWise.runPath)).toHaveLength(2);
  });

  it("leaves a complete run folder, a model that is the stated sum, and repeats to the bit", async () => {
    const events: TrainEvent[] = [];
    const first = await run("first", [], (event) => events.push(event));
    const kinds = ["start", "evaluation", "step", "step", "evaluation", "step", "step", "checkpoint", "end"];
    expect(events.map((event) => event.type)).toEqual(kinds);
    expect(first.table.map((row) => row.method)).toEqual([
      "pretrained",
      "weight_averaging",
      "individual",
      "start",
      "adamerging_layer_wise",
    ]);
    const before = events.find((event) => event.type === "evaluation");
    expect(Object.values(first.table[3]?.tasks ?? {})).toEqual(before?.labelled?.accuracyPercent);
    expect(first.gains.map(({ over }) => over)).toEqual(["weight_averaging", "start"]);
    const json = async (name: string) => JSON.parse(await readFile(join(first.runPath, name), "utf8"));
    expect(await json("status.json")).toMatchObject({ state: "finished", step: 4 });
    expect(await json("summary.json")).toMatchObject({ suite: "mini8", engine: "onnx", rows: first.table });
    expect(await json("environment.json")).toMatchObject({ engine: "onnx", device: "cpu" });
    const metrics = (await readFile(join(first.runPath, "metrics.jsonl"), "utf8")).trim().split("\n");
    expect(metrics).toHaveLength(4 + 3);
    const trajectory = (await readFile(join(first.runPath, "trajectory.jsonl"), "utf8")).trim().split("\n");
    expect(trajectory.map((line) => JSON.parse(line).step)).toEqual([0, 2, 4]);
    expect(JSON.parse(trajectory.at(-1) ?? "").values).toEqual(first.coefficients.values);
    expect(first.coefficients.values).toHaveLength(2);
    expect(first.coefficients.values[0]).toHaveLength(first.coefficients.groups.length);

    expect(await readFile(join(first.runPath, "README.md"), "utf8")).toMatch(/adamerging_layer_wise/);

    await expectSum(first);
    const second = await run("second");
    expect(second.coefficients.values).toEqual(first.coefficients.values);
    expect(
      largestDifference((await run("other-seed", ["seed=1", "save_model=false"])).coefficients, first.coefficients),
    ).toBeGreaterThan(0);

    const saved = await evaluateMethod(first.config, { kind: "coefficients", path: first.file }, quiet());
    expect(saved.row.tasks).toEqual(first.table.at(-1)?.tasks);
    const kept = JSON.parse(await readFile(join(first.runPath, "predictions.json"), "utf8"));
    expect(kept.split).toBe("test");
    expect(Object.keys(kept.methods)).toEqual(first.table.map(({ method }) => method));
    expect(saved.predictions.methods.coefficients).toEqual(kept.methods.adamerging_layer_wise);
    expect(kept.methods.adamerging_layer_wise.mnist).toHaveLength(60);
    await mergeToDirectory(first.config, first.file, join(folder, "merged"), quiet());
    const bytes = (directory: string) => readFile(join(directory, "model.safetensors"));
    expect((await bytes(join(folder, "merged"))).equals(await bytes(join(first.runPath, "model")))).toBe(true);
  });

  it("order of the tasks only permutes the coefficients, and the eager engine agrees", async () => {
    const one = await run("one", ["save_model=false"]);
    const swapped = await run("swapped", ["tasks=[letters, mnist]", "save_model=false"]);
    const { values, tasks } = swapped.coefficients;
    expect(tasks).toEqual(["letters", "mnist"]);
    expect(largestDifference(one.coefficients, { ...swapped.coefficients, values: values.toReversed() })).toBeLessThan(
      1e-4,
    );
    const eager = await run("eager", [
      "engine=tfjs",
      "device=wasm",
      "save_model=false",
      "data.eval_every=0",
      "data.eval_limit=4",
    ]);
    const rows = one.coefficients.groups
      .map((name, index) => ({ name, index }))
      .filter(({ name }) => !name.endsWith("qkv_proj.bias"));
    const kept = (record: CoefficientsRecord) =>
      record.values.flatMap((row) => rows.map(({ index }) => row[index] ?? Number.NaN));
    expect(relativeError(kept(eager.coefficients), kept(one.coefficients))).toBeLessThan(1e-3);
  });

  it.each([
    ["task-wise", ["granularity=task-wise"], 1],
    ["block-wise", ["granularity=block-wise", "coefficients.constraint=softmax"], 8],
    ["groups", ["granularity=groups", "groups=[{name: mlp, match: ['*.mlp.*']}]", "task_vectors.processing=ties"], 2],
    [
      "fusionbench",
      ["share_qkv=false", "merge_projection=false", "coefficients.constraint=none", "objective.form=epsilon"],
      103,
    ],
  ] as const)("%s", async (name, overrides, groups) => {
    const { coefficients, reason } = await run(name, [
      ...overrides,
      "save_model=false",
      "data.eval_every=0",
      "data.adapt_split=adapt",
    ]);
    expect(reason).toBe("finished");
    expect(coefficients.groups).toHaveLength(groups);
  });

  it.each(["cross_entropy", "expert_divergence", "pseudo_label", "feature_l1", "feature_l2", "normalized_entropy"])(
    "learns by %s: the loss falls",
    async (name) => {
      const losses: number[] = [];
      const { coefficients } = await run(
        name,
        [
          `objective.name=${name}`,
          "granularity=task-wise",
          "steps=8",
          "data.batch_size=32",
          "save_model=false",
          "data.eval_every=0",
        ],
        (event) => {
          if (event.type === "step") losses.push(event.loss);
        },
      );
      expect(coefficients.values.flat().some((value) => value !== 0.3)).toBe(true);
      // The batches differ from step to step, so the ends are compared, not each step.
      expect(losses.slice(-3).reduce((a, b) => a + b)).toBeLessThan(losses.slice(0, 3).reduce((a, b) => a + b));
    },
  );

  it("sees no more images than data.adapt_limit, and with enough of them the same as without a limit", async () => {
    const [few, many, all] = [
      await run("few", ["data.adapt_limit=1", "save_model=false", "data.eval_every=0"]),
      await run("many", ["data.adapt_limit=100000", "save_model=false", "data.eval_every=0"]),
      await run("all", ["save_model=false", "data.eval_every=0"]),
    ];
    expect(largestDifference(many.coefficients, all.coefficients)).toBe(0);
    // One image over and over: its entropy can only fall, and the steps differ from those on many images.
    expect(largestDifference(few.coefficients, all.coefficients)).toBeGreaterThan(0);
  });

  it("an abort keeps the coefficients so far", async () => {
    const controller = new AbortController();
    const stop = (event: TrainEvent): void => {
      if (event.type === "step" && event.step === 2) controller.abort();
    };
    const { reason, runPath, coefficients } = await run("aborted", ["data.eval_every=1"], stop, controller.signal);
    expect(reason).toBe("interrupted");
    expect(JSON.parse(await readFile(join(runPath, "status.json"), "utf8"))).toMatchObject({
      state: "interrupted",
      step: 2,
    });
    expect(coefficients.values.flat().every((value) => Number.isFinite(value))).toBe(true);
    expect(coefficients.values.flat().some((value) => value !== 0.3)).toBe(true);
  });
});

/** model/ equals base + sum of coefficient times (expert - base), recomputed from the checkpoints alone. */
async function expectSum({
  runPath,
  coefficients,
}: {
  runPath: string;
  coefficients: CoefficientsRecord;
}): Promise<void> {
  const suite = join(ROOT, "datasets", "mini8");
  const base = await openCheckpoint(join(suite, "base"));
  const experts = await Promise.all(coefficients.tasks.map((task) => openCheckpoint(join(suite, "experts", task))));
  const model = await openCheckpoint(join(runPath, "model"));
  expect([...model.tensors.keys()].toSorted()).toEqual([...base.tensors.keys()].toSorted());
  for (const [tensor, group] of Object.entries(coefficients.groupOf)) {
    const start = await base.readFloat32(tensor);
    const ends = await Promise.all(experts.map((expert) => expert.readFloat32(tensor)));
    const column = coefficients.groups.indexOf(group);
    const expected = start.map((value, index) =>
      ends.reduce(
        (sum, end, task) =>
          sum + Math.fround(coefficients.values[task]?.[column] ?? 0) * Math.fround((end[index] ?? 0) - value),
        value,
      ),
    );
    expect(relativeError(await model.readFloat32(tensor), expected), tensor).toBeLessThan(1e-6);
  }
}

describe("a fit that cannot go on", () => {
  it("names step, task and layer of a loss that is NaN, and keeps the last coefficients with a finite one", async () => {
    const config = await configOf([
      ...["name=nan", "steps=50", "data.eval_every=0", "coefficients.constraint=none", "optimizer.learning_rate=1e30"],
    ]);
    const failed = fit(config, { ...quiet(), overwrite: false, onEvent: () => {} });
    await expect(failed).rejects.toThrow(
      /^step 2: the loss of task mnist \(and of letters\) is NaN: the numbers are not finite from vision_model\.\S+ on, for the images of mnist, letters; the largest coefficient there is -?\d\.\d\de\+\d+ \(task \w+, vision_model\.\S+\)\. The coefficients of step 0 are kept/,
    );
    const runPath = join(folder, "runs", "e", "nan");
    expect(JSON.parse(await readFile(join(runPath, "status.json"), "utf8"))).toMatchObject({ state: "failed" });
    const kept = parseCoefficients(await readFile(join(runPath, "coefficients.json"), "utf8"), "coefficients.json");
    expect(new Set(kept.values.flat())).toEqual(new Set([0.3]));
  });

  it.skipIf(!canLease)(
    "names the bundle that another program cut, and keeps the coefficients of the last good step",
    async () => {
      const config = await configOf(["name=cut", "steps=50", "data.eval_every=0"]);
      const cacheDir = join(folder, "cache of its own");
      const bundles = join(cacheDir, "bundles");
      let step = 0;
      const onEvent = async (event: TrainEvent): Promise<void> => {
        if (event.type !== "step") return;
        step = event.step;
        if (step !== 3) return;
        for (const name of await readdir(bundles)) {
          await chmod(join(bundles, name), 0o644);
          // Waits until the fit lets go of the file.
          await truncate(join(bundles, name), 1000);
        }
      };
      const failed = fit(config, { ...quiet(), cacheDir, overwrite: false, onEvent });
      await expect(failed).rejects.toThrow(
        /safetensors: expected nobody to write to this file while it is in use, found that another program opened it for/,
      );
      const runPath = join(folder, "runs", "e", "cut");
      const status = JSON.parse(await readFile(join(runPath, "status.json"), "utf8"));
      expect(status).toMatchObject({ state: "failed", step: 3 });
      const kept = parseCoefficients(await readFile(join(runPath, "coefficients.json"), "utf8"), "coefficients.json");
      expect(kept.values[0]?.some((value) => value !== 0.3)).toBe(true);
      // The damaged cache entry is built again, and the run goes on.
      const { reason } = await fit(config, {
        ...quiet(),
        cacheDir,
        overwrite: false,
        onEvent: () => {},
        resume: runPath,
      });
      expect(reason).toBe("finished");
      expect(step).toBe(3);
    },
  );
});
