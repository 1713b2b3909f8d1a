/** What the objectives are called and what they need, without what computes them: reports and trackers load no engine for it. */

export interface ObjectiveFacts {
  readonly title: string;
  /** Begins the name of a fit in tables: AdaMerging is what minimises entropy. */
  readonly prefix: string;
  /** Ends it. */
  readonly suffix: string;
  /** What its values are called in a line of numbers. */
  readonly label: string;
  /** Of its values; null for a mere number. */
  readonly unit: "nats" | null;
  readonly paper: string;
  /** What is known of each example: nothing, its label (one-hot targets), or what the task's own expert predicts for it. */
  readonly targets: "none" | "labels" | "expert";
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
    prefix: "",
    suffix: "_expert",
    label: "divergence from the experts",
    unit: "nats",
    paper: "https://arxiv.org/abs/1503.02531",
    targets: "expert",
  },
  cross_entropy: {
    title: "Cross-entropy with labels: an upper bound for learning without them",
    prefix: "",
    suffix: "_labels",
    label: "cross-entropy",
    unit: "nats",
    paper: "https://arxiv.org/abs/2310.02575",
    targets: "labels",
  },
} as const satisfies Record<string, ObjectiveFacts>;

export type ObjectiveName = keyof typeof objectiveFacts;

/** The objective's values and their unit, for a title: `entropy (nats)`. */
export function objectiveLabel(name: ObjectiveName): string {
  const { label, unit } = objectiveFacts[name];
  return unit === null ? label : `${label} (${unit})`;
}

/** Whether the objective reads labels. */
export function readsLabels(name: ObjectiveName): boolean {
  return objectiveFacts[name].targets === "labels";
}
