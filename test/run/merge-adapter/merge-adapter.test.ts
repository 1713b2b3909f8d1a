/**
 * `adamerge merge --save-as adapter`: the adapter on its base is the model that the same command writes without it, for
 * layer-wise coefficients and for merge files; and what cannot be one adapter is refused with what to do.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { openCheckpoint } from "../../../src/checkpoint/checkpoint.js";
import { writeSafetensors } from "../../../src/checkpoint/safetensors-writer.js";
import { loadConfig } from "../../../src/library/load-config.js";
import { mergeModelsToAdapter, mergeToAdapter } from "../../../src/library/merge-adapter.js";
import { saveTruncatedAdapter } from "../../../src/merge/truncated-adapter.js";
import { openBase, openExpert } from "../../../src/model/open-models.js";
import { coefficientsRecord } from "../../../src/run/records/records.js";
import { loadInputs } from "../../../src/run/session/inputs.js";
import { coefficientsText } from "../../../src/track/coefficients-file.js";
import { temporaryFolder } from "../../support/cli.js";
import { runInProcess } from "../../support/in-process-cli.js";
import { randomArray, relativeError } from "../../support/random.js";
import { TEXT_TASKS, writeTextSuite } from "../../support/tiny-text-suite.js";
import { changedModel } from "../../support/truncated-adapters.js";

let root = "";
const at = (...path: string[]) => join(root, ...path);
const run = (words: string) => runInProcess(root, words, {});
/** What each adapter changes: matrices alone, and with vectors and a table. */
const CHANGED: Readonly<Record<string, RegExp>> = {
  thirds: /query|value|intermediate\.dense\.weight/,
  vowels: /layer\.1\.(?:attention|output)|word_embeddings/,
};
const RANKS = { thirds: 3, vowels: 2 };

beforeAll(async () => {
  root = await temporaryFolder();
  await writeTextSuite(root);
  const base = await openCheckpoint(at("models", "base"));
  const suite = ["name: letters", "base: models/base", "features: { pooling: pooler, normalize: false }", "tasks:"];
  for (const [index, [task, beginnings]] of Object.entries(TEXT_TASKS).entries()) {
    const shown = { ...base, tensors: new Map([...base.tensors].filter(([, { dtype }]) => dtype === "F32")) };
    const model = await changedModel(shown, (name) => CHANGED[task]?.test(name) === true);
    const readFloat32 = async (name: string) => {
      const [own, before] = [await model.readFloat32(name), await base.readFloat32(name)];
      return own.map((value, element) => (before[element] ?? 0) + (index + 1) * (value - (before[element] ?? 0)));
    };
    const rank = task === "thirds" ? RANKS.thirds : RANKS.vowels;
    const options = { base, rank, dtype: "F32", baseName: "../models/base" } as const;
    await saveTruncatedAdapter(at(`${task}-lora`), { ...options, model: { ...model, readFloat32 } });
    const classes = beginnings.map((_, label) => `class ${label}`);
    await writeSafetensors(at(`${task}.safetensors`), [
      { name: "weight", dtype: "F32", shape: [classes.length, 16], data: randomArray(16 * classes.length, index) },
      { name: "logit_scale", dtype: "F32", shape: [1], data: Float32Array.of(1) },
    ]);
    suite.push(
      `  - { name: ${task}, dataset: texts/${task}, expert: ${task}-lora, head: ${task}.safetensors, classes: [${classes.join(", ")}] }`,
    );
  }
  await writeFile(at("suite.yaml"), `${suite.join("\n")}\n`);
  const { config } = await loadConfig(at("config.yaml"), {});
  const inputs = await loadInputs(config, { cacheDir: at("cache"), log: () => {} });
  const values = Float64Array.from(randomArray(2 * inputs.grouping.groups.length, 3, -0.1, 0.9));
  await writeFile(at("learned.json"), coefficientsText(coefficientsRecord(config, inputs, values)));
}, 120_000);

/** The largest error of a tensor of the adapter on the base, to the model of the other folder. */
async function apart(adapter: string, model: string): Promise<number> {
  const base = await openBase(at("models", "base"));
  const [found, wanted] = [await openExpert(at(adapter), base), await openCheckpoint(at(model))];
  const errors: number[] = [];
  for (const [name, { dtype }] of wanted.tensors) {
    if (dtype !== "F32") continue;
    const own = await (found.tensors.has(name) ? found : base).readFloat32(name);
    errors.push(relativeError(own, await wanted.readFloat32(name)));
  }
  expect(errors.length).toBeGreaterThan(30);
  return Math.max(...errors);
}

it("of layer-wise coefficients is the merged model, and so it is read", async () => {
  const words = "merge config.yaml --coefficients learned.json --output";
  expect((await run(`${words} merged`)).code).toBe(0);
  const told = await run(`${words} merged-lora --save-as adapter`);
  expect([told.code, told.stdout]).toEqual([0, `${at("merged-lora")}\n`]);
  expect(told.stderr).toMatch(
    /rank 5: \d+ matrices, \d+ other tensors in full; 0\.00 % of the change's norm is missed/,
  );
  expect(await apart("merged-lora", "merged")).toBeLessThan(2e-7);
  const config = JSON.parse(await readFile(at("merged-lora", "adapter_config.json"), "utf8"));
  expect(config).toMatchObject({ peft_type: "LORA", r: 5, lora_alpha: 5, task_type: "FEATURE_EXTRACTION" });
  expect(await readFile(at("merged-lora", "README.md"), "utf8")).toMatch(
    /A merge of 2 LoRA adapters of `base` \(`thirds`, `vowels`\).*\n\n## Method\n\nCoefficients that adamerge learned, layer-wise/,
  );
}, 120_000);

