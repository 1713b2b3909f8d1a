/** The sections of a config that say what is minimised and how: `objective` and `optimizer`. */
import { z } from "zod";
import { objectiveName } from "./objective-names.js";

/** Adam's decay rates: 1 would never forget and divide by zero in the bias correction. */
const decayRate = z.number().min(0).lt(1);
const count = z.int().min(0);

export const objective = z.strictObject({
  name: objectiveName
    .default("entropy")
    .describe(
      "Minimised: entropy, normalized_entropy (over log C), expert_divergence (KL from experts), cross_entropy (needs labels)",
    ),
  form: z
    .enum(["log_softmax", "epsilon"])
    .default("log_softmax")
    .describe("log_softmax: exact and stable (paper); epsilon: log(p + epsilon) (FusionBench)"),
  epsilon: z.number().gt(0).default(1e-8).describe("Added to the probabilities, with form epsilon only"),
  reduction: z
    .enum(["sum", "mean"])
    .default("sum")
    .describe("How the tasks' losses become one: sum or mean over tasks"),
});

export const optimizer = z.strictObject({
  name: z.enum(["adam"]).default("adam").describe("Optimizer: adam, in float64, equal to torch.optim.Adam"),
  learning_rate: z.number().gt(0).default(1e-3).describe("Step size at the top of the schedule"),
  beta1: decayRate.default(0.9).describe("Decay rate of the mean of gradients"),
  beta2: decayRate.default(0.999).describe("Decay rate of the mean of squared gradients"),
  epsilon: z.number().gt(0).default(1e-8).describe("Added outside the square root, as in the Adam paper"),
  weight_decay: z.number().min(0).default(0).describe("L2 penalty added to the gradient, as torch.optim.Adam does"),
  schedule: z
    .enum(["constant", "cosine", "linear"])
    .default("constant")
    .describe("Learning rate over the steps after warm-up; cosine and linear end at 0"),
  warmup_steps: count.default(0).describe("Steps over which the learning rate rises linearly from 0"),
});
