/** The section `objective` of a config: what a fit minimises, and the settings that do not go together. What they compute: objective/. */
import { z } from "zod";
import { OWN_OBJECTIVE_NAMES, objectiveName } from "./objective-names.js";

export const objective = z
  .strictObject({
    name: objectiveName
      .default("entropy")
      .describe(
        "Minimised: entropy, normalized_entropy, expert_divergence, pseudo_label, feature_l1, feature_l2, cross_entropy (labels)",
      ),
    form: z
      .enum(["log_softmax", "epsilon"])
      .default("log_softmax")
      .describe("log_softmax: exact and stable (paper); epsilon: log(p + epsilon) (FusionBench)"),
    epsilon: z.number().gt(0).default(1e-8).describe("Added to the probabilities, with form epsilon only"),
    divergence: z
      .enum(["kl", "reverse_kl", "js"])
      .default("kl")
      .describe("With expert_divergence: kl(expert || merged), reverse_kl(merged || expert), or js between them"),
    temperature: z
      .number()
      .gt(0)
      .default(1)
      .describe("With expert_divergence: both models' logits are divided by it; above 1 softens"),
    reduction: z
      .enum(["sum", "mean"])
      .default("sum")
      .describe("How the tasks' losses become one: sum or mean over tasks"),
  })
  .superRefine(({ name, divergence, temperature }, context) => {
    const issue = (key: string, expected: string, found: string | number) =>
      context.addIssue({
        code: "custom",
        path: [key],
        message: `expected ${expected} with objective.name ${name}, found ${found}; set objective.name=expert_divergence to use it`,
      });
    if (name === "expert_divergence") return;
    if (divergence !== "kl") issue("divergence", "kl", divergence);
    // Programs' own may read it.
    if (temperature !== 1 && OWN_OBJECTIVE_NAMES.includes(name)) issue("temperature", "1", temperature);
  });
