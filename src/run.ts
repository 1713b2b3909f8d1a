/**
 * A fit from beginning to end, as the method section of the paper has it: load the base, the task vectors and the frozen
 * heads; learn the coefficients by minimising the objective on unlabelled images; merge; judge. AdaMerging, Yang et al.
 * 2024, arXiv:2310.02575. Other things one can do with a suite are in run/.
 */
import type { RunConfig } from "./config/schema.js";
import type { Engine } from "./engine/program.js";
import { constrain, toTensorCoefficients } from "./merge/coefficients.js";
import { objectives } from "./objective/objectives.js";
import type { TrainEvent } from "./optimize/events.js";
import { stepImages } from "./optimize/step-images.js";
import { stepProgram, stepSources } from "./optimize/step-program.js";
import { initTrainState, type TrainOptions, type TrainState, train } from "./optimize/train.js";
import type { ResultRow, Summary } from "./report/summary.js";
import { type Inputs, loadUnlabelled } from "./run/inputs.js";
import { writeMergedModel } from "./run/merge-to-directory.js";
import { baselineRow, type EvaluateOptions, evaluateMerged, rowOf } from "./run/models.js";
import { type QuickstartOptions, runQuickstart } from "./run/quickstart.js";
import { coefficientsRecord, constraintOf, environmentRecord } from "./run/records.js";
import { type Session, type SessionOptions, withSession } from "./run/session.js";
import { createRunFolder, type RunFolder } from "./track/run-folder.js";

export { type DoctorOptions, describeEnvironment } from "./run/environment.js";
export { type EvaluatedMethod, evaluateMethod } from "./run/evaluate-method.js";
export { mergeToDirectory } from "./run/merge-to-directory.js";

/** Baselines and three fits on the suite that ships; see run/quickstart.ts. */
export function quickstart(options: QuickstartOptions): Promise<Summary> {
  return runQuickstart(options, fit);
}

export interface FitOptions extends SessionOptions {
  /** Replace an earlier run of the same name. */
  readonly overwrite: boolean;
  /** Whether the table also shows the pretrained model and weight averaging; default true. */
  readonly baselines?: boolean;
  readonly onEvent: (event: TrainEvent) => void;
}

export interface FitResult {
  readonly runPath: string;
  /** Pretrained, averaging and the learned model. */
  readonly table: readonly ResultRow[];
  readonly reason: "finished" | "interrupted";
}

/** Fits the coefficients of `config` and writes the run folder. On failure the folder's status says why; on an abort the coefficients so far are kept. */
export async function fit(config: RunConfig, options: FitOptions): Promise<FitResult> {
  return withSession(config, options, async (session) => {
    const started = performance.now();
    const folder = await createRunFolder({
      root: config.output,
      experiment: config.experiment,
      name: config.name,
      config,
      overwrite: options.overwrite,
    });
    try {
      await folder.writeEnvironment(environmentRecord(session.engine));
      const learned = await learn(config, session, options, folder);
      const table =
        learned.row === undefined ? [] : await judge(config, session, learned.row, options.baselines ?? true);
      const seconds = (performance.now() - started) / 1000;
      const { name, device } = session.engine;
      await folder.writeSummary({ suite: session.inputs.suite.name, engine: name, device, seconds, rows: table });
      if (config.save_model && learned.reason === "finished") {
        await writeMergedModel(`${folder.path}/model`, session.inputs, config, learned.record, table);
      }
      await folder.setState(learned.reason);
      return { runPath: folder.path, table, reason: learned.reason };
    } catch (error) {
      await folder.setState("failed", error instanceof Error ? error.message : String(error));
      throw error;
    } finally {
      await folder.close();
    }
  });
}

