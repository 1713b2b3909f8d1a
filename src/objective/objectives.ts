/** The registry of objectives. Adding one: a file beside this one and a line here. */
import type { Tensor } from "../engine/tf.js";
import { meanEntropy } from "./entropy.js";

export interface ObjectiveOptions {
  readonly form: "log_softmax" | "epsilon";
  readonly epsilon: number;
}

export interface ObjectiveSpec {
  readonly title: string;
  readonly paper: string;
  /** Whether batches must carry labels. */
  readonly needsLabels: boolean;
  /** Scalar loss of one task, mean over its images. */
  readonly loss: (logitsBC: Tensor, options: ObjectiveOptions) => Tensor;
}

export const objectives = {
  entropy: {
    title: "Entropy of the predictions on unlabelled images",
    paper: "https://arxiv.org/abs/2310.02575",
    needsLabels: false,
    loss: (logitsBC, { form, epsilon }) => meanEntropy(logitsBC, form === "epsilon" ? { form, epsilon } : { form }),
  },
} as const satisfies Record<string, ObjectiveSpec>;

export type ObjectiveName = keyof typeof objectives;
