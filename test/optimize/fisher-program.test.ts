/** The Fisher information with tables by rows, against its definition: the gradient of each class in whole tensors, squared and summed in float64. */
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import type { ExampleStore } from "../../src/data/examples.js";
import { lookup } from "../../src/engine/lookup.js";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import { valueAndGradients } from "../../src/engine/ops/gradients.js";
import type { Engine, Program } from "../../src/engine/program.js";
import { type Tensor, tf } from "../../src/engine/tf.js";
import { createTfjsEngine } from "../../src/engine/tfjs-engine.js";
import { traceProgram } from "../../src/engine/trace/trace-program.js";
import { bert } from "../../src/model/bert/text-families.js";
import type { Model } from "../../src/model/family.js";
import { applyHead, headSources, headSpecs } from "../../src/model/head-program.js";
import type { Head } from "../../src/model/heads.js";
import { plainWeights } from "../../src/model/model-weights.js";
import { createClassifier } from "../../src/optimize/evaluate.js";
import { fisherProgram } from "../../src/optimize/fisher-program.js";
import { createModelProbe } from "../../src/optimize/model-probe.js";
import { weightName, weightSources, weightSpecs } from "../../src/optimize/step-program.js";
import { modelWeights } from "../../src/run/suite/stored-weights.js";
import { CONFORMANCE } from "../conformance/fixture.js";
import { readTextModel } from "../conformance/text-models.js";
import { randomArray, relativeError } from "../support/random.js";
import { tinyHead, tinyTextModel, tinyTexts, tinyWeights } from "../support/tiny-texts.js";

const onnx = createOnnxEngine({ provider: "cpu", threads: 1 });
afterAll(() => onnx.close());

const CLASSES = 3;

interface Problem {
  readonly model: Model;
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly head: Head;
  readonly store: ExampleStore;
}

/** Short vocabularies: words come again within a text. */
const problems: Readonly<Record<string, () => Promise<Problem>>> = {
  "a tiny model": async () => {
    const store = tinyTexts("longer", [12, 3, 16], CLASSES);
    return { model: tinyTextModel(), weights: tinyWeights(4), head: tinyHead("t", CLASSES, 11), store };
  },
  BERT: async () => {
    const folder = join("text-encoders", "bert");
    const whole = await readTextModel(folder, bert, { pooling: "mean", normalized: false });
    const model = { ...whole, lengths: [8, 16] };
    const checkpoint = await openCheckpoint(join(CONFORMANCE, folder));
    const weights = await modelWeights(checkpoint, checkpoint, model);
    const { featureSize } = model;
    const weight = randomArray(CLASSES * featureSize, 9);
    const head = { task: "t", classes: CLASSES, featureSize, logitScale: 1, weight, bias: new Float32Array(CLASSES) };
    const tiny = tinyTexts("other", [9, 5], CLASSES);
    const gather: ExampleStore["gather"] = (indices, length) => {
      const inputs = new Map(tiny.gather(indices, length));
      return new Map([...inputs, ["token_type_ids", new Uint8Array(inputs.get("input_ids")?.length ?? 0)]]);
    };
    return { model, weights, head, store: { ...tiny, gather } };
  },
};

/** Gradients of log p(class) in every whole tensor, and p. */
function plainProgram(model: Model, head: Head, length: number): Program {
  const names = model.tensors.map(({ name }) => name);
  return {
    name: "plain gradients",
    frozen: new Map([...weightSpecs(model), ...headSpecs([head])]),
    inputs: new Map([...model.inputs(1, length), ["class", { shape: [1, CLASSES], dtype: "float32" }]]),
    build: (tensors) => {
      const get = lookup(tensors);
      const logOf = (...values: Tensor[]): Tensor => {
        const byName = new Map(names.map((name, at) => [name, values[at] ?? expect.fail(name)]));
        const logits = applyHead(head, model.features(plainWeights(lookup(byName)), get), get);
        return tf.sum(tf.mul(tf.logSoftmax(logits), get("class")));
      };
      const { value, gradients } = valueAndGradients(
        logOf,
        names.map((name) => get(weightName(name))),
      );
      return new Map([["log", value], ...names.map((name, at) => [name, gradients[at] ?? value] as const)]);
    },
  };
}

