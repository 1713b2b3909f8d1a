/**
 * The trainings of make-fine-tune.py as this project's, and how far apart the two are: for those of whole tensors and
 * those with LoRA.
 */
import { join } from "node:path";
import { expect } from "vitest";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { rowsInMemory } from "../../src/data/image/image-rows.js";
import { imageExamples } from "../../src/data/image/pixels.js";
import type { Engine } from "../../src/engine/program.js";
import { bert } from "../../src/model/bert/text-families.js";
import type { Head } from "../../src/model/heads.js";
import { fineTune } from "../../src/optimize/fine-tune/fine-tune.js";
import type { FineTuned, FineTuneStepEvent, FineTuning } from "../../src/optimize/fine-tune/options.js";
import { modelWeights } from "../../src/run/suite/stored-weights.js";
import { inOrder, paddedTexts } from "../support/training-examples.js";
import { CONFORMANCE, type FixtureArrays, readFixture } from "./fixture.js";
import { openModel } from "./image-encoders.js";
import { readTextModel } from "./text-models.js";

const STEPS = 50;
const SEED = 3;
/**
 * A key's bias adds one number to all scores of a softmax row: its exact gradient is 0, and Adam divides rounding noise
 * by its own size.
 */
const WITHOUT_EFFECT = /key\.bias$/;
const RATE = { learningRate: 2e-3, warmupSteps: 5, steps: STEPS } as const;

/** The encoder of a BERT, texts of several lengths in a batch, a frozen head, warm-up and cosine. */
export async function textTraining(engine: Engine): Promise<FineTuning> {
  const fixture = await readFixture("fine-tune/text.safetensors");
  const model = await readTextModel("text-step/base", bert, { pooling: "mean", normalized: true });
  const base = await openCheckpoint(join(CONFORMANCE, "text-step/base"));
  const order = fixture.ints("order");
  const place = { seed: SEED, task: "texts", batchSize: order.length / STEPS };
  const texts = fixtureTexts(fixture);
  return {
    ...{ engine, model, seed: SEED, trainHeads: false, clock: () => 0 },
    weights: await modelWeights(base, base, model),
    freeze: ["embeddings.*"],
    tasks: [
      {
        ...{ name: "texts", examplesPerStep: place.batchSize },
        store: inOrder(paddedTexts(model, texts, fixture.ints("labels")), order, place),
        head: headOf("texts", fixture, "head", 10),
      },
    ],
    schedule: { schedule: "cosine", ...RATE },
    adamw: { weightDecay: 0.05 },
    clipNorm: 1,
  };
}

/** Tokens of the texts in text.safetensors. */
export function fixtureTexts(fixture: FixtureArrays): number[][] {
  return [...fixture.ints("lengths")].map((length, row) => [
    ...fixture.ints("input_ids").subarray(row * 20, row * 20 + length),
  ]);
}

/** A whole ViT with the heads of two tasks, label smoothing, a line, rates by layer. */
export async function imageTraining(engine: Engine): Promise<FineTuning> {
  const fixture = await readFixture("fine-tune/image.safetensors");
  const { model, checkpoint } = await openModel("vit", { pooling: "cls", normalized: false });
  const tasks = ["alpha", "beta"].map((name) => {
    const labels = fixture.ints(`${name}.labels`);
    const order = fixture.ints(`${name}.order`);
    const place = { seed: SEED, task: name, batchSize: order.length / STEPS };
    const bytes = 16 * 16 * 3;
    const images = imageExamples(name, labels.length, rowsInMemory(fixture.bytes(`${name}.pixels`), bytes), bytes);
    return {
      ...{ name, examplesPerStep: place.batchSize, head: headOf(name, fixture, `${name}.head`, 5) },
      store: inOrder({ ...images, labels }, order, place),
    };
  });
  return {
    ...{ engine, model, seed: SEED, trainHeads: true, tasks, labelSmoothing: 0.1, clock: () => 0 },
    weights: await modelWeights(checkpoint, checkpoint, model),
    schedule: { schedule: "linear", ...RATE },
    adamw: { weightDecay: 0.05, rateFactor: ({ name }) => (name.startsWith("embeddings.") ? 0.5 : 1) },
    clipNorm: 8,
  };
}

export interface Compared {
  readonly steps: readonly FineTuneStepEvent[];
  readonly learned: FineTuned;
  /** Number of tensors. */
  readonly compared: number;
  readonly weights: number;
  readonly losses: number;
  readonly norms: number;
}

function headOf(task: string, fixture: FixtureArrays, array: string, logitScale: number): Head {
  const [classes = 0, featureSize = 0] = fixture.shape(array);
  const weight = Float32Array.from(fixture.floats(array));
  return { task, classes, featureSize, logitScale, weight, bias: new Float32Array(classes) };
}

/**
 * Trains and compares with the file of this name under fine-tune/. Largest differences from PyTorch: of losses and norms relative to
 * theirs, of weights absolute.
 */
export async function compare(options: FineTuning, name: string): Promise<Compared> {
  const fixture = await readFixture(`fine-tune/${name}.safetensors`);
  const steps: FineTuneStepEvent[] = [];
  const training = fineTune(options);
  for (;;) {
    const next = await training.next();
    if (next.done !== true) {
      if (next.value.type === "step") steps.push(next.value);
      continue;
    }
    const { tensors, factors = new Map(), heads } = next.value;
    const all = [
      ...tensors,
      ...[...factors].flatMap(([name, { a, b }]): [string, Float32Array][] => [
        [`${name}/a`, a],
        [`${name}/b`, b],
      ]),
      ...(options.trainHeads
        ? heads.flatMap(({ task, weight, bias }): [string, Float32Array][] => [
            [`head/${task}/weight`, weight],
            [`head/${task}/bias`, bias],
          ])
        : []),
    ];
    const apart = all
      .filter(([name]) => !WITHOUT_EFFECT.test(name))
      .map(([name, values]) => largest(values, fixture.floats(`after/${name}`), false));
    return {
      steps,
      learned: next.value,
      compared: all.length,
      weights: Math.max(...apart),
      losses: largest(
        steps.flatMap(({ taskLosses }) => taskLosses),
        fixture.floats("losses"),
        true,
      ),
      norms: largest(
        steps.map(({ gradientNorm }) => gradientNorm),
        fixture.floats("norms"),
        true,
      ),
    };
  }
}

function largest(found: ArrayLike<number>, expected: Float64Array, isRelative: boolean): number {
  expect(found.length).toBe(expected.length);
  return expected.reduce(
    (most, value, index) =>
      Math.max(most, Math.abs((found[index] ?? Number.NaN) - value) / (isRelative ? Math.abs(value) : 1)),
    0,
  );
}
