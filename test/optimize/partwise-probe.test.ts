/** RegMean++ over a pass part by part: the same model as with every block's inputs from the first layer on, with bounded memory and fewer runs. */
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { ExampleStore } from "../../src/data/examples.js";
import { rowsInMemory } from "../../src/data/image/image-rows.js";
import { imageExamples } from "../../src/data/image/pixels.js";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import { type Engine, sizeOf } from "../../src/engine/program.js";
import { createTfjsEngine } from "../../src/engine/tfjs-engine.js";
import type { MergeContext, ModelProbe } from "../../src/merge/methods/method.js";
import { bert } from "../../src/model/bert/text-families.js";
import type { Model } from "../../src/model/family.js";
import type { Head } from "../../src/model/heads.js";
import { createClassifier } from "../../src/optimize/evaluate.js";
import { createModelProbe } from "../../src/optimize/model-probe.js";
import { createPartwiseProbe } from "../../src/optimize/partwise-probe.js";
import { openModel } from "../conformance/image-encoders.js";
import { loadProblem } from "../conformance/problem.js";
import { readTextModel } from "../conformance/text-models.js";
import { memorySource, mergeAll } from "../support/merge-source.js";
import { randomArray, relativeError } from "../support/random.js";

const onnx = createOnnxEngine({ provider: "cpu", threads: 1 });
afterAll(() => onnx.close());

const TASKS = ["many", "few"] as const;
const signal = new AbortController().signal;

/** An engine that counts runs by program, and what is open. */
function counting(engine: Engine) {
  const runs: string[] = [];
  const open = new Set<string>();
  let compiled = 0;
  const compile: Engine["compile"] = async (program, beside) => {
    const executable = await engine.compile(program, beside);
    const own = `${program.name} ${compiled++}`;
    open.add(own);
    const { run, close } = executable;
    executable.run = (...given) => {
      runs.push(program.name);
      return run(...given);
    };
    executable.close = () => {
      open.delete(own);
      return close();
    };
    return executable;
  };
  return { engine: { ...engine, compile }, runs, open };
}

/** Texts of these numbers of tokens. */
function texts(task: string, tokens: readonly number[], model: Model): ExampleStore {
  const named = model.inputs(1);
  return {
    ...{ kind: "text", name: task, size: tokens.length, lengths: Int32Array.from(tokens) },
    gather: (indices, length = 0) => {
      const size = indices.length * length;
      const [ids, mask] = [new Int32Array(size).fill(1), new Uint8Array(size)];
      for (const [row, index] of indices.entries()) {
        for (let token = 0; token < (tokens[index] ?? 0); token++)
          ids[row * length + token] = 2 + ((index * 31 + token * 7 + task.length) % 24);
        mask.fill(1, row * length, row * length + (tokens[index] ?? 0));
      }
      const all: [string, Int32Array | Uint8Array][] = [
        ["input_ids", ids],
        ["attention_mask", mask],
        ["token_type_ids", new Uint8Array(size)],
      ];
      return new Map(all.filter(([name]) => named.has(name)));
    },
  };
}

function images(task: string, count: number, model: Model): ExampleStore {
  const size = sizeOf(model.inputs(1).get("images")?.shape ?? []);
  const pixels = Uint8Array.from(randomArray(count * size, count, 0, 256));
  return imageExamples(task, count, rowsInMemory(pixels, size), size);
}

interface Case {
  readonly name: string;
  readonly open: () => Promise<{ readonly model: Model; readonly stores: ReadonlyMap<string, ExampleStore> }>;
}

const textCase = (pooling: "pooler" | "mean"): Case => ({
  name: `BERT, ${pooling}`,
  open: async () => {
    const whole = await readTextModel(join("text-encoders", "bert"), bert, { pooling, normalized: true });
    const model = { ...whole, lengths: [4, 8, 16] };
    const stores = new Map([
      ["many", texts("many", [3, 8, 12, 5, 16, 14, 2], model)],
      ["few", texts("few", [9, 4, 16], model)],
    ]);
    return { model, stores };
  },
});
const imageStores = (model: Model) =>
  new Map([
    ["many", images("many", 6, model)],
    ["few", images("few", 4, model)],
  ]);
