/**
 * The graphs that programs compile to, as sha256 of their bytes in graphs.json: a change of structure that is meant to change no result changes
 * none of them. A change that is meant to is recorded with `UPDATE_GRAPHS=1 npx vitest run test/golden/graphs.test.ts`, and said.
 */
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import type { ExampleStore } from "../../src/data/examples.js";
import { rowsInMemory } from "../../src/data/image/image-rows.js";
import { imageExamples } from "../../src/data/image/pixels.js";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import type { Engine } from "../../src/engine/program.js";
import { traceProgram } from "../../src/engine/trace/trace-program.js";
import { mergedTensors } from "../../src/merge/merged-weights.js";
import { type ObjectiveSpec, objectives } from "../../src/objective/objectives.js";
import { createClassifier } from "../../src/optimize/evaluate.js";
import { fineTuneProgram } from "../../src/optimize/fine-tune-program.js";
import { createModelProbe } from "../../src/optimize/model-probe.js";
import { locateNonFinite } from "../../src/optimize/non-finite.js";
import { STEP_INPUT_COEFFICIENTS, stepProgram } from "../../src/optimize/step-program.js";
import { loadProblem } from "../conformance/problem.js";

const FILE = join(import.meta.dirname, "graphs.json");
const IMAGES_PER_TASK = 2;

const onnx = createOnnxEngine({ provider: "cpu", threads: 1 });
const graphs = new Map<string, string>();
/** Compiles as the engine does, and notes what. */
const recording: Engine = {
  ...onnx,
  compile: (program) => {
    note(program.name, traceProgram(program).onnx);
    return onnx.compile(program);
  },
};
afterAll(() => onnx.close());

const targetsOf = ({ targets }: ObjectiveSpec) => {
  if (targets === "none") return "none";
  return targets === "expert_features" ? "features" : "probabilities";
};

function note(name: string, bytes: Uint8Array): void {
  graphs.set(name, createHash("sha256").update(bytes).digest("hex"));
}

it("are the recorded ones", async () => {
  const problem = await loadProblem();
  const half = await loadProblem("F16");
  for (const [name, of, maxTensorBytes] of [
    ["", problem, undefined],
    [", float16", half, undefined],
    [", in parts", problem, 32_768],
  ] as const) {
    for (const [objective, spec] of Object.entries<ObjectiveSpec>(objectives)) {
      const program = stepProgram({
        ...of,
        examplesPerTask: IMAGES_PER_TASK,
        taskWeight: 1,
        maxTensorBytes,
        targets: targetsOf(spec),
        loss: (logits, targets) => spec.loss(logits, { form: "log_softmax", epsilon: 1e-8 }, targets),
      });
      note(`step ${objective}${name}`, traceProgram(program).onnx);
    }
  }
  const { config, model, heads, bundle } = problem;
  const tasks = heads.map(({ task, classes }) => ({ name: task, classes, images: IMAGES_PER_TASK }));
  for (const trainHeads of [false, true]) {
    const anchors = trainHeads ? {} : { anchors: { images: 2, weight: 1 } };
    const options = { model, tasks, labelSmoothing: 0.1, logitScale: 10, trainHeads, ...anchors };
    note(`fine-tune${trainHeads ? " with heads" : ""}`, traceProgram(fineTuneProgram(options)).onnx);
  }
  const classifier = await createClassifier(recording, { model, heads, batchSize: 4 });
  const imageBytes = config.imageSize ** 2 * config.channels;
  const stores = new Map(
    heads.map(({ task }): [string, ExampleStore] => {
      const images = rowsInMemory(new Uint8Array(2 * imageBytes), imageBytes);
      return [task, imageExamples(task, 2, images, imageBytes)];
    }),
  );
  const probe = createModelProbe(recording, {
    ...{ model, heads, classifier, seed: 0, signal: new AbortController().signal },
    stores: async () => stores,
  });
  const weights = new Map<string, Float32Array>();
  const zeros = new Float32Array(bundle.tensors.length * bundle.tasks.length);
  for await (const { name, values } of mergedTensors(bundle, zeros)) weights.set(name, values);
  await probe.grams(0, weights, 2, [...weights.keys()]);
  await probe.fisher(0, weights, 1, 1);
  await probe.entropyGradient(0, weights, 2);
  const inputs = new Map<string, Float32Array | Uint8Array>([
    [STEP_INPUT_COEFFICIENTS, zeros.fill(Number.NaN)],
    ["images", new Uint8Array(heads.length * IMAGES_PER_TASK * imageBytes)],
  ]);
  const options = { bundle, model, heads, examplesPerTask: IMAGES_PER_TASK, maxTensorBytes: undefined };
  await locateNonFinite({ engine: recording, options, passes: 1 }, inputs);

  const found = Object.fromEntries([...graphs].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  if (process.env.UPDATE_GRAPHS === "1") await writeFile(FILE, `${JSON.stringify(found, undefined, 2)}\n`);
  expect(found).toEqual(JSON.parse(await readFile(FILE, "utf8")));
});
