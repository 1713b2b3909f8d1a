/**
 * A fit from beginning to end, as the method section of the paper has it: load the base, the task vectors and the frozen
 * heads; learn the coefficients by minimising the objective on unlabelled examples; merge; judge. AdaMerging, Yang et al.
 * 2024, arXiv:2310.02575. Read it first.
 */
import type { RunConfig } from "../../config/schema.js";
import type { Executable } from "../../engine/program.js";
import { assert } from "../../errors.js";
import { toTensorCoefficients } from "../../merge/coefficients.js";
import { mergedTensors } from "../../merge/merged-weights.js";
import type { TrainEvent, TrainState } from "../../optimize/events.js";
import { parametrisationOf } from "../../optimize/parametrisation/registry.js";
import {
  type TrainState as CoefficientState,
  coefficientsOf,
  initTrainState,
  type TrainResult,
  train,
} from "../../optimize/train.js";
import type { ResultRow } from "../../report/summary.js";
import { gitCheckout } from "../../runtime/git-checkout.js";
import { asPiece } from "../../runtime/progress.js";
import type { RunFolder } from "../../track/run-folder.js";
import { collect } from "../judge/evaluate-weights.js";
import { type Judged, judgeLearned, scoresOf } from "../judge/judge-models.js";
import { dataRecords } from "../records/data-record.js";
import { coefficientsRecord, environmentRecord, inputFingerprints } from "../records/records.js";
import { type CustomTracking, finishTracking, type Tracking, trackRun } from "../records/tracking.js";
import type { ComparedModels } from "../session/compared-models.js";
import { type Session, type SessionOptions, withSession } from "../session/session.js";
import { collapseWatch } from "./collapse.js";
import { consume, type EventConsumer } from "./consume-events.js";
import { openFolder, requireFitPlace } from "./fit-folder.js";
import { estimateOnce, sayNeeds } from "./fit-needs.js";
import { gradientAgreement } from "./gradient-agreement.js";
import { judgeFit, type Learned } from "./judge-fit.js";
import { learnWeights } from "./learn-weights.js";
import { prepareLearning } from "./learning-data.js";
import { looker } from "./look.js";
import { reportFit } from "./report-fit.js";
import { type LearningData, trainOptions } from "./training.js";

export interface FitOptions extends SessionOptions {
  /** Replace an earlier run of the same name. */
  readonly overwrite: boolean;
  /** The folder of a stopped run to go on with; `config` is its own. */
  readonly resume?: string;
  /** Models that were judged before on the same examples, shown before the learned one; default: pretrained and weight averaging are judged. */
  readonly compared?: readonly Judged[];
  readonly onEvent: (event: TrainEvent) => void;
  /** Where the run is delivered to while it goes on. */
  readonly tracking?: Tracking | CustomTracking;
  /** The folder whose git checkout is noted, if it lies in one. */
  readonly cwd?: string;
}

export interface FitResult {
  readonly runPath: string;
  /** Pretrained, averaging and the learned model; empty when interrupted. */
  readonly table: readonly ResultRow[];
  /** The same models with their evaluations. */
  readonly judged: readonly Judged[];
  /** The last coefficients, constrained, [K][L]. */
  readonly coefficients: readonly (readonly number[])[];
  /** Different examples that the objective can have seen. */
  readonly imagesUnique: number;
  readonly reason: "finished" | "interrupted";
}

/**
 * Fits the coefficients of `config` and writes the run folder, or goes on in the folder `resume`. An abort ends the run as `interrupted`, an
 * error as `failed` with its reason; in both cases the last good coefficients and a checkpoint are in the folder.
 */