const cases: readonly Case[] = [
  textCase("pooler"),
  textCase("mean"),
  {
    name: "CLIP",
    open: async () => {
      const { model } = await loadProblem();
      return { model, stores: imageStores(model) };
    },
  },
  {
    name: "ViT, pooler",
    open: async () => {
      const { model } = await openModel("vit", { pooling: "pooler", normalized: false });
      return { model, stores: imageStores(model) };
    },
  },
];

async function prepared(engine: Engine, { open }: Case) {
  const { model, stores } = await open();
  const featureSize = model.featureSize;
  const heads = TASKS.map((task): Head => {
    const weight = randomArray(3 * featureSize, 9);
    return { task, classes: 3, featureSize, logitScale: 1, weight, bias: new Float32Array(3) };
  });
  const classifier = await createClassifier(engine, { model, heads, batchSize: 3 });
  const probe = createModelProbe(engine, { model, heads, classifier, signal, seed: 0, stores: async () => stores });
  const size = model.tensors.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const source = memorySource(model.tensors, randomArray(size, 1, -0.3, 0.3), [
    randomArray(size, 2, -0.05, 0.05),
    randomArray(size, 3, -0.05, 0.05),
  ]);
  const merged = (own: ModelProbe) => {
    const context: MergeContext = { source: { ...source, tasks: TASKS }, probe: own, seed: 0, pieceElements: 1 << 20 };
    return mergeAll("regmean_pp", { examples: 7 }, context);
  };
  return { model, stores, probe, merged };
}

describe.each(cases)("$name", (one) => {
  it("is the model that is found from the first layer on, with each block run twice for each batch", async () => {
    const { engine, runs, open } = counting(onnx);
    const { model, probe, merged } = await prepared(engine, one);
    const before = open.size;
    const { partwise, ...fromStart } = probe;
    expect(partwise).toBeDefined();
    const found = await merged(probe);
    expect(open.size).toBe(before);
    expect(runs).not.toContain("grams");
    const batches = model.lengths === undefined ? 2 : 3 + 2;
    for (let part = 1; part <= (model.parts?.blocks ?? 0); part++)
      for (const kind of ["grams", "part"])
        expect(runs.filter((name) => name.startsWith(`${kind} ${part} of`))).toHaveLength(batches);
    const expected = await merged(fromStart);
    expect(runs).toContain("grams");
    expect(relativeError(found, expected)).toBeLessThan(1e-6);
  });

  it("keeps no more than there is room for, and finds the same", async () => {
    const { engine, runs, open } = counting(onnx);
    const { model, stores, probe, merged } = await prepared(engine, one);
    const parts = model.parts ?? expect.fail("parts");
    const whole = await merged(probe);
    const before = open.size;
    const draw = async (task: number) => stores.get(TASKS[task] ?? "") ?? expect.fail(`task ${task}`);
    const batches = model.lengths === undefined ? { many: 1, few: 1 } : { many: 3, few: 2 };
    const bytesOfMany = (model.lengths ?? [undefined])
      .map((length) => 4 * sizeOf(parts.shape(length === undefined ? 6 : 7, length)))
      .reduce((a, b) => a + b, 0);
    const hasLayersBehind = model.tensors.some(
      ({ part, sharesInput }) => part === "output" && sharesInput !== undefined,
    );
    const asked = parts.blocks + Number(hasLayersBehind);
    for (const [keptBytes, firstParts] of [
      [0, asked * (batches.many + batches.few)],
      [bytesOfMany - 1, asked * batches.many + batches.few],
      [bytesOfMany, batches.many + asked * batches.few],
    ] as const) {
      runs.length = 0;
      const options = { model, parts, tasks: TASKS.length, draw, signal, keptBytes };
      const found = await merged({ ...probe, partwise: () => createPartwiseProbe(engine, options) });
      expect(relativeError(found, whole), `${keptBytes} bytes`).toBeLessThan(1e-6);
      expect(runs.filter((name) => name.startsWith("part 0 of"))).toHaveLength(firstParts);
      expect(open.size).toBe(before);
    }
  });
});

it("is the same in an engine that computes eagerly", async () => {
  const [first] = cases;
  const one = first ?? expect.fail("a case");
  const eager = await createTfjsEngine("cpu");
  const [a, b] = [await prepared(onnx, one), await prepared(eager, one)];
  expect(relativeError(await b.merged(b.probe), await a.merged(a.probe))).toBeLessThan(1e-5);
});
