/**
 * Fine-tuning of any model on labelled examples of any kind: an async generator of events that knows no console and
 * writes nothing but its state. One step: bind the parameters, run the compiled program (fine-tune-program.ts) on the
 * next batch while the one after it is gathered, AdamW on the clipped gradient.
 */
import { setImmediate } from "node:timers/promises";
import type { Executable } from "../../engine/program.js";
import { assert, ConfigError, DataError, NumericError } from "../../errors.js";
import { compileByLength } from "../by-length.js";
import { FINE_TUNE_ANCHORS, FINE_TUNE_LABELS, fineTuneProgram } from "../fine-tune-program.js";
import { microBatched } from "../micro-batches.js";
import { learningRateAt } from "../schedule.js";
import { gradientName } from "../step-program.js";
import { clipFactor, createAdamW } from "./adamw.js";
import { type FineTuneBatch, fineTuneBatch } from "./batches.js";
import { createDropout, type Dropout } from "./dropout.js";
import {
  DEFAULT_ADAMW,
  DEFAULT_CLIP_NORM,
  type FineTuned,
  type FineTuneEvent,
  type FineTuneStateEvent,
  type FineTuning,
} from "./options.js";
import { learnedWeights, type Parameter, type Parameters, startParameters } from "./parameters.js";
import { type Progress, resumeState, settingsOf, writeState } from "./state.js";

/** Of what a smoothed loss was before; about fifty steps. */
const LOSS_KEPT = 0.98;

/**
 * Trains to the last step of the schedule: AdamW on the cross-entropy of each task under its head, and on the distance of
 * the anchors from their features, the gradient clipped by its norm. Yields events and returns what was learned, whether it finished or was aborted; whoever has saved that
 * removes the state's file (`removeFineTuneState`).
 *
 * Batches are a pure function of (seed, task, step); texts are padded to the longest of their batch, in the least of
 * the model's lengths. A training that resumes from its state gives the same bytes as one that was never stopped, on
 * the same machine with the same number of threads.
 *
 * Throws NumericError for a loss or gradient that is not finite: it names the step, and the state's file keeps the last
 * state whose loss was finite. Throws ConfigError for a pattern that matches no tensor, a rank that is too large, and a
 * state's file of a training with other settings or data, DataError for labels that the head has no class for.
 */
export async function* fineTune(given: FineTuning): AsyncGenerator<FineTuneEvent, FineTuned> {
  const options = { ...given, clipNorm: given.clipNorm ?? DEFAULT_CLIP_NORM };
  const { schedule, state, signal, clock } = options;
  const adamwOptions = { ...DEFAULT_ADAMW, ...options.adamw };
  const parameters = startParameters(options);
  checkTasks(options, parameters);
  const settings = state === undefined ? new Map() : settingsOf(options, adamwOptions, parameters);
  const resumed = state === undefined ? undefined : await resumeState(state.path, parameters.trained, settings);
  let progress: Progress = resumed ?? { step: 0, seconds: 0, loss: 0 };
  let keptStep = progress.step;
  const save = async (path: string): Promise<FineTuneStateEvent> => {
    await writeState(path, parameters.trained, settings, progress);
    keptStep = progress.step;
    return { type: "state", step: progress.step, path };
  };
  yield {
    type: "start",
    step: progress.step,
    steps: schedule.steps,
    trainedTensors: parameters.trained.length,
    trainedParameters: parameters.trained.reduce((sum, { values }) => sum + values.length, 0),
  };
  const adamw = createAdamW(adamwOptions);
  const dropout = parameters.lora && createDropout(options, parameters.lora);
  const executable = await compile(options, parameters, dropout);
  try {
    let batch = fineTuneBatch(options, progress.step + 1, dropout);
    while (progress.step < schedule.steps && signal?.aborted !== true) {
      const step = progress.step + 1;
      const started = clock();
      const [losses, next] = await computeStep(executable, parameters, batch, async () => {
        // The program's message is on its way before this thread is busy.
        await setImmediate();
        return step < schedule.steps ? fineTuneBatch(options, step + 1, dropout) : batch;
      });
      const loss = checkedLoss(options, step, losses, keptStep);
      const computed = clock();
      // Only now is it known that the loss of the state that is to be kept is finite.
      if (isDue(options, progress.step) && keptStep < progress.step && state !== undefined)
        yield await save(state.path);
      const updating = clock();
      const gradientNorm = adamw.gradientNorm(parameters.trained);
      checkGradient(parameters.trained, step, gradientNorm, state === undefined ? undefined : keptStep);
      const learningRate = learningRateAt(step, schedule);
      adamw.update(parameters.trained, {
        learningRate,
        gradientFactor: clipFactor(gradientNorm, options.clipNorm),
        updates: step,
      });
      const seconds = (computed - started + (clock() - updating)) / 1000;
      progress = {
        step,
        seconds: progress.seconds + seconds,
        loss: step === 1 ? loss : LOSS_KEPT * progress.loss + (1 - LOSS_KEPT) * loss,
      };
      yield {
        type: "step",
        ...{ step, loss, learningRate, gradientNorm, seconds },
        taskLosses: [...losses.subarray(0, options.tasks.length)],
        ...(batch.length === undefined ? {} : { length: batch.length }),
        weights: () => learnedWeights(options, parameters),
      };
      batch = next;
    }
  } finally {
    await executable.close();
  }
  if (state !== undefined && keptStep < progress.step) yield await save(state.path);
  const reason = progress.step < schedule.steps ? "interrupted" : "finished";
  return { ...learnedWeights(options, parameters), ...progress, reason };
}

