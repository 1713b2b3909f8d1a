/** Fits over task vectors that are counted from the mean of the experts, from the bundle to what is saved and said. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../../src/checkpoint/checkpoint.js";
import { loadRunConfig } from "../../../src/config/load.js";
import type { TrainEvent } from "../../../src/optimize/events.js";
import { convertCoefficients } from "../../../src/run/coefficients/convert-coefficients.js";
import { mergeToDirectory } from "../../../src/run/coefficients/merge-to-directory.js";
import { fit } from "../../../src/run/fit/fit.js";
import { stoppedRun } from "../../../src/run/fit/fit-folder.js";
import { evaluateMethod } from "../../../src/run/judge/evaluate-method.js";
import { coefficientsToAdapter } from "../../../src/run/merge-adapter/of-coefficients.js";
import { ROOT, temporaryFolder } from "../../support/cli.js";
import { relativeError } from "../../support/random.js";
import { TEXT_TASKS, writeTextSuite } from "../../support/tiny-text-suite.js";

const STEPS = ["steps=4", "checkpoint_every=2", "data.adapt_limit=8", "data.eval_every=2"];
const AVERAGE = "task_vectors.origin=average";
const CART = [
  AVERAGE,
  "task_vectors.processing=cart",
  "task_vectors.density=0.5",
  "coefficients.initial=1",
  "coefficients.max=3",
];
let root: string;
/** Of CART's task vectors, and of the plain ones of the base. */
let cart: Awaited<ReturnType<typeof run>>;
let plain: Awaited<ReturnType<typeof run>>;

beforeAll(async () => {
  root = await temporaryFolder();
  await writeTextSuite(root);
  cart = await run("cart", CART);
  plain = await run("plain", []);
}, 120_000);

async function configOf(...overrides: string[]) {
  const presetsDir = join(ROOT, "configs", "presets");
  return (await loadRunConfig(join(root, "config.yaml"), overrides, { presetsDir, cwd: root })).config;
}

const work = (log: (line: string) => void = () => {}, signal = new AbortController().signal) => ({
  ...{ cacheDir: join(root, "cache"), signal, log, overwrite: false, onEvent: () => {} },
});

async function run(name: string, overrides: readonly string[], stopAfter?: number) {
  const config = await configOf(`name=${name}`, ...STEPS, ...overrides);
  const abort = new AbortController();
  const onEvent = (event: TrainEvent) => {
    if (event.type === "step" && event.step === stopAfter) abort.abort();
  };
  return { config, ...(await fit(config, { ...work(() => {}, abort.signal), onEvent })) };
}

const text = (...path: string[]) => readFile(join(...path), "utf8");

/** Weights by name, without what wrappers put in front of it. */
async function values(folder: string): Promise<Map<string, Float32Array>> {
  const checkpoint = await openCheckpoint(folder);
  const names = [...checkpoint.tensors.values()].flatMap(({ name, dtype }) => (dtype === "F32" ? [name] : []));
  const read = async (name: string) => [name.replace(/^bert\./, ""), await checkpoint.readFloat32(name)] as const;
  return new Map(await Promise.all(names.map(read)));
}

/** The largest difference between two models, tensor by tensor, as a share of the second. */
function difference(some: ReadonlyMap<string, Float32Array>, others: ReadonlyMap<string, Float32Array>): number {
  return Math.max(...[...some].map(([name, own]) => relativeError(own, others.get(name) ?? expect.fail(name))));
}

