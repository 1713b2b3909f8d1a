/**
 * When a fit ends by what can be seen without labels: after `patience` looks in a row of which none is better than the best. The parameters of the
 * best look are kept in the state, so that a resumed fit ends as one that did not stop. What a look is worth: label-free-scores.ts.
 */
import type { HeadsState } from "./learned-heads.js";
import type { Floats } from "./parametrisation/parametrisation.js";

export interface StoppingOptions {
  /** Steps between looks; the first is before any step, the last after the last. */
  readonly every: number;
  /** Looks. */
  readonly patience: number;
}

/** One look at held-out examples. */
export interface Look {
  /** Lower is better: the mean over the tasks. */
  readonly score: number;
  /** In the order of the adapted tasks. */
  readonly perTask: readonly number[];
}

/** What is remembered of the looks so far. */
export interface StoppingState {
  readonly lookedStep: number;
  readonly bestStep: number;
  readonly bestScore: number;
  /** Looks since the best. */
  readonly worseLooks: number;
  /** The parameters of the best step, a copy. */
  readonly bestP: Floats;
}

/** What a state of a fit has for it. */
export interface Watched {
  readonly step: number;
  readonly stopping?: StoppingState;
}

/** Whether it is time to look. */
export function isLookDue(options: StoppingOptions | undefined, steps: number, { step, stopping }: Watched): boolean {
  if (options === undefined || (stopping?.lookedStep ?? -1) >= step) return false;
  return step % options.every === 0 || step >= steps;
}

/** Whether the looks have become no better for too long. */
export function hasStopped(options: StoppingOptions | undefined, { stopping }: Watched): boolean {
  return options !== undefined && stopping !== undefined && stopping.worseLooks >= options.patience;
}

/** What is remembered after a look at these parameters; a score that is not a number is not better. */
export function afterLook({ step, stopping }: Watched, { score }: Look, parametersP: Floats): StoppingState {
  if (stopping === undefined || score < stopping.bestScore || Number.isNaN(stopping.bestScore))
    return { lookedStep: step, bestStep: step, bestScore: score, worseLooks: 0, bestP: parametersP.slice() };
  return { ...stopping, lookedStep: step, worseLooks: stopping.worseLooks + 1 };
}

/** Parameters with the numbers of heads behind them, where a state has some: what is kept of the best step. */
export function withHeadParameters(parametersP: Floats, heads: HeadsState | undefined): Floats {
  if (heads === undefined) return parametersP;
  const length = parametersP.length + heads.valuesH.length;
  const joined = parametersP instanceof Float32Array ? new Float32Array(length) : new Float64Array(length);
  joined.set(parametersP);
  joined.set(heads.valuesH, parametersP.length);
  return joined;
}

/** The two parts again: `size` parameters, and the heads of a state with the numbers behind them. */
export function splitParameters(
  joined: Floats,
  size: number,
  heads: HeadsState | undefined,
): { readonly own: Floats; readonly heads: { readonly heads?: HeadsState } } {
  const own = joined.subarray(0, size);
  if (heads === undefined) return { own, heads: {} };
  return { own, heads: { heads: { ...heads, valuesH: Float64Array.from(joined.subarray(size)) } } };
}

/** How a fit with a rule ended. */
export interface StoppingOutcome {
  /** The last step taken. */
  readonly step: number;
  /** Whose parameters are kept. */
  readonly bestStep: number;
  readonly bestScore: number;
  /** Whether the rule ended it before its last step. */
  readonly isEarly: boolean;
}

/** Of a state at the end of a fit; undefined without a rule. */
export function stoppingOutcome(options: StoppingOptions | undefined, state: Watched): StoppingOutcome | undefined {
  const { step, stopping } = state;
  if (options === undefined || stopping === undefined) return undefined;
  const { bestStep, bestScore } = stopping;
  return { step, bestStep, bestScore, isEarly: hasStopped(options, state) };
}

/** In a sentence. `title`: what the scores are. */
export function stoppingText({ step, bestStep, bestScore, isEarly }: StoppingOutcome, title: string, patience: number) {
  const why = isEarly
    ? `stopped after step ${step}: the ${title} was no better at ${patience} look${patience === 1 ? "" : "s"} in a row`
    : `ran to step ${step}`;
  return `${why}; step ${bestStep} is kept, where it was ${bestScore.toFixed(4)}`;
}
