/**
 * Fine-tuning of towers for the shipped suites with the project's own engine: Adam on all weights, images fed as uint8,
 * the compiled step of src/optimize/fine-tune-program.ts. Used for pretraining (heads trained too) and for experts.
 */
import {
  type ClipVisionConfig,
  clipVisionTensors,
  createRng,
  type Engine,
  fineTuneProgram,
  initAdam,
  learningRateAt,
  permutation,
  stepAdam,
  type TensorValues,
} from "../../dist/index.js";
import type { RawPixels } from "./raw-pixels.js";

/** The normalisation of the shipped towers: levels 0..255 to -1..1. */
export const NORMALIZATION = { rescaleFactor: 1 / 255, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const;

/** Largest random shift of an image, in pixels. */
const MAX_SHIFT = 2;

export interface TrainHead {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

export interface TrainTask {
  readonly name: string;
  readonly pixels: RawPixels;
  readonly images: number;
  readonly head: TrainHead;
}

export interface FineTuneRun {
  readonly name: string;
  readonly engine: Engine;
  readonly config: ClipVisionConfig;
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly tasks: readonly TrainTask[];
  readonly steps: number;
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly labelSmoothing: number;
  readonly logitScale: number;
  readonly trainHeads: boolean;
  readonly seed: number;
  readonly log: (line: string) => void;
}

/** Trains; returns the new weights. Constant warm-up, cosine decay, no weight decay. */
export async function fineTune(run: FineTuneRun): Promise<Map<string, Float32Array>> {
  const program = fineTuneProgram({
    config: run.config,
    normalization: NORMALIZATION,
    tasks: run.tasks.map(({ name, pixels, images }) => ({ name, images, classes: pixels.classes.length })),
    labelSmoothing: run.labelSmoothing,
    logitScale: run.logitScale,
    trainHeads: run.trainHeads,
  });
  const executable = await run.engine.compile(program);
  const fixed = new Map<string, TensorValues>();
  const trained = new Map<string, Float32Array>();
  for (const { name } of clipVisionTensors(run.config)) trained.set(`weights/${name}`, valuesOf(run.weights, name));
  for (const task of run.tasks) {
    const target: Map<string, TensorValues> = run.trainHeads ? trained : fixed;
    target.set(`head/${task.name}/weight`, task.head.weight);
    target.set(`head/${task.name}/bias`, task.head.bias);
  }
  let parameters = flatten(trained);
  let adam = initAdam(parameters.length);
  const started = performance.now();
  let runningLoss = 0;
  for (let step = 1; step <= run.steps; step++) {
    const batch = trainingBatch(run, step);
    const inputs = new Map<string, TensorValues>([
      ...fixed,
      ...trained,
      ["images", batch.images],
      ["labels", batch.labels],
    ]);
    const outputs = await executable.run(inputs);
    const losses = [...(outputs.get("losses") ?? [])];
    const loss = losses.reduce((a, b) => a + b, 0) / losses.length;
    if (!Number.isFinite(loss)) throw new Error(`${run.name}: loss is ${loss} at step ${step}`);
    runningLoss = step === 1 ? loss : 0.98 * runningLoss + 0.02 * loss;
    const gradient = flatten(new Map([...trained.keys()].map((name) => [name, valuesOf(outputs, `gradient/${name}`)])));
    const rate = learningRateAt(step, {
      schedule: "cosine",
      learningRate: run.learningRate,
      warmupSteps: run.warmupSteps,
      steps: run.steps,
    });
    const updated = stepAdam(adam, parameters, gradient, rate, {
      beta1: 0.9,
      beta2: 0.98,
      epsilon: 1e-8,
      weightDecay: 0,
    });
    parameters = updated.parameters;
    adam = updated.state;
    unflatten(parameters, trained);
    if (step % 100 === 0 || step === run.steps) {
      const seconds = (performance.now() - started) / 1000;
      const images = step * run.tasks.reduce((sum, task) => sum + task.images, 0);
      run.log(
        `${run.name} step ${step}/${run.steps} loss ${runningLoss.toFixed(3)} ${(images / seconds).toFixed(0)} images/s ${seconds.toFixed(0)} s`,
      );
    }
  }
  await executable.close();
  return new Map(clipVisionTensors(run.config).map(({ name }) => [name, valuesOf(trained, `weights/${name}`)]));
}

function valuesOf(map: ReadonlyMap<string, Float32Array>, name: string): Float32Array {
  const values = map.get(name);
  if (values === undefined) throw new Error(`no tensor ${name}`);
  return values;
}

function flatten(tensors: ReadonlyMap<string, Float32Array>): Float64Array {
  const all = new Float64Array([...tensors.values()].reduce((sum, values) => sum + values.length, 0));
  let offset = 0;
  for (const values of tensors.values()) {
    all.set(values, offset);
    offset += values.length;
  }
  return all;
}

function unflatten(all: Float64Array, tensors: Map<string, Float32Array>): void {
  let offset = 0;
  for (const [name, values] of tensors) {
    tensors.set(name, Float32Array.from(all.subarray(offset, offset + values.length)));
    offset += values.length;
  }
}

/** Random images of every task, each shifted by up to MAX_SHIFT pixels with its edge repeated; keyed by seed and step. */
function trainingBatch(run: FineTuneRun, step: number): { images: Uint8Array; labels: Int32Array } {
  const size = run.config.imageSize ** 2 * 3;
  const total = run.tasks.reduce((sum, task) => sum + task.images, 0);
  const images = new Uint8Array(total * size);
  const labels = new Int32Array(total);
  let position = 0;
  for (const task of run.tasks) {
    const { pixels } = task;
    const perEpoch = Math.max(1, Math.floor(pixels.count / task.images));
    const epoch = Math.floor((step - 1) / perEpoch);
    const order = epochOrder(run.seed, task, epoch);
    const rng = createRng(run.seed, run.name, task.name, "shift", step);
    for (let index = 0; index < task.images; index++, position++) {
      const source = order[(((step - 1) % perEpoch) * task.images + index) % pixels.count] ?? 0;
      const [dx, dy] = [rng.nextInt(2 * MAX_SHIFT + 1) - MAX_SHIFT, rng.nextInt(2 * MAX_SHIFT + 1) - MAX_SHIFT];
      shiftInto(
        images.subarray(position * size, (position + 1) * size),
        pixels.images.subarray(source * size, (source + 1) * size),
        run.config.imageSize,
        dx,
        dy,
      );
      labels[position] = pixels.labels[source] ?? 0;
    }
  }
  return { images, labels };
}

const orders = new Map<string, { epoch: number; order: Uint32Array }>();

function epochOrder(seed: number, task: TrainTask, epoch: number): Uint32Array {
  const kept = orders.get(task.name);
  if (kept?.epoch === epoch && kept.order.length === task.pixels.count) return kept.order;
  const order = permutation(task.pixels.count, createRng(seed, task.name, "order", epoch));
  orders.set(task.name, { epoch, order });
  return order;
}

function shiftInto(target: Uint8Array, source: Uint8Array, side: number, dx: number, dy: number): void {
  const clampIndex = (index: number): number => Math.min(Math.max(index, 0), side - 1);
  for (let row = 0; row < side; row++) {
    const sourceRow = clampIndex(row + dy) * side;
    for (let column = 0; column < side; column++) {
      const from = (sourceRow + clampIndex(column + dx)) * 3;
      const to = (row * side + column) * 3;
      target[to] = source[from] ?? 0;
      target[to + 1] = source[from + 1] ?? 0;
      target[to + 2] = source[from + 2] ?? 0;
    }
  }
}
