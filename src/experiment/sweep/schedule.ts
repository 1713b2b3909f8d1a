/**
 * Which trial runs next and how far: asynchronous successive halving, of which a plain sweep is the case of one rung.
 * Source: Li et al. 2020, A System for Massively Parallel Hyperparameter Tuning (arXiv:1810.05934), algorithm 2 (ASHA).
 */

/** Steps at which trials are compared, rising; the last are the config's own. */
export type Rungs = readonly number[];

/** What is known of a trial: its metric at each rung it has reached, and whether it is over. */
export interface TrialProgress {
  /** By rung; a higher value is better. */
  readonly scores: readonly number[];
  /** Under way, or failed: not to be given out. */
  readonly isTaken: boolean;
}

/** `first_steps`, times `factor` as long as that is below `steps`, then `steps`. */
export function rungsOf(
  steps: number,
  halving: { readonly first_steps: number; readonly factor: number } | undefined,
): Rungs {
  if (halving === undefined) return [steps];
  const rungs: number[] = [];
  for (let rung = halving.first_steps; rung < steps; rung *= halving.factor) rungs.push(rung);
  return [...rungs, steps];
}

/**
 * The trial to run next and the rung to run it to: the highest rung from which one is good enough to go on, else a new trial.
 * Undefined when there is nothing to do now.
 */
export function nextTrial(
  trials: readonly TrialProgress[],
  rungs: Rungs,
  factor: number,
): { readonly trial: number; readonly rung: number } | undefined {
  for (let rung = rungs.length - 2; rung >= 0; rung--) {
    const reached = trials
      .map(({ scores }, trial) => ({ trial, score: scores[rung] }))
      .filter((each): each is { trial: number; score: number } => each.score !== undefined)
      .sort((a, b) => b.score - a.score || a.trial - b.trial);
    const promotable = reached
      .slice(0, Math.floor(reached.length / factor))
      .find(({ trial }) => trials[trial]?.scores.length === rung + 1 && !trials[trial]?.isTaken);
    if (promotable !== undefined) return { trial: promotable.trial, rung: rung + 1 };
  }
  const fresh = trials.findIndex(({ scores, isTaken }) => scores.length === 0 && !isTaken);
  return fresh < 0 ? undefined : { trial: fresh, rung: 0 };
}