export async function fit(config: RunConfig, options: FitOptions): Promise<FitResult> {
  const started = performance.now();
  if (options.resume === undefined) await requireFitPlace(config, options);
  const onCompared = (models: ComparedModels) => sayNeeds(config, models, options);
  return withSession(config, { ...options, onCompared, isSaved: config.save_model }, async (session) => {
    const { step, data } = await prepareLearning(config, session, options.cacheDir);
    const { folder, state } = await openFolder(
      config,
      options,
      inputFingerprints(config, session.inputs, data.examples),
    );
    const tracker = options.tracking && trackRun(folder.path, config, options.tracking, options.log);
    try {
      const read = { adapted: data.examples, judged: session.evaluation.examples };
      await folder.writeEnvironment({
        ...environmentRecord(session.engine, session.inputs),
        ...(options.cwd === undefined ? {} : await gitCheckout(options.cwd)),
        data: dataRecords(config, session.inputs, read),
      });
      const consumers = [
        folder.record,
        options.onEvent,
        estimateOnce(options.log),
        await collapseWatch(options.log, options.resume && `${folder.path}/metrics.jsonl`),
        (event: TrainEvent) => tracker?.notify(event),
      ];
      const learned = await learn(config, { ...session, step, data }, options, consumers, folder, state);
      const judged =
        learned.reason === "finished" ? await judgeFit(config, session, options, folder, learned, started) : [];
      const reason = judged.length === 0 ? "interrupted" : "finished";
      await folder.setState(reason);
      if (reason === "finished" && config.save_report)
        await asPiece(options.onProgress, "writing the report", () =>
          reportFit(folder.path, config, session.inputs, judged, options.log),
        );
      const imagesUnique = [...data.examples.values()].reduce((sum, { size }) => sum + size, 0);
      const table = judged.map(({ row }) => row);
      return { runPath: folder.path, table, judged, coefficients: learned.record.values, imagesUnique, reason };
    } catch (error) {
      // On a full disk the state cannot be written either; the reason is worth more than the second error.
      await folder.setState("failed", error instanceof Error ? error.message : String(error)).catch(() => {});
      throw error;
    } finally {
      await folder.close();
      await finishTracking(tracker, options);
    }
  });
}

/** Learns the coefficients, or what the config learns instead, and keeps them. */
async function learn(
  config: RunConfig,
  session: Session & { readonly step: Executable; readonly data: LearningData },
  options: FitOptions,
  consumers: readonly EventConsumer[],
  folder: RunFolder,
  from?: TrainState,
): Promise<Learned & Pick<TrainResult, "reason">> {
  const parametrisation = parametrisationOf(config);
  if (parametrisation === undefined) {
    assert(from === undefined || "rawKL" in from, "a state of another parametrisation");
    return learnCoefficients(config, session, options, consumers, folder, from);
  }
  assert(from === undefined || "parametersP" in from, "a state of another parametrisation");
  return learnWeights(config, parametrisation, session, { signal: options.signal, consumers, folder, from });
}

async function learnCoefficients(
  config: RunConfig,
  { engine, inputs, evaluation, step, data }: Session & { readonly step: Executable; readonly data: LearningData },
  options: FitOptions,
  consumers: readonly EventConsumer[],
  folder: RunFolder,
  from?: CoefficientState,
): Promise<Learned & Pick<TrainResult, "reason">> {
  const { bundle, grouping } = inputs;
  const agreement = await gradientAgreement(config, { engine, inputs, evaluation }, options.cacheDir);
  const look = await looker(config, { engine, inputs, evaluation }, data);
  const training = trainOptions(config, engine, inputs, data, {
    step,
    signal: options.signal,
    look:
      look &&
      (async (valuesKL) => {
        const coefficientsNK = toTensorCoefficients(valuesKL, grouping, bundle.tasks.length);
        return look(await collect(mergedTensors(bundle, coefficientsNK)));
      }),
    gradientCosine: agreement?.cosine,
    evaluate: async (valuesKL) => {
      const coefficientsNK = toTensorCoefficients(valuesKL, grouping, bundle.tasks.length);
      return scoresOf(await judgeLearned(config, inputs, coefficientsNK, evaluation));
    },
  });
  const events = train(training, from ?? initTrainState(training));
  const { state, failure, reason, stopping } = await consume(events, consumers);
  await training.step.close();
  const valuesKL = coefficientsOf(state, bundle.tasks.length, training.constraint);
  const record = coefficientsRecord(config, inputs, valuesKL);
  await folder.writeCoefficients(record);
  if (failure !== undefined) throw failure;
  const gradientCosine = reason === "finished" ? await agreement?.cosine(valuesKL) : undefined;
  await agreement?.close();
  const coefficientsNK = toTensorCoefficients(valuesKL, grouping, bundle.tasks.length);
  return { record, step: state.step, reason, merged: { coefficientsNK }, gradientCosine, stopping };
}
