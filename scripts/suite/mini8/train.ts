/**
 * Fine-tuning of towers for the shipped suites with the project's own engine: Adam on all weights, images fed as uint8,
 * the compiled step of src/optimize/fine-tune-program.ts. Used for pretraining (heads trained too), experts and the
 * multi-task model. Its state is kept on disk, so that a killed training goes on where it was.
 */
import {
  type ClipVisionConfig,
  clipVisionModel,
  clipVisionTensors,
  type Engine,
  fineTuneProgram,
  initAdam,
  learningRateAt,
  type TensorValues,
  updateAdam,
} from "../../../dist/internal.js";
import type { Anchors } from "./anchors.js";
import { NORMALIZATION } from "./towers.js";
import { readTrainState, removeTrainState, type TrainState, writeTrainState } from "./train-state.js";
import { type BatchSource, trainingBatches } from "./training-batches.js";

/** A minute or less of work is lost by a kill. */
const STATE_EVERY_STEPS = 250;
const LOG_EVERY_STEPS = 100;
/** Adam's moments as in CLIP's training (Radford et al. 2021, table 20); no weight decay. */
const ADAM = { beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weightDecay: 0 } as const;

export interface TrainHead {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

export interface TrainTask extends BatchSource {
  readonly head: TrainHead;
}

export interface TrainSettings {
  readonly steps: number;
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly labelSmoothing: number;
}

export interface FineTuneRun extends TrainSettings {
  readonly name: string;
  readonly engine: Engine;
  readonly config: ClipVisionConfig;
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly tasks: readonly TrainTask[];
  readonly logitScale: number;
  readonly trainHeads: boolean;
  readonly seed: number;
  /** Images of other domains whose features shall stay; none in pretraining. */
  readonly anchors?: Anchors;
  readonly statePath: string;
  readonly log: (line: string) => void;
}

export interface Trained {
  readonly weights: Map<string, Float32Array>;
  /** Wall time over all interruptions. */
  readonly seconds: number;
  /** Training loss in nats, smoothed over about fifty steps. */
  readonly loss: number;
}

/** Trains to the last step: linear warm-up, cosine decay. Goes on from `statePath` if there is a state. */
export async function fineTune(run: FineTuneRun): Promise<Trained> {
  const { fixed, trained } = startTensors(run);
  const size = [...trained.values()].reduce((sum, values) => sum + values.length, 0);
  const kept = await readTrainState(run.statePath, size);
  const state = kept ?? freshState(trained, size);
  if (kept !== undefined) run.log(`${run.name}: goes on after step ${kept.step}`);
  copyOut(state.parameters, trained);
  const executable = await run.engine.compile(
    fineTuneProgram({
      model: clipVisionModel(run.config, NORMALIZATION),
      tasks: run.tasks.map(({ name, pixels, images }) => ({ name, images, classes: pixels.classes.length })),
      labelSmoothing: run.labelSmoothing,
      logitScale: run.logitScale,
      trainHeads: run.trainHeads,
      ...(run.anchors === undefined ? {} : { anchors: run.anchors }),
    }),
  );
  const batchAt = inputBatches(run);
  const gradient = new Float32Array(size);
  let batch = batchAt(state.step + 1);
  let started = performance.now();
  while (state.step < run.steps) {
    const step = state.step + 1;
    const running = executable.run(new Map<string, TensorValues>([...fixed, ...trained, ...batch]));
    // The next batch is made while the engine's thread works on this one.
    batch = batchAt(step + 1);
    const outputs = await running;
    const losses = [...valuesOf(outputs, "losses")].slice(0, run.tasks.length);
    const loss = losses.reduce((sum, value) => sum + value, 0) / losses.length;
    if (!Number.isFinite(loss)) throw new Error(`${run.name}: loss is ${loss} at step ${step}`);
    copyIn(gradient, outputs, trained);
    updateAdam(state.adam, state.parameters, gradient, learningRateAt(step, { schedule: "cosine", ...run }), ADAM);
    copyOut(state.parameters, trained);
    state.loss = step === 1 ? loss : 0.98 * state.loss + 0.02 * loss;
    state.step = step;
    const now = performance.now();
    state.seconds += (now - started) / 1000;
    started = now;
    if (step % STATE_EVERY_STEPS === 0) await writeTrainState(run.statePath, state);
    if (step % LOG_EVERY_STEPS === 0 || step === run.steps) report(run, state);
  }
  await executable.close();
  await removeTrainState(run.statePath);
  const weights = clipVisionTensors(run.config).map(({ name }): [string, Float32Array] => [
    name,
    valuesOf(trained, `weights/${name}`),
  ]);
  return { weights: new Map(weights), seconds: state.seconds, loss: state.loss };
}

/** The program's images, labels and anchors of a step. */
function inputBatches({ name, tasks, seed, config, anchors }: FineTuneRun): (step: number) => [string, TensorValues][] {
  const batches = trainingBatches(name, tasks, seed, config.imageSize);
  return (step) => {
    const { images, labels } = batches.at(step);
    if (anchors === undefined)
      return [
        ["images", images],
        ["labels", labels],
      ];
    const kept = anchors.at(step);
    const all = new Uint8Array(images.length + kept.images.length);
    all.set(images);
    all.set(kept.images, images.length);
    return [
      ["images", all],
      ["labels", labels],
      ["anchors", kept.features],
    ];
  };
}

/** The program's inputs that stay as they are, and those that are trained, in one fixed order. */
function startTensors(run: FineTuneRun): { fixed: Map<string, Float32Array>; trained: Map<string, Float32Array> } {
  const fixed = new Map<string, Float32Array>();
  const trained = new Map<string, Float32Array>();
  for (const { name } of clipVisionTensors(run.config))
    trained.set(`weights/${name}`, valuesOf(run.weights, name).slice());
  for (const { name, head } of run.tasks) {
    const target = run.trainHeads ? trained : fixed;
    target.set(`head/${name}/weight`, head.weight.slice());
    target.set(`head/${name}/bias`, head.bias.slice());
  }
  return { fixed, trained };
}

function freshState(trained: ReadonlyMap<string, Float32Array>, size: number): TrainState {
  const parameters = new Float64Array(size);
  let offset = 0;
  for (const values of trained.values()) {
    parameters.set(values, offset);
    offset += values.length;
  }
  const { mean, meanSquare } = initAdam(size);
  return { step: 0, seconds: 0, loss: 0, parameters, adam: { updates: 0, mean, meanSquare } };
}

function copyIn(
  gradient: Float32Array,
  outputs: ReadonlyMap<string, Float32Array>,
  trained: ReadonlyMap<string, Float32Array>,
): void {
  let offset = 0;
  for (const name of trained.keys()) {
    const values = valuesOf(outputs, `gradient/${name}`);
    gradient.set(values, offset);
    offset += values.length;
  }
}

function copyOut(parameters: Float64Array, trained: ReadonlyMap<string, Float32Array>): void {
  let offset = 0;
  for (const values of trained.values()) {
    values.set(parameters.subarray(offset, offset + values.length));
    offset += values.length;
  }
}

function report(run: FineTuneRun, { step, seconds, loss }: TrainState): void {
  const images = step * run.tasks.reduce((sum, task) => sum + task.images, 0);
  run.log(
    `${run.name} step ${step}/${run.steps} loss ${loss.toFixed(3)} ${(images / seconds).toFixed(0)} images/s ${seconds.toFixed(0)} s`,
  );
}

function valuesOf(map: ReadonlyMap<string, Float32Array>, name: string): Float32Array {
  const values = map.get(name);
  if (values === undefined) throw new Error(`no tensor ${name}`);
  return values;
}