function isDue({ state }: FineTuning, step: number): boolean {
  return state !== undefined && state.everySteps > 0 && step > 0 && step % state.everySteps === 0;
}

async function compile(
  options: FineTuning,
  { names, sources, lora }: Parameters,
  dropout: Dropout | undefined,
): Promise<Executable> {
  const { engine, model, tasks, anchors, trainHeads, labelSmoothing = 0, passes = 1 } = options;
  const labelled = tasks.map(({ examplesPerStep }) => examplesPerStep);
  const held = anchors === undefined ? [] : [anchors.examplesPerStep];
  const size = [...labelled, ...held].reduce((sum, count) => sum + count, 0);
  const executable = await compileByLength(engine, model, size / passes, (length) =>
    fineTuneProgram({
      ...{ model, trainHeads, labelSmoothing, length, trained: names, lora, kept: dropout?.specs(length) },
      // Every head has its own.
      logitScale: 1,
      tasks: tasks.map(({ name, examplesPerStep, head }) => ({
        ...{ name, head },
        classes: head.classes,
        images: examplesPerStep / passes,
      })),
      ...(anchors === undefined
        ? {}
        : { anchors: { images: anchors.examplesPerStep / passes, weight: anchors.weight } }),
    }),
  );
  await executable.bind(sources);
  const ofSome = new Map([
    [FINE_TUNE_LABELS, labelled],
    [FINE_TUNE_ANCHORS, held],
  ]);
  return microBatched(executable, [...labelled, ...held], passes, ofSome);
}

/** Losses [T], of anchors behind them, and in the parameters their gradient; meanwhile `other` is done. */
async function computeStep<T>(
  executable: Executable,
  { trained }: Parameters,
  { inputs }: FineTuneBatch,
  other: () => Promise<T>,
): Promise<[Float32Array, T]> {
  await executable.bind(new Map(trained.map(({ input, values }) => [input, { kind: "memory", values }])));
  const into = new Map(trained.map(({ input, gradient }) => [gradientName(input), gradient]));
  const [outputs, done] = await Promise.all([executable.run(inputs, into), other()]);
  const losses = outputs.get("losses");
  assert(losses !== undefined, "the compiled step lacks its losses");
  return [losses, done];
}

/**
 * Throws for what would be silently wrong: labels without a row in the head, heads of another width, nothing to train.
 */
function checkTasks({ model, tasks, anchors, schedule }: FineTuning, { trained }: Parameters): void {
  if (tasks.length === 0 || trained.length === 0)
    throw new ConfigError(
      `fine-tuning: expected something to train and to train on, found ${trained.length} trained tensors and ${tasks.length} tasks; freeze less, or name a task`,
    );
  assert(new Set(tasks.map(({ name }) => name)).size === tasks.length, "two tasks of one name");
  assert(anchors === undefined || model.lengths === undefined, "anchors have no length");
  assert(Number.isInteger(schedule.steps) && schedule.steps > 0, `${schedule.steps} steps`);
  for (const { name, store, head, batchAt } of tasks) {
    assert(batchAt === undefined || model.lengths === undefined, `drawn examples of task ${name} have no length`);
    assert(head.task === name && head.featureSize === model.featureSize, `the head of task ${name} is another's`);
    const bad = store.labels.findIndex((label) => label < 0 || label >= head.classes);
    if (bad >= 0)
      throw new DataError(
        `task ${name}: ${store.name}: expected labels from 0 to ${head.classes - 1}, the classes of its head, found ${store.labels[bad]} at example ${bad}; leave out examples without a class, or give the head a row for it`,
      );
  }
}

/** The loss over all examples of the tasks. */
function checkedLoss({ tasks, state }: FineTuning, step: number, losses: Float32Array, keptStep: number): number {
  const bad = losses.findIndex((loss) => !Number.isFinite(loss));
  const whose = tasks[bad] === undefined ? "the anchors" : `task ${tasks[bad].name}`;
  if (bad >= 0)
    throw new NumericError(
      `step ${step}: the loss of ${whose} is ${losses[bad]}. ${keptWords(state === undefined ? undefined : keptStep)}`,
    );
  const examples = tasks.reduce((sum, { examplesPerStep }) => sum + examplesPerStep, 0);
  return tasks.reduce((sum, task, index) => sum + (losses[index] ?? 0) * (task.examplesPerStep / examples), 0);
}

function checkGradient(trained: readonly Parameter[], step: number, norm: number, kept: number | undefined): void {
  if (Number.isFinite(norm)) return;
  const bad = trained.find(({ gradient }) => gradient.some((value) => !Number.isFinite(value)));
  throw new NumericError(`step ${step}: the gradient of ${bad?.name} is not finite. ${keptWords(kept)}`);
}

function keptWords(step: number | undefined): string {
  const kept = step === undefined || step === 0 ? "Nothing was kept" : `The state of step ${step} is kept`;
  return `${kept}. Lower the learning rate, or make its warm-up longer`;
}