async function plainFisher({ model, weights, head, store }: Problem): Promise<Map<string, Float64Array>> {
  const eager = await createTfjsEngine("cpu");
  const sums = new Map<string, Float64Array>();
  for (let index = 0; index < store.size; index++) {
    const length = model.lengths?.at(-1) ?? 0;
    const executable = await eager.compile(plainProgram(model, head, length));
    await executable.bind(new Map([...weightSources(model, weights), ...headSources([head])]));
    for (let own = 0; own < CLASSES; own++) {
      const chosen = Float32Array.from({ length: CLASSES }, (_, at) => Number(at === own));
      const outputs = await executable.run(
        new Map([...store.gather(Uint32Array.of(index), length), ["class", chosen] as const]),
      );
      const share = Math.exp(outputs.get("log")?.[0] ?? Number.NaN);
      for (const { name } of model.tensors) {
        const gradient = outputs.get(name) ?? expect.fail(name);
        const sum = sums.get(name) ?? new Float64Array(gradient.length);
        for (const [at, value] of gradient.entries()) sum[at] = (sum[at] ?? 0) + (share * value * value) / store.size;
        sums.set(name, sum);
      }
    }
  }
  return sums;
}

/** An engine that notes what is open. */
function noting(engine: Engine) {
  const open: string[] = [];
  const compile: Engine["compile"] = async (program, beside) => {
    const executable = await engine.compile(program, beside);
    const { close } = executable;
    open.push(program.name);
    executable.close = () => {
      open.splice(open.indexOf(program.name), 1);
      return close();
    };
    return executable;
  };
  return { engine: { ...engine, compile }, open };
}

it.each(Object.keys(problems))("%s: is the mean over examples of p (d log p / d theta)^2", async (name) => {
  const problem = (await problems[name]?.()) ?? expect.fail(name);
  const { model, weights, head, store } = problem;
  const expected = await plainFisher(problem);
  const largest = Math.max(...[...expected.values()].map((values) => Math.hypot(...values)));
  for (const engine of [onnx, await createTfjsEngine("cpu")]) {
    const { engine: noted, open } = noting(engine);
    const classifier = await createClassifier(noted, { model, heads: [head], batchSize: 2 });
    const signal = new AbortController().signal;
    const stores = async () => new Map([[head.task, store]]);
    const probe = createModelProbe(noted, { model, heads: [head], classifier, stores, seed: 0, signal });
    const found = await probe.fisher(0, weights, store.size, 1);
    expect(open).not.toContain("fisher of t");
    expect([...found.keys()]).toEqual([...expected.keys()]);
    for (const [tensor, values] of expected) {
      // A key's bias moves all scores of a query alike: its gradient is rounding.
      if (Math.hypot(...values) < 1e-9 * largest) continue;
      expect(relativeError(found.get(tensor) ?? [], values), `${engine.name}: ${tensor}`).toBeLessThan(1e-5);
    }
  }
});

it("hands over rows of tables, not tables", async () => {
  const { model, head } = (await problems.BERT?.()) ?? expect.fail("BERT");
  const { outputs } = traceProgram(fisherProgram({ model, length: 8 }, head));
  const tables = model.tensors.filter(({ isTable }) => isTable === true);
  expect(tables.length).toBeGreaterThan(0);
  for (const { name, shape } of tables) {
    expect(outputs.find((output) => output.name === name)?.shape).toEqual([8, shape[1]]);
    expect(outputs.find((output) => output.name === `numbers/${name}`)?.shape).toEqual([8]);
  }
});