it("truncated, it says what each matrix misses", async () => {
  const words = "merge config.yaml --coefficients learned.json --save-as adapter --rank 2 --output";
  const told = await run(`${words} small`);
  expect(told.stderr).toMatch(/matrix +rank +norm of change +missed %\n-.*\n\S+ +2 of [35] +\S+ +\d+\.\d\d\n/);
  const json = JSON.parse((await run(`${words} small --overwrite --json`)).stdout);
  expect(json.error).toBeGreaterThan(0.01);
  expect(json.matrices.filter(({ error }: { error: number }) => error > 0.01).length).toBeGreaterThan(1);
  expect(json.matrices[0]).toMatchObject({ rank: 2 });
  expect(await apart("small", "merged")).toBeGreaterThan(1e-3);
  expect((await run(`${words} small`)).stderr).toMatch(/expected a new or empty folder/);
}, 120_000);

it.each([
  ["task-arithmetic", "merge_method: task_arithmetic", "{weight: 0.7}", "{weight: [0.2, 0.5]}"],
  ["average", "merge_method: linear", "{weight: 1}", "{weight: 3}"],
  ["lines", "method: lines\nparameters: {beta: 0.4}", undefined, undefined],
  ["sum", "method: linear\nparameters: {weights: [0.4, -0.3]}", undefined, undefined],
])(
  "of a merge file is what it merges: %s",
  async (name, method, first, second) => {
    const model = (task: string, parameters: string | undefined) =>
      `  - {model: ${task}-lora${parameters === undefined ? "" : `, parameters: ${parameters}`}}`;
    const lines = ["models:", model("thirds", first), model("vowels", second), "base_model: models/base", method];
    await writeFile(at(`${name}.yaml`), `${lines.join("\n")}\n`);
    expect((await run(`merge ${name}.yaml --output ${name} --threads 1`)).code).toBe(0);
    expect((await run(`merge ${name}.yaml --output ${name}-lora --save-as adapter`)).stderr).toMatch(
      /0\.00 % of the change/,
    );
    expect(await apart(`${name}-lora`, name)).toBeLessThan(3e-7);
  },
  120_000,
);

it("what cannot be one adapter is refused, with what to do", async () => {
  const file = async (name: string, text: string) => {
    await writeFile(at(`${name}.yaml`), text);
    return mergeModelsToAdapter(`${name}.yaml`, { cwd: root, output: "refused" });
  };
  const models =
    "models:\n  - {model: thirds-lora, parameters: {weight: 1}}\n  - {model: vowels-lora, parameters: {weight: 1}}\n";
  await expect(file("ties", `${models}base_model: models/base\nmerge_method: ties\n`)).rejects.toThrow(
    /ties\.yaml:5: merge_method: expected a method that only weighs task vectors \(merge_method linear, merge_method task_arithmetic, .*found ties, whose result is no sum of the adapters\. Write the merged model .*extract-lora/,
  );
  await expect(
    file("scaled", `${models}base_model: models/base\nmerge_method: linear\nparameters: {normalize: false}\n`),
  ).rejects.toThrow(
    /expected weights with a sum of 1 for tensor ".*", as an adapter leaves the base as it is, found 2/,
  );
  await expect(
    file(
      "tall",
      `${models.replaceAll(/, parameters: [^\n]*}}/g, "}")}base_model: models/base\nmethod: lines\nparameters: {merge: ties}\n`,
    ),
  ).rejects.toThrow(/found lines with these parameters/);
  await expect(
    file("full", `${models.replace("vowels-lora", "merged")}base_model: models/base\nmerge_method: task_arithmetic\n`),
  ).rejects.toThrow(/merged: expected LoRA adapters of one base to save the merge as an adapter, found model merged/);
  const suite = { cwd: root, coefficients: "learned.json", output: "refused", cacheDir: at("cache") };
  const { config } = await loadConfig(at("config.yaml"), {});
  const ties = { ...config, task_vectors: { ...config.task_vectors, processing: "ties" as const } };
  await expect(mergeToAdapter(ties, suite)).rejects.toThrow(/task_vectors\.processing: expected none .*found ties/);
  await writeFile(at("full.yaml"), (await readFile(at("suite.yaml"), "utf8")).replace("vowels-lora", "models/vowels"));
  await expect(mergeToAdapter({ ...config, suite: at("full.yaml") }, suite)).rejects.toThrow(
    /models\/vowels: expected LoRA adapters as experts .*found a model as that of task vowels\. Write the merged model/,
  );
  await expect(mergeToAdapter(config, { ...suite, rank: 0 })).rejects.toThrow(/rank: expected a whole number from 1/);
  expect((await run("merge config.yaml --coefficients learned.json --rank 2 --output x")).stderr).toMatch(
    /--rank: expected --save-as adapter with it, found 2 without/,
  );
}, 120_000);
