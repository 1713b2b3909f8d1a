/** Learning scalar coefficients by the compiled step that contracts the gradient inside its graph (optimize/train.ts), in one stage of a fit. */
import { toTensorCoefficients } from "../../merge/coefficients.js";
import { mergeableTensors, mergedTensors } from "../../merge/merged-weights.js";
import { beginHeads, type HeadsState } from "../../optimize/learned-heads.js";
import { coefficientsOf, initTrainState, nextStageState, type TrainState, train } from "../../optimize/train.js";
import { collect } from "../judge/evaluate-weights.js";
import { judgeLearned, scoresOf } from "../judge/judge-models.js";
import { coefficientsRecord } from "../records/records.js";
import { consume } from "./consume-events.js";
import { gradientAgreement } from "./gradient-agreement.js";
import { headsAt, learnedHeadsOf, withHeads } from "./judge-heads.js";
import { looker } from "./look.js";
import type { StageConfig, StageOptions, StageResult, StageSession } from "./stage.js";
import { trainOptions } from "./training.js";

/** Learns from `from`, which after a former stage (`isNext`) is the end of that one. A failure is thrown by `conclude`, which first keeps the last good coefficients. */
export async function learnCoefficients(
  { config, whole }: StageConfig,
  { engine, inputs, evaluation, step, data, heads }: StageSession,
  { signal, consumers, folder, cacheDir, stage, beside }: StageOptions,
  from?: TrainState,
  isNext = false,
): Promise<StageResult> {
  const { bundle, grouping } = inputs;
  const agreement = await gradientAgreement(config, { engine, inputs, evaluation }, cacheDir);
  const look = await looker(config, { engine, inputs, evaluation }, data);
  const judging = <T>(own: HeadsState | undefined, judge: () => Promise<T>): Promise<T> =>
    withHeads({ inputs, evaluation }, headsAt(inputs, own), judge);
  const perTensor = (valuesKL: Float64Array) => toTensorCoefficients(valuesKL, grouping, bundle.tasks.length);
  const training = trainOptions(config, engine, inputs, data, {
    step,
    signal,
    stage,
    gradientCosine: agreement?.cosine,
    heads,
    look:
      look &&
      ((valuesKL, own) => judging(own, async () => look(await collect(mergedTensors(bundle, perTensor(valuesKL)))))),
    evaluate: (valuesKL, step, own) =>
      judging(own, async () => {
        await beside?.(step, () => collect(mergedTensors(bundle, perTensor(valuesKL))));
        return scoresOf(await judgeLearned(whole, inputs, perTensor(valuesKL), evaluation));
      }),
  });
  const begun = from ?? initTrainState(training);
  const start = {
    ...(isNext ? nextStageState(begun) : begun),
    ...beginHeads(begun, training.heads, heads),
    ...(stage === undefined ? {} : { stage: stage.index }),
  };
  const { state, failure, reason, stopping } = await consume(train(training, start), consumers);
  await training.step.close();
  const valuesKL = coefficientsOf(state, bundle.tasks.length, training.constraint);
  return {
    reason,
    end: async () => {
      await agreement?.close();
      const merged = await collect(mergedTensors(bundle, perTensor(valuesKL)));
      const learned = new Set(mergeableTensors(bundle));
      return { ...state, merged: new Map([...merged].filter(([name]) => learned.has(name))) };
    },
    conclude: async () => {
      const record = coefficientsRecord(whole, inputs, valuesKL);
      await folder.writeCoefficients(record);
      if (failure !== undefined) throw failure;
      const gradientCosine = reason === "finished" ? await agreement?.cosine(valuesKL) : undefined;
      await agreement?.close();
      const merged = { coefficientsNK: perTensor(valuesKL) };
      return { record, step: state.step, merged, gradientCosine, stopping, ...learnedHeadsOf(inputs, state) };
    },
  };
}