/** Learns the coefficients and evaluates the model merged with them. */
async function learn(config: RunConfig, session: Session, options: FitOptions, folder: RunFolder) {
  const { engine, inputs } = session;
  const tasks = inputs.bundle.tasks;
  const constraint = constraintOf(config);
  const pixels = await loadUnlabelled(inputs, config.data.adapt_split, options.cacheDir);
  const imagesPerTask = config.data.batch_size * config.data.batches_per_task;
  // Batches of a task are one forward: their summed means are batches_per_task times the mean over all their images.
  const taskWeight = config.data.batches_per_task / (config.objective.reduction === "mean" ? tasks.length : 1);
  const step = await compileStep(engine, inputs, config, imagesPerTask, taskWeight);
  const evaluateValues = async (valuesKL: Float64Array): Promise<ResultRow> => {
    const coefficientsNK = toTensorCoefficients(valuesKL, inputs.grouping, tasks.length);
    return learnedRow(config, inputs, coefficientsNK, session.evaluation);
  };
  const training: TrainOptions = {
    step,
    tasks,
    grouping: inputs.grouping,
    constraint,
    initial: config.coefficients.initial,
    adam: { ...config.optimizer, weightDecay: config.optimizer.weight_decay },
    schedule: {
      schedule: config.optimizer.schedule,
      learningRate: config.optimizer.learning_rate,
      warmupSteps: config.optimizer.warmup_steps,
      steps: config.steps,
    },
    adaptedTasks: [...pixels.keys()],
    imagesAt: (index) => stepImages(pixels, { imagesPerTask, seed: config.seed, step: index }),
    imagesPerStep: imagesPerTask * pixels.size,
    taskWeight,
    evaluateEvery: config.data.eval_every,
    evaluate: async (valuesKL) => Object.values((await evaluateValues(valuesKL)).tasks),
    signal: options.signal,
    clock: () => performance.now(),
  };
  const { state, reason } = await consume(train(training, initTrainState(training)), [folder.record, options.onEvent]);
  await step.close();
  const valuesKL = constrain(state.rawKL, tasks.length, constraint);
  const record = coefficientsRecord(config, inputs, valuesKL);
  await folder.writeCoefficients(record);
  return { record, reason, row: reason === "finished" ? await evaluateValues(valuesKL) : undefined };
}

async function compileStep(
  engine: Engine,
  inputs: Inputs,
  config: RunConfig,
  imagesPerTask: number,
  taskWeight: number,
) {
  const { bundle, heads, tower, preprocessing } = inputs;
  const objective = objectives[config.objective.name];
  const program = stepProgram({
    bundle,
    config: tower,
    normalization: preprocessing,
    heads,
    imagesPerTask,
    taskWeight,
    loss: (logitsBC) => objective.loss(logitsBC, config.objective),
  });
  const step = await engine.compile(program);
  await step.bind(stepSources(bundle, heads));
  return step;
}

/** Hands every event to the consumers, in order, and returns the last state. */
async function consume(
  events: AsyncGenerator<TrainEvent, TrainState>,
  consumers: readonly ((event: TrainEvent) => void | Promise<void>)[],
): Promise<{ state: TrainState; reason: "finished" | "interrupted" }> {
  let reason: "finished" | "interrupted" = "interrupted";
  for (;;) {
    const next = await events.next();
    if (next.done) return { state: next.value, reason };
    if (next.value.type === "end") reason = next.value.reason;
    for (const consumer of consumers) await consumer(next.value);
  }
}

async function learnedRow(
  config: RunConfig,
  inputs: Inputs,
  coefficientsNK: Float32Array,
  options: EvaluateOptions,
): Promise<ResultRow> {
  const names = inputs.tasks.map((task) => task.name);
  const method = `adamerging_${config.granularity.replace("-", "_")}${config.task_vectors.processing === "ties" ? "_pp" : ""}`;
  return rowOf(method, names, await evaluateMerged(inputs, coefficientsNK, options));
}

/** The learned row beneath the rows it is read against. */
async function judge(
  config: RunConfig,
  { inputs, evaluation }: Session,
  learned: ResultRow,
  baselines: boolean,
): Promise<ResultRow[]> {
  if (!baselines) return [learned];
  const pretrained = await baselineRow(inputs, { kind: "pretrained" }, evaluation);
  // Averaging processed vectors is not weight averaging, so ++ runs show the pretrained row alone.
  const processed = config.task_vectors.processing !== "none";
  const averaged = processed ? [] : [await baselineRow(inputs, { kind: "weight_averaging" }, evaluation)];
  return [pretrained, ...averaged, learned];
}
