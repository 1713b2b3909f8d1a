/** The section `optimizer` of a config: Adam, its schedule, and sharpness-aware steps around it. What they compute: optimize/. */
import { z } from "zod";

/** Adam's decay rates: 1 would never forget and divide by zero in the bias correction. */
const decayRate = z.number().min(0).lt(1);
const count = z.int().min(0);

const sam = z
  .strictObject({
    rho: z.number().min(0).default(0).describe("How far uphill; 0: plain steps. SAMerging takes 0.07, adaptive"),
    adaptive: z.boolean().default(false).describe("true: each coefficient moves in proportion to its square (ASAM)"),
  })
  .refine(({ rho, adaptive }) => rho > 0 || !adaptive, {
    path: ["adaptive"],
    message: "expected false with rho 0, which takes plain steps, found true; set optimizer.sam.rho to use it",
  });

export const optimizer = z.strictObject({
  name: z.enum(["adam"]).default("adam").describe("Optimizer: adam, in float64, equal to torch.optim.Adam"),
  learning_rate: z.number().gt(0).default(1e-3).describe("Step size at the top of the schedule"),
  beta1: decayRate.default(0.9).describe("Decay rate of the mean of gradients"),
  beta2: decayRate.default(0.999).describe("Decay rate of the mean of squared gradients"),
  epsilon: z.number().gt(0).default(1e-8).describe("Added outside the square root, as in the Adam paper"),
  weight_decay: z.number().min(0).default(0).describe("L2 penalty added to the gradient, as torch.optim.Adam does"),
  sam: sam.prefault({}).describe("Sharpness-aware steps: the gradient is taken uphill; each step takes twice as long"),
  schedule: z
    .enum(["constant", "cosine", "linear"])
    .default("constant")
    .describe("Learning rate over the steps after warm-up; cosine and linear end at 0"),
  warmup_steps: count.default(0).describe("Steps over which the learning rate rises linearly from 0"),
});
