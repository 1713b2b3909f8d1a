/** What the objectives are called and what they need, without what computes them: reports and trackers load no engine for it. */
import type { RunConfig } from "../config/schema.js";
import { objectiveNames } from "../config/stages.js";
import { assert } from "../errors.js";

export interface ObjectiveFacts {
  readonly title: string;
  /** Begins the name of a fit in tables: AdaMerging is what minimises entropy. Default: nothing. */
  readonly prefix?: string;
  /** Ends it. Default: the objective's own name behind a line. */
  readonly suffix?: string;
  /** What its values are called in a line of numbers. */
  readonly label: string;
  /** Of its values; null for a mere number. */
  readonly unit: "nats" | null;
  readonly paper: string;
  /**
   * What is known of each example: nothing, its label (one-hot targets), what the task's own expert predicts for it (probabilities), or its features by that
   * expert. With the last the loss is one of the merged model's features, not of its logits.
   */
  readonly targets: "none" | "labels" | "expert" | "expert_features";
}

export const objectiveFacts = {
  entropy: {
    title: "Entropy of the predictions on unlabelled examples",
    prefix: "adamerging_",
    suffix: "",
    label: "entropy",
    unit: "nats",
    paper: "https://arxiv.org/abs/2310.02575",
    targets: "none",
  },
  normalized_entropy: {
    title: "Entropy over log C, so that tasks of many classes do not outweigh the others",
    prefix: "adamerging_",
    suffix: "_normalized",
    label: "normalised entropy",
    unit: null,
    paper: "https://arxiv.org/abs/2310.02575",
    targets: "none",
  },
  expert_divergence: {
    title: "Divergence from the experts' own predictions on unlabelled examples",
    suffix: "_expert",
    label: "divergence from the experts",
    unit: "nats",
    paper: "https://arxiv.org/abs/1503.02531",
    targets: "expert",
  },
  pseudo_label: {
    title:
      "Cross-entropy with the classes that the experts predict, without the merged model's confident disagreements",
    suffix: "_pseudo_label",
    label: "cross-entropy with pseudo-labels",
    unit: "nats",
    paper: "https://github.com/AIM-SKKU/SyMerge",
    targets: "expert",
  },
  feature_l1: {
    title: "Mean absolute difference from the experts' features on unlabelled examples",
    suffix: "_feature_l1",
    label: "feature distance (L1)",
    unit: null,
    paper: "https://arxiv.org/abs/2402.02705",
    targets: "expert_features",
  },
  feature_l2: {
    title: "Mean squared difference from the experts' features on unlabelled examples",
    suffix: "_feature_l2",
    label: "feature distance (L2)",
    unit: null,
    paper: "https://arxiv.org/abs/2402.02705",
    targets: "expert_features",
  },
  cross_entropy: {
    title: "Cross-entropy with labels: an upper bound for learning without them",
    suffix: "_labels",
    label: "cross-entropy",
    unit: "nats",
    paper: "https://arxiv.org/abs/2310.02575",
    targets: "labels",
  },
} as const satisfies Record<string, ObjectiveFacts>;

/** As configs have it: one of these, or one that a program has added. */
export type ObjectiveName = string;

const known = new Map<ObjectiveName, ObjectiveFacts>(Object.entries(objectiveFacts));

/** Adds what is known of an objective from outside the package. */
export function addObjectiveFacts(name: ObjectiveName, facts: ObjectiveFacts): void {
  known.set(name, facts);
}

export function isObjective(name: string): boolean {
  return known.has(name);
}

/** Of the objective of a config, which has been checked. */
export function objectiveFactsOf(name: ObjectiveName): ObjectiveFacts {
  const facts = known.get(name);
  assert(facts !== undefined, `no objective ${name}`);
  return facts;
}

/** The objective's values and their unit, for a title: `entropy (nats)`. */
export function objectiveLabel(name: ObjectiveName): string {
  const { label, unit } = objectiveFactsOf(name);
  return unit === null ? label : `${label} (${unit})`;
}

/** The name of a fit in tables, around what says how it was parametrised: `adamerging_layer_wise`, `layer_wise_tsv_expert`. */
export function fitName(name: ObjectiveName, parametrisation: string): string {
  const { prefix = "", suffix = `_${name}` } = objectiveFactsOf(name);
  return `${prefix}${parametrisation}${suffix}`;
}

/** Whether the objective is one of features, not of logits. */
export function isOfFeatures({ targets }: Pick<ObjectiveFacts, "targets">): boolean {
  return targets === "expert_features";
}

/** Whether a fit reads labels, in any of its stages. */
export function readsLabels(config: RunConfig): boolean {
  return objectiveNames(config).some((name) => objectiveFactsOf(name).targets === "labels");
}

/** What a fit minimises, stage by stage, for people: "entropy, then divergence from the experts". */
export function objectiveTitles(config: RunConfig, titleOf: (name: ObjectiveName) => string): string {
  return objectiveNames(config).map(titleOf).join(", then ");
}
