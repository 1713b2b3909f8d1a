/**
 * Do a model's predictions fall into few classes? Counted as the number of equally likely classes that would have the same entropy, exp(H) of the shares of
 * predicted classes, and compared with what the task's expert predicts for the same examples (or the model that a fit began with). N examples.
 */

/** Predictions have collapsed where less than this part of the reference's classes, beyond the first, is left. */
export const COLLAPSED_BELOW = 1 / 3;

/** exp of the entropy of the shares of predicted classes [N]: 1 for one class alone, C for C classes equally often. */
export function effectiveClasses(predictionsN: Int32Array): number {
  const counts = new Map<number, number>();
  for (const predicted of predictionsN) counts.set(predicted, (counts.get(predicted) ?? 0) + 1);
  let entropy = 0;
  for (const count of counts.values()) entropy -= (count / predictionsN.length) * Math.log(count / predictionsN.length);
  return Math.exp(entropy);
}

/** A task whose predictions have collapsed, for people and records. */
export interface Collapse {
  readonly task: string;
  readonly classes: number;
  /** Those of the reference, for the same examples. */
  readonly expected: number;
  readonly reference: "expert" | "start";
}

/** Whether (classes - 1) / (expected - 1) < 1/3. Never for a reference that itself predicts nearly one class. */
export function isCollapsed(classes: number, expected: number): boolean {
  return expected > SMALLEST_REFERENCE && classes - 1 < COLLAPSED_BELOW * (expected - 1);
}

/** A reference of fewer effective classes says nothing: one class of a hundred examples makes 1.06. */
const SMALLEST_REFERENCE = 1.25;

/** In a sentence. */
export function collapseText({ task, classes, expected, reference }: Collapse): string {
  const than = reference === "expert" ? "its expert's" : "the start's";
  return `${task} has collapsed: its predictions fall into ${classes.toFixed(1)} classes where ${than} fall into ${expected.toFixed(1)}`;
}
