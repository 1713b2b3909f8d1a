/**
 * Which objectives a config may name: those of the package, and those that programs add (objective/objectives.ts has what they compute). Only names: a
 * config is checked without an engine.
 */
import { z } from "zod";
import { nearest } from "../runtime/nearest.js";

/** Those of the package. */
export const OWN_OBJECTIVE_NAMES: readonly string[] = [
  ...["entropy", "normalized_entropy"],
  ...["expert_divergence", "pseudo_label", "feature_l1", "feature_l2"],
  "cross_entropy",
];
const names = new Set(OWN_OBJECTIVE_NAMES);

/** Makes the name one that configs may have. */
export function allowObjectiveName(name: string): void {
  names.add(name);
}

/** One of the names that are known when a config is checked. Editors are told those of the package. */
export const objectiveName = z
  .string()
  .meta({ enum: [...OWN_OBJECTIVE_NAMES] })
  .superRefine((name, context) => {
    if (names.has(name)) return;
    const guess = nearest(name, names);
    const advice =
      guess === undefined ? "load the module of one of your own first (--family FILE)" : `did you mean ${guess}?`;
    const message = `expected one of ${[...names].join(", ")}, found ${JSON.stringify(name)}; ${advice}`;
    context.addIssue({ code: "custom", message });
  });
