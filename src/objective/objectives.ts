/** The registry of objectives. Adding one: a file beside this one and a line here. B images, C classes. */
import { type Tensor, tf } from "../engine/tf.js";
import { targetCrossEntropy, targetDivergence } from "./cross-entropy.js";
import { meanEntropy } from "./entropy.js";

export interface ObjectiveOptions {
  readonly form: "log_softmax" | "epsilon";
  readonly epsilon: number;
}

export interface ObjectiveSpec {
  readonly title: string;
  readonly paper: string;
  /**
   * What is known of each image: nothing, its label (one-hot targets), or what the task's own expert predicts for it.
   */
  readonly targets: "none" | "labels" | "expert";
  /** Scalar loss of one task in nats, mean over its images; `targetsBC` are probabilities where the objective has targets. */
  readonly loss: (logitsBC: Tensor, options: ObjectiveOptions, targetsBC?: Tensor) => Tensor;
}

const entropy: ObjectiveSpec["loss"] = (logitsBC, { form, epsilon }) =>
  meanEntropy(logitsBC, form === "epsilon" ? { form, epsilon } : { form });

export const objectives = {
  entropy: {
    title: "Entropy of the predictions on unlabelled images",
    paper: "https://arxiv.org/abs/2310.02575",
    targets: "none",
    loss: entropy,
  },
  normalized_entropy: {
    title: "Entropy over log C, so that tasks of many classes do not outweigh the others",
    paper: "https://arxiv.org/abs/2310.02575",
    targets: "none",
    loss: (logitsBC, options) =>
      tf.mul(entropy(logitsBC, options), tf.scalar(1 / Math.log(Math.max(2, logitsBC.shape[1] ?? 2)))),
  },
  expert_divergence: {
    title: "Divergence from the experts' own predictions on unlabelled images",
    paper: "https://arxiv.org/abs/1503.02531",
    targets: "expert",
    loss: (logitsBC, _options, targetsBC) => targetDivergence(logitsBC, required(targetsBC)),
  },
  cross_entropy: {
    title: "Cross-entropy with labels: an upper bound for learning without them",
    paper: "https://arxiv.org/abs/2310.02575",
    targets: "labels",
    loss: (logitsBC, _options, targetsBC) => targetCrossEntropy(logitsBC, required(targetsBC)),
  },
} as const satisfies Record<string, ObjectiveSpec>;

export type ObjectiveName = keyof typeof objectives;

function required(targetsBC: Tensor | undefined): Tensor {
  if (targetsBC === undefined) throw new RangeError("this objective needs targets; the step was built without them");
  return targetsBC;
}
