/**
 * Looks at a merged model through examples that are held out, without their labels: by how far it is from what the experts predict, or by its entropy
 * and how far the shares of predicted classes have drifted. What they are for: optimize/stopping.ts. C classes.
 */
import type { RunConfig } from "../../config/schema.js";
import { assert } from "../../errors.js";
import { mergedTensors } from "../../merge/merged-weights.js";
import { entropyAndDrift, meanPrediction, meanTotalVariation } from "../../optimize/label-free-scores.js";
import type { Look } from "../../optimize/stopping.js";
import { collect } from "../judge/evaluate-weights.js";
import { expertWeights, perTensor } from "../judge/judge-models.js";
import type { Session } from "../session/session.js";
import type { LearningData } from "./training.js";

type Weights = ReadonlyMap<string, Float32Array>;

/** Looks at a model with these weights, every tensor of the bundle; undefined for a config without a rule. */
export async function looker(
  config: RunConfig,
  session: Session,
  { heldOut }: LearningData,
): Promise<((weights: Weights) => Promise<Look>) | undefined> {
  const { rule } = config.stopping;
  if (rule === "none") return undefined;
  assert(heldOut !== undefined, "a rule to stop by without held-out examples");
  const { inputs, evaluation } = session;
  const { classifier, signal } = evaluation;
  const held = inputs.heads.flatMap(({ task, classes }, index) => {
    const store = heldOut.get(task);
    return store === undefined ? [] : [{ task, classes, index, store }];
  });
  const references = new Map<string, ArrayLike<number>>();
  // What fits begin with is recomputed by one that goes on, so that it sees the same drift.
  if (rule === "entropy") {
    const { initial } = config.coefficients;
    await classifier.setWeights(
      await collect(
        mergedTensors(
          inputs.bundle,
          perTensor(inputs, () => initial),
        ),
      ),
    );
  }
  for (const { task, classes, index, store } of held) {
    if (rule === "disagreement") await classifier.setWeights(await expertWeights(inputs, index));
    const probabilitiesNC = await classifier.probabilities(task, store);
    references.set(task, rule === "entropy" ? meanPrediction(probabilitiesNC, classes) : probabilitiesNC);
  }
  const scoreOf = rule === "entropy" ? entropyAndDrift : meanTotalVariation;
  return async (weights) => {
    await classifier.setWeights(weights);
    const perTask: number[] = [];
    for (const { task, classes, store } of held) {
      signal.throwIfAborted();
      perTask.push(scoreOf(await classifier.probabilities(task, store), references.get(task) ?? [], classes));
    }
    return { score: perTask.reduce((sum, score) => sum + score, 0) / perTask.length, perTask };
  };
}
