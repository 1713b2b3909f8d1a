/**
 * Our side of `bench finetune`, as a process: the training that `adamerge finetune` runs, step by step. Requests:
 * `open`, which also writes its examples, the order of its batches and its head for the other side, and `step`, which
 * answers with milliseconds.
 */
import { finetuneConfig } from "../../dist/config/finetune.js";
import type { ExampleValues } from "../../dist/data/examples.js";
import { batchIndices } from "../../dist/data/sampler.js";
import { writeSafetensors } from "../../dist/internal.js";
import { fineTune } from "../../dist/optimize/fine-tune/fine-tune.js";
import type { FineTuneStepEvent } from "../../dist/optimize/fine-tune/options.js";
import { firstHead, type Training, tuningOf, withTraining } from "../../dist/run/finetune/training.js";
import { serve } from "./peer.js";

/** More than are measured. */
const STEPS = 100_000;
/** Batches that the other side knows; then it begins again. */
const BATCHES = 400;
/** Of mini8's towers. */
const NORMALIZATION = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };

const [base = "", data = "", settingsJson = "[]", cacheDir = "", filePath = ""] = process.argv.slice(2);
const config = finetuneConfig(base, data, [...JSON.parse(settingsJson), `steps=${STEPS}`], process.cwd());
const options = {
  ...{ cacheDir, overwrite: false, clock: () => performance.now(), signal: new AbortController().signal },
  ...{ log: () => {}, detail: () => {}, onProgress: () => {}, onEvent: () => {} },
};

await withTraining(config, options, async (training) => {
  const begin = performance.now();
  const head = await firstHead(training, options);
  await writeExamples(training, head.weight, head.classes, head.logitScale);
  const steps = fineTune(tuningOf(training, head, options));
  const nextStep = async (): Promise<FineTuneStepEvent> => {
    for (;;) {
      const { done, value } = await steps.next();
      if (done) throw new Error("the training ended");
      if (value.type === "step") return value;
      if (value.type === "start") trained = value.trainedParameters;
    }
  };
  let trained = 0;
  await serve(async (request) => {
    if (request.kind === "open") {
      const { loss } = await nextStep();
      const secondsToFirstStep = (performance.now() - begin) / 1000;
      return { loss, secondsToFirstStep, trained, batch: config.batch_size };
    }
    const ms: number[] = [];
    let loss = Number.NaN;
    for (let step = 0; step < Number(request.count); step++) {
      const asked = performance.now();
      ({ loss } = await nextStep());
      ms.push(performance.now() - asked);
    }
    return { ms, loss };
  });
  await steps.return(undefined as never);
});

/** Everything that the other side trains with, in one file. */
async function writeExamples(
  { task, data: { train }, chosen, base: { model, encoder } }: Training,
  head: Float32Array,
  classes: number,
  scale: number,
): Promise<void> {
  const all = Uint32Array.from({ length: train.size }, (_, index) => index);
  const length = model.lengths?.at(-1);
  const order = Array.from({ length: BATCHES }, (_, step) => [
    ...batchIndices({ seed: config.seed, task, step, batchSize: config.batch_size, size: train.size }),
  ]).flat();
  const shapes = model.inputs(train.size, length);
  const examples = [...train.gather(all, length)].map(([name, values]) => ({
    ...{ name, dtype: dtypeOf(values), shape: shapes.get(name)?.shape ?? [], data: bytesOf(values) },
  }));
  const plan = {
    ...{ kind: encoder.kind, scale, rate: chosen.schedule.learningRate, decay: config.optimizer.weight_decay },
    ...{ rank: chosen.lora?.rank ?? 0, alpha: chosen.lora?.alpha ?? 0, ...NORMALIZATION },
  };
  await writeSafetensors(
    filePath,
    [
      ...examples,
      { name: "labels", dtype: "I32", shape: [train.size], data: bytesOf(train.labels) },
      { name: "order", dtype: "I32", shape: [BATCHES, config.batch_size], data: bytesOf(Int32Array.from(order)) },
      { name: "head", dtype: "F32", shape: [classes, model.featureSize], data: head },
    ],
    { metadata: { plan: JSON.stringify(plan) } },
  );
}

function dtypeOf(values: ExampleValues): "U8" | "I32" {
  if (values instanceof Float32Array) throw new Error("expected images in bytes or texts in tokens, found floats");
  return values instanceof Int32Array ? "I32" : "U8";
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