describe("from the experts' average", () => {
  it("the base, the average and the experts are judged as they are, whatever is learned", () => {
    const rows = (table: typeof cart.table) => table.slice(0, -2);
    expect(rows(cart.table)).toEqual(rows(plain.table));
    expect(rows(cart.table).map(({ method }) => method)).toEqual(["pretrained", "weight_averaging", "individual"]);
    expect(cart.table.slice(-2).map(({ method }) => method)).toEqual(["start", "adamerging_layer_wise_cart"]);
  });

  it("a fit that was stopped ends as one that was not, to the bit", async () => {
    const stopped = await run("stopped", CART, 3);
    expect(stopped.reason).toBe("interrupted");
    const { config } = await stoppedRun(stopped.runPath);
    expect(config.task_vectors).toMatchObject({ origin: "average", processing: "cart" });
    await fit(config, { ...work(), resume: stopped.runPath });
    for (const file of ["coefficients.json", "predictions.json", "trajectory.jsonl"])
      expect(await text(stopped.runPath, file), file).toBe(await text(cart.runPath, file));
  });

  it("a run does not go on from another origin than it began with", async () => {
    const { runPath } = await run("other", CART, 3);
    const file = join(runPath, "config.yaml");
    const changed = (await text(file))
      .replace("origin: average", "origin: pretrained")
      .replace("processing: cart", "processing: ties");
    await writeFile(file, changed);
    const { config } = await stoppedRun(runPath);
    await expect(fit(config, { ...work(), resume: runPath })).rejects.toThrow(
      /expected the .* that the run began with/,
    );
  });

  it("merging with its coefficients gives its model, from the base's files and the same settings", async () => {
    const merged = join(root, "merged");
    await mergeToDirectory(cart.config, join(cart.runPath, "coefficients.json"), merged, work());
    const [own, again] = [await values(join(cart.runPath, "model")), await values(merged)];
    for (const [name, tensor] of own) expect([...(again.get(name) ?? [])], name).toEqual([...tensor]);
  });

  it("equal coefficients are the average, and those of one expert alone are that expert", async () => {
    const models = (name: string) => values(join(root, "models", name));
    const record = JSON.parse(await text(cart.runPath, "coefficients.json"));
    const config = await configOf(AVERAGE);
    const merged = async (name: string, perTask: readonly number[]) => {
      const file = join(root, `${name}.json`);
      const rows = perTask.map((value) => record.groups.map(() => value));
      await writeFile(file, JSON.stringify({ ...record, values: rows }));
      await mergeToDirectory(config, file, join(root, name), work());
      return values(join(root, name));
    };
    const [first = "", second = ""] = Object.keys(TEXT_TASKS);
    const [one, two] = [await models(first), await models(second)];
    const average = await merged("equal", [0.8, 0.8]);
    expect(average.size).toBeGreaterThan(30);
    const mean = new Map(
      [...one].map(([name, own]) => [name, own.map((value, i) => (value + (two.get(name)?.[i] ?? 0)) / 2)]),
    );
    expect(difference(average, mean)).toBeLessThan(1e-6);
    expect(difference(await merged("alone", [0, 1]), two)).toBeLessThan(1e-6);
    expect(difference(average, two)).toBeGreaterThan(1e-3);
  });

  it("what is frozen is the base's, not the average's", async () => {
    const { runPath } = await run("frozen", [AVERAGE, "freeze=[embeddings.*]", "save_report=false"]);
    const [saved, base] = [await values(join(runPath, "model")), await values(join(root, "models", "base"))];
    const equal = [...saved].filter(([name, own]) => own.every((value, i) => value === base.get(name)?.[i]));
    const frozen = [...saved.keys()].filter((name) => name.startsWith("embeddings."));
    expect(frozen.length).toBeGreaterThan(3);
    expect(equal.map(([name]) => name)).toEqual(frozen);
  });

  it("the model card and the report's figure say where task vectors are counted from", async () => {
    const card = await text(cart.runPath, "model", "README.md");
    expect(card).toMatch(
      /: mean of the experts \+ sum over tasks of coefficient x task vector \(cut to a share of 0\.5 of .* as in CART\), layer-wise/,
    );
    expect(card).toContain("origin: average");
    expect(await text(cart.runPath, "report.html")).toContain("as a share of the mean of the experts");
    expect(await text(plain.runPath, "report.html")).toContain("as a share of the base");
  });

  it("training-free methods are the same, and say that they do not look at it", async () => {
    const lines: string[] = [];
    const judged = async (...overrides: string[]) => {
      const method = { kind: "method", name: "task_arithmetic", settings: {} } as const;
      return evaluateMethod(
        await configOf(...overrides),
        method,
        work((line) => lines.push(line)),
      );
    };
    const { row } = await judged(...CART);
    expect(lines.filter((line) => line.includes("methods take"))).toEqual([
      "notice: methods take the task vectors as they are; task_vectors.origin=average and task_vectors.processing=cart of the config are for learned coefficients",
    ]);
    expect(row).toEqual((await judged()).row);
  });

  it("is refused where coefficients would mean something else, and for one task", async () => {
    const from = join(cart.runPath, "coefficients.json");
    const output = join(root, "other-tool.yaml");
    await expect(convertCoefficients(cart.config, { from, output, to: "mergekit" })).rejects.toThrow(
      /task_vectors\.origin: expected pretrained to write coefficients as mergekit, found average/,
    );
    await convertCoefficients(cart.config, { from, output, to: "json" });
    const adapter = {
      ...work(),
      output: join(root, "adapter"),
      rank: undefined,
      dtype: "float32" as const,
      onProgress: () => {},
    };
    await expect(coefficientsToAdapter(await configOf(AVERAGE), from, adapter)).rejects.toThrow(
      /task_vectors\.origin: expected pretrained to save the merge as an adapter, found average/,
    );
    await expect(run("single", [AVERAGE, "tasks=[vowels]"])).rejects.toThrow(
      /task_vectors\.origin: expected pretrained to merge one task, found average/,
    );
  });
});
