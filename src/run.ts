/**
 * A fit from beginning to end, as the method section of the paper has it: load the base, the task vectors and the frozen
 * heads; learn the coefficients by minimising the objective on unlabelled images; merge; judge. AdaMerging, Yang et al.
 * 2024, arXiv:2310.02575. Other things one can do with a suite are in run/.
 */
import type { RunConfig } from "./config/schema.js";
import { constrain, toTensorCoefficients } from "./merge/coefficients.js";
import type { TrainEvent } from "./optimize/events.js";
import { initTrainState, type TrainResult, train } from "./optimize/train.js";
import type { ResultRow, Summary } from "./report/summary.js";
import { loadUnlabelled } from "./run/inputs.js";
import { cardOf, writeMergedModel } from "./run/merge-to-directory.js";
import { comparisonRows, learnedRow } from "./run/models.js";
import { type QuickstartOptions, runQuickstart } from "./run/quickstart.js";
import { coefficientsRecord, environmentRecord } from "./run/records.js";
import { type Session, type SessionOptions, withSession } from "./run/session.js";
import { trainOptions } from "./run/training.js";
import type { CoefficientsRecord } from "./track/coefficients-file.js";
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
  /** Pretrained, averaging and the learned model; empty when interrupted. */
  readonly table: readonly ResultRow[];
  readonly reason: "finished" | "interrupted";
}

/**
 * Fits the coefficients of `config` and writes the run folder. An abort ends the run as `interrupted`, an error as `failed`
 * with its reason; in both cases the last good coefficients are in the folder.
 */
export async function fit(config: RunConfig, options: FitOptions): Promise<FitResult> {
  const started = performance.now();
  return withSession(config, options, async (session) => {
    const { output: root, experiment, name } = config;
    const folder = await createRunFolder({ root, experiment, name, config, overwrite: options.overwrite });
    try {
      await folder.writeEnvironment(environmentRecord(session.engine));
      const learned = await learn(config, session, options, folder);
      const table = await judge(config, session, options, folder, learned, started);
      const reason = table.length === 0 ? "interrupted" : "finished";
      await folder.setState(reason);
      return { runPath: folder.path, table, reason };
    } catch (error) {
      await folder.setState("failed", error instanceof Error ? error.message : String(error));
      throw error;
    } finally {
      await folder.close();
    }
  });
}

/** Learns the coefficients and keeps them. */
async function learn(
  config: RunConfig,
  { engine, inputs, evaluation }: Session,
  options: FitOptions,
  folder: RunFolder,
) {
  const { bundle, grouping } = inputs;
  const pixels = await loadUnlabelled(inputs, config.data.adapt_split, options.cacheDir);
  const training = await trainOptions(config, engine, inputs, pixels, {
    signal: options.signal,
    evaluate: async (valuesKL) => {
      const coefficientsNK = toTensorCoefficients(valuesKL, grouping, bundle.tasks.length);
      return Object.values((await learnedRow(config, inputs, coefficientsNK, evaluation)).tasks);
    },
  });
  const { state, failure } = await consume(train(training, initTrainState(training)), [folder.record, options.onEvent]);
  await training.step.close();
  const valuesKL = constrain(state.rawKL, bundle.tasks.length, training.constraint);
  const record = coefficientsRecord(config, inputs, valuesKL);
  await folder.writeCoefficients(record);
  if (failure !== undefined) throw failure;
  return { record, coefficientsNK: toTensorCoefficients(valuesKL, grouping, bundle.tasks.length) };
}

/** Hands every event to the consumers, in order, and returns how the fit ended. */
async function consume(
  events: AsyncGenerator<TrainEvent, TrainResult>,
  consumers: readonly ((event: TrainEvent) => void | Promise<void>)[],
): Promise<TrainResult> {
  for (;;) {
    const next = await events.next();
    if (next.done) return next.value;
    for (const consumer of consumers) await consumer(next.value);
  }
}

/** Evaluates the merged model beside what it is read against, and writes table and model. An empty table when aborted. */
async function judge(
  config: RunConfig,
  { engine, inputs, evaluation }: Session,
  { signal, baselines = true }: FitOptions,
  folder: RunFolder,
  { record, coefficientsNK }: { readonly record: CoefficientsRecord; readonly coefficientsNK: Float32Array },
  started: number,
): Promise<ResultRow[]> {
  const rows: ResultRow[] = [];
  try {
    signal.throwIfAborted();
    if (baselines) rows.push(...(await comparisonRows(config, inputs, evaluation)));
    rows.push(await learnedRow(config, inputs, coefficientsNK, evaluation));
  } catch (error) {
    if (signal.aborted) return [];
    throw error;
  }
  const seconds = (performance.now() - started) / 1000;
  await folder.writeSummary({ suite: inputs.suite.name, engine: engine.name, device: engine.device, seconds, rows });
  await folder.writeReadme(cardOf(inputs, config, record, rows));
  if (config.save_model) {
    const learned = { record, path: `${folder.path}/coefficients.json` };
    await writeMergedModel(`${folder.path}/model`, inputs, config, learned, rows);
  }
  return rows;
}
