/**
 * A small training for tests: a BERT with random weights on texts of several lengths whose first token tells the class,
 * two tasks.
 */
import { join } from "node:path";
import { openCheckpoint } from "../../../src/checkpoint/checkpoint.js";
import type { Engine } from "../../../src/engine/program.js";
import { bert } from "../../../src/model/bert/text-families.js";
import type { Head } from "../../../src/model/heads.js";
import { fineTune } from "../../../src/optimize/fine-tune/fine-tune.js";
import type { FineTuned, FineTuneEvent, FineTuneTask, FineTuning } from "../../../src/optimize/fine-tune/options.js";
import { modelWeights } from "../../../src/run/suite/stored-weights.js";
import { createRng } from "../../../src/runtime/rng.js";
import { CONFORMANCE } from "../../conformance/fixture.js";
import { readTextModel } from "../../conformance/text-models.js";
import { randomArray } from "../../support/random.js";
import { paddedTexts } from "../../support/training-examples.js";

const TEXTS = 20;
const FIRST_WORD = 3;

export async function tinyTraining(engine: Engine, steps: number): Promise<FineTuning> {
  const model = await readTextModel("text-step/base", bert, { pooling: "mean", normalized: true });
  const base = await openCheckpoint(join(CONFORMANCE, "text-step/base"));
  const task = (name: string, classes: number, examplesPerStep: number): FineTuneTask => {
    const rng = createRng(name);
    const labels = Int32Array.from({ length: TEXTS }, (_, row) => row % classes);
    const texts = Array.from(labels, (label) => [
      FIRST_WORD + label,
      ...Array.from({ length: 2 + rng.nextInt(18) }, () => FIRST_WORD + rng.nextInt(28)),
    ]);
    return { name, examplesPerStep, store: paddedTexts(model, texts, labels, name), head: head(name, classes) };
  };
  const head = (name: string, classes: number): Head => ({
    ...{ task: name, classes, featureSize: model.featureSize, logitScale: 5 },
    weight: Float32Array.from(randomArray(classes * model.featureSize, classes)),
    bias: new Float32Array(classes),
  });
  return {
    ...{ engine, model, seed: 7, trainHeads: false, clock: () => 0 },
    weights: await modelWeights(base, base, model),
    freeze: ["embeddings.*"],
    tasks: [task("many", 3, 4), task("few", 2, 2)],
    schedule: { schedule: "cosine", learningRate: 2e-3, warmupSteps: 2, steps },
    adamw: { weightDecay: 0.01 },
  };
}

/** All events and what is returned; `seen` is told each event while the training waits. */
export async function trainToEnd(
  options: FineTuning,
  seen: (event: FineTuneEvent) => void = () => undefined,
): Promise<{ events: readonly FineTuneEvent[]; result: FineTuned }> {
  const events: FineTuneEvent[] = [];
  const training = fineTune(options);
  for (;;) {
    const next = await training.next();
    if (next.done === true) return { events, result: next.value };
    events.push(next.value);
    seen(next.value);
  }
}
