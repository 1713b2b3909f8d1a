/** What a fit says before it begins, and a fit that is only planned. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseRunConfig } from "../../../src/config/load.js";
import { clipVisionModel } from "../../../src/model/clip/vision-model.js";
import { estimateOnce, type FitNeeds, fitNeeds, needsLines } from "../../../src/run/fit/fit-needs.js";
import { ROOT, runCli, temporaryFolder } from "../../support/cli.js";

const TOWER = {
  hiddenSize: 768,
  layers: 12,
  heads: 12,
  intermediateSize: 3072,
  imageSize: 224,
  patchSize: 32,
  channels: 3,
  projectionSize: 512,
  activation: "quick_gelu",
  layerNormEpsilon: 1e-5,
} as const;
const NORMALIZATION = { rescaleFactor: 1, mean: [0, 0, 0], std: [1, 1, 1] } as const;
const MODELS = { model: clipVisionModel(TOWER, NORMALIZATION), kind: "image", tasks: 8 } as const;

describe("what a fit needs", () => {
  it("is counted from the tower: bytes of the bundle and the model, images, passes", async () => {
    const folder = await temporaryFolder();
    const config = { suite: "x", output: join(folder, "runs"), data: { batch_size: 4 } };
    const needs = await fitNeeds(parseRunConfig(config), MODELS, join(folder, "cache"));
    // ViT-B/32's tower with its projection has 87,849,216 parameters.
    expect(needs).toMatchObject({ modelBytes: 4 * 87_849_216, bundleBytes: 9 * 4 * 87_849_216, imagesPerStep: 32 });
    expect(needs.passes).toBe(1);
    const half = parseRunConfig({ ...config, task_vectors: { dtype: "float16" }, save_model: false, memory_gb: 1.5 });
    const less = await fitNeeds(half, MODELS, join(folder, "cache"));
    expect(less).toMatchObject({ modelBytes: 0, bundleBytes: (4 + 8 * 2) * 87_849_216 });
    expect(less.passes).toBeGreaterThan(1);
    expect(await readdir(folder)).toEqual([]);
  });

  it("counts what learns outside the graph: arrays of the size of the model, or of all its coefficients", async () => {
    const folder = await temporaryFolder();
    const bytesOf = async (parametrisation: string): Promise<number> => {
      const config = parseRunConfig({ suite: "x", output: join(folder, "runs"), parametrisation });
      return (await fitNeeds(config, MODELS, join(folder, "cache"))).memoryBytes;
    };
    const scalar = await bytesOf("scalar");
    const parameters = 87_849_216;
    // Merged weights once and gradients twice; parameters and two moments in float32; the largest tensor's task vectors.
    expect((await bytesOf("all_weights")) - scalar).toBeGreaterThan(4 * 6 * parameters);
    expect((await bytesOf("all_weights")) - scalar).toBeLessThan(4 * 7.5 * parameters);
    expect((await bytesOf("element_wise")) - scalar).toBeGreaterThan(4 * (3 + 3 * 8) * parameters);
    const rows = (await bytesOf("rows_columns")) - scalar;
    expect(rows).toBeGreaterThan(4 * 3 * parameters);
    expect(rows).toBeLessThan(4 * 4.5 * parameters);
    // Both factors of every direction of a matrix [768, 768] are twice its task vectors, of one [3072, 768] 1.25 times.
    const masks = (await bytesOf("masks")) - scalar;
    expect(masks).toBeGreaterThan(4 * (3 + 1.25 * 8) * 0.95 * parameters);
    expect(masks).toBeLessThan(4 * (4 + 2 * 8) * parameters);
    const lowRank = (await bytesOf("low_rank")) - scalar;
    expect(lowRank).toBeGreaterThan(4 * 3 * parameters);
    expect(lowRank).toBeLessThan(4 * 4.5 * parameters);
  });

  it("is that of the largest stage, which also keeps the weights that it began with", async () => {
    const folder = await temporaryFolder();
    const bytesOf = async (settings: object): Promise<number> => {
      const config = parseRunConfig({ suite: "x", output: join(folder, "runs"), ...settings });
      return (await fitNeeds(config, MODELS, join(folder, "cache"))).memoryBytes;
    };
    const stages = [{ steps: 1 }, { steps: 1, parametrisation: "rows" }];
    const rows = await bytesOf({ parametrisation: "rows" });
    expect((await bytesOf({ stages })) - rows).toBe(4 * (87_849_216 - 768 * 512) + 4 * 768 * 512);
    expect(await bytesOf({ stages: stages.slice(0, 1) })).toBe(await bytesOf({}));
    const largestFirst = [{ steps: 1, parametrisation: "element_wise" }, ...stages.slice(1)];
    expect(await bytesOf({ stages: largestFirst })).toBe(await bytesOf({ parametrisation: "element_wise" }));
  });

  it("is refused where no machine like this could hold a step", async () => {
    const folder = await temporaryFolder();
    const config = parseRunConfig({ suite: "x", output: join(folder, "runs"), data: { batch_size: 1_000_000 } });
    const refused = fitNeeds(config, MODELS, join(folder, "cache"));
    await expect(refused).rejects.toThrow(/data.batch_size: .* 8000000 images that needs about .*; lower it/);
    const split = parseRunConfig({ ...config, memory_gb: 2 });
    expect((await fitNeeds(split, MODELS, join(folder, "cache"))).passes).toBeGreaterThan(100);
  });

  it("is of the longest step that the suite's cut leaves, before the examples are known", async () => {
    const folder = await temporaryFolder();
    const config = parseRunConfig({ suite: "x", output: join(folder, "runs") });
    const lengths = [16, 32, 64, 256];
    const texts = { ...MODELS, kind: "text", model: { ...MODELS.model, lengths } } as const;
    const needsAt = (cutTo?: number) => fitNeeds(config, { ...texts, cutTo }, join(folder, "cache"));
    expect(await needsAt()).toMatchObject({ longest: 256, isMost: true });
    expect(await needsAt(1000)).toMatchObject({ longest: 256, isMost: true });
    expect(await needsAt(30)).toMatchObject({ longest: 32, isMost: true });
  });

  it("is said plainly, with what to do when it is not there", () => {
    const needs: FitNeeds = {
      memoryBytes: 1.6e9,
      freeMemoryBytes: 20e9,
      passes: 1,
      examples: "images",
      imagesPerStep: 256,
      bundleBytes: 3.2e9,
      modelBytes: 0.4e9,
      freeCacheBytes: 50e9,
      freeOutputBytes: 50e9,
    };
    expect(needsLines(needs)).toEqual([
      "memory: about 1.60 GB for a step of 256 images, 20.0 GB free; task vectors are mapped from the disk",
      "disk: 3.20 GB of task vectors in the cache (50.0 GB free), 400 MB for the merged model (50.0 GB free)",
    ]);
    const scarce = needsLines({ ...needs, freeMemoryBytes: 1.4e9, freeOutputBytes: 0.1e9, passes: 2 });
    expect(scarce[0]).toContain("256 images in 2 passes");
    expect(needsLines({ ...needs, examples: "texts" })[0]).toContain("for a step of 256 texts, 20.0 GB free");
    expect(scarce[2]).toMatch(/^warning: a step needs more memory than is free; set memory_gb=1 /);
    expect(scarce[3]).toMatch(/^warning: the merged model will not fit/);
  });

  it("is told in time once, from the third step, when it is long", () => {
    const told = (secondsLeft: number): string[] => {
      const lines: string[] = [];
      const consume = estimateOnce((line) => lines.push(line));
      const step = { loss: 1, taskLosses: [1], gradientNorm: 1, learningRate: 1, coefficientMeans: [0] };
      const start = {
        objective: "entropy",
        tasks: ["a"],
        groups: ["all"],
        trainableCoefficients: 1,
        examples: "images",
        imagesPerStep: 1,
        passesPerStep: 1,
      } as const;
      consume({ type: "start", steps: 10, ...start });
      for (let number = 1; number <= 10; number++)
        consume({ type: "step", step: number, ...step, imagesPerSecond: 1, secondsLeft: secondsLeft - number });
      return lines;
    };
    expect(told(128)).toEqual(["time: about 2:05 for the 7 steps to come, judging apart"]);
    expect(told(5)).toEqual([]);
  });
});

describe("fit --dry-run", () => {
  it("times a step and begins no run", async () => {
    const folder = await temporaryFolder();
    const config = [join(ROOT, "configs", "mini8.yaml"), "tasks=[mnist, letters]", "data.eval_limit=20"];
    const { code, stdout } = await runCli(folder, ["fit", ...config, "--dry-run"]);
    expect(stdout).toMatch(
      /^fit: 160 coefficients of 2 tasks \(mnist, letters\)\nmemory: .*\ndisk: .*\ntime: about .* in all: 500 steps of /,
    );
    expect(code).toBe(0);
    expect(await readdir(folder)).toEqual(["cache"]);
    const json = await runCli(folder, ["fit", ...config, "--dry-run", "--json", "--quiet"]);
    expect(JSON.parse(json.stdout)).toMatchObject({ suite: "mini8", steps: 500, needs: { passes: 1 } });
    expect(json.stderr).toBe("");
  });

  it("lists the stages, and `config show` too", async () => {
    const folder = await temporaryFolder();
    const stages =
      "stages=[{steps: 4}, {steps: 6, parametrisation: all_weights, learning_rate: 5.0e-5, objective: {name: cross_entropy}}]";
    const config = [join(ROOT, "configs", "mini8.yaml"), "tasks=[mnist, letters]", "data.eval_limit=20", stages];
    const { stdout, code } = await runCli(folder, ["fit", ...config, "--dry-run"]);
    expect(stdout).toMatch(
      /^fit: 2 stages of 2 tasks \(mnist, letters\)\nstage 1: 160 coefficients, 4 steps at .* minimising entropy .*\nstage 2: \d+ merged weights, 6 steps at 0\.00005, minimising cross-entropy .*\nmemory: .*\ndisk: .*\ntime: about .* in all: 10 steps of /,
    );
    expect(code).toBe(0);
    const shown = await runCli(folder, ["config", "show", "--source", ...config]);
    expect(shown.stdout).toMatch(/\nstages: \[.*parametrisation: all_weights.*\] {2}# override/);
    expect(shown.stdout).toMatch(/\nsteps: 10 {2}# sum of stages/);
  });
});
