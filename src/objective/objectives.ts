/** The registry of objectives. Adding one: a file beside this one, its facts in catalog.ts and a line here. B images, C classes. */
import { type Tensor, tf } from "../engine/tf.js";
import { type ObjectiveFacts, type ObjectiveName, objectiveFacts } from "./catalog.js";
import { targetCrossEntropy, targetDivergence } from "./cross-entropy.js";
import { meanEntropy } from "./entropy.js";

export interface ObjectiveOptions {
  readonly form: "log_softmax" | "epsilon";
  readonly epsilon: number;
}

export interface ObjectiveSpec extends ObjectiveFacts {
  /** Scalar loss of one task in the objective's unit, mean over its images; `targetsBC` are probabilities where the objective has targets. */
  readonly loss: (logitsBC: Tensor, options: ObjectiveOptions, targetsBC?: Tensor) => Tensor;
}

const entropy: ObjectiveSpec["loss"] = (logitsBC, { form, epsilon }) =>
  meanEntropy(logitsBC, form === "epsilon" ? { form, epsilon } : { form });

export const objectives = {
  entropy: { ...objectiveFacts.entropy, loss: entropy },
  normalized_entropy: {
    ...objectiveFacts.normalized_entropy,
    loss: (logitsBC, options) =>
      tf.mul(entropy(logitsBC, options), tf.scalar(1 / Math.log(Math.max(2, logitsBC.shape[1] ?? 2)))),
  },
  expert_divergence: {
    ...objectiveFacts.expert_divergence,
    loss: (logitsBC, _options, targetsBC) => targetDivergence(logitsBC, required(targetsBC)),
  },
  cross_entropy: {
    ...objectiveFacts.cross_entropy,
    loss: (logitsBC, _options, targetsBC) => targetCrossEntropy(logitsBC, required(targetsBC)),
  },
} as const satisfies Record<ObjectiveName, ObjectiveSpec>;

function required(targetsBC: Tensor | undefined): Tensor {
  if (targetsBC === undefined) throw new RangeError("this objective needs targets; the step was built without them");
  return targetsBC;
}
