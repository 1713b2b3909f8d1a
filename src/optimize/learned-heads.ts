/**
 * Heads that are learned with the merged model or after it: their numbers as one flat array outside the graph, moved by Adam from the gradients that
 * a step gives of their tensors (step-program.ts, weight-step.ts). `trained`: the layers of each task's classifier, as SyMerge learns them (official
 * code main_symerge.py). `surgery`: the adapter before it alone (Yang et al. 2024, arXiv:2402.02705). H numbers of all tensors of all heads.
 */
import type { HeadsName } from "../config/heads.js";
import { type Executable, sizeOf } from "../engine/program.js";
import { assert } from "../errors.js";
import { headSources, headSpecs, headsWith, isOfAdapter } from "../model/head-program.js";
import type { Head } from "../model/heads.js";
import { type AdamOptions, type AdamState, initAdam, updateAdam } from "./adam.js";
import { requireFiniteGradients } from "./finite-losses.js";
import { learningRateAt } from "./schedule.js";
import { gradientName } from "./step-program.js";
import { type LoopOptions, stepOfSchedule } from "./training-loop.js";

/** The numbers of all heads in a state of a fit, whether they are learned in its stage or were in one before it. */
export interface HeadsState {
  /** [H], in the order of `headSpecs`. */
  readonly valuesH: Float64Array;
  readonly adam: AdamState<Float64Array>;
}

export interface LearnedHeads {
  /** Names of the tensors that are learned, as a step's program has them. */
  readonly names: readonly string[];
  /** Numbers that are learned. */
  readonly size: number;
  /** The heads of a state. */
  headsOf(state: HeadsState): readonly Head[];
  /** Gives a state's heads to the compiled step. */
  bind(step: Executable, state: HeadsState): Promise<void>;
  /** One update from a step's outputs: the next state, and the gradient's norm. */
  descend(
    state: HeadsState,
    outputs: ReadonlyMap<string, Float32Array>,
    learningRate: number,
    options: AdamOptions,
  ): { readonly state: HeadsState; readonly gradientNorm: number };
}

const NO_SLOPES = new Float32Array();

/** Names of the tensors of `heads` that are learned; none where they are frozen. */
export function learnedHeadNames(heads: readonly Head[], learned: HeadsName): readonly string[] {
  if (learned === "frozen") return [];
  const ofAdapter = learned === "surgery";
  return headSpecs(heads).flatMap(([name]) => (isOfAdapter(name) === ofAdapter ? [name] : []));
}

/** The state of these heads before the first step that learns them. */
export function initHeads(heads: readonly Head[]): HeadsState {
  const sources = headSources(heads).flatMap(([, source]) => (source.kind === "memory" ? [source.values] : []));
  const valuesH = new Float64Array(sources.reduce((sum, { length }) => sum + length, 0));
  let from = 0;
  for (const values of sources) {
    valuesH.set(values, from);
    from += values.length;
  }
  return { valuesH, adam: initAdam(valuesH.length) };
}

/** The heads of a state that none were learned in before, where they are now; nothing otherwise. */
export function beginHeads(
  state: { readonly heads?: HeadsState },
  learned: LearnedHeads | undefined,
  heads: readonly Head[],
): { readonly heads?: HeadsState } {
  return state.heads === undefined && learned !== undefined ? { heads: initHeads(heads) } : {};
}

/** The same numbers before a stage, whose optimiser begins anew. */
export function nextHeads(state: HeadsState | undefined): { readonly heads?: HeadsState } {
  return state === undefined ? {} : { heads: { valuesH: state.valuesH, adam: initAdam(state.valuesH.length) } };
}

/** The heads with the numbers of a state, float32; `heads` say their shapes. */
export function headsOfState(heads: readonly Head[], { valuesH }: HeadsState): Head[] {
  const places = new Map(placesOf(heads).map((place) => [place.name, place]));
  return headsWith(heads, (name) => {
    const place = places.get(name);
    assert(place !== undefined, `no tensor ${name} of a head`);
    return Float32Array.from(valuesH.subarray(place.from, place.to));
  });
}

/** Opens heads for learning; undefined where they are frozen. */
export function openLearnedHeads(heads: readonly Head[], learned: HeadsName): LearnedHeads | undefined {
  const names = learnedHeadNames(heads, learned);
  if (names.length === 0) return undefined;
  const chosen = new Set(names);
  const places = placesOf(heads).filter(({ name }) => chosen.has(name));
  const headsOf = (state: HeadsState): Head[] => headsOfState(heads, state);
  return {
    names,
    size: places.reduce((sum, { from, to }) => sum + to - from, 0),
    headsOf,
    bind: (step, state) => step.bind(new Map(headSources(headsOf(state)))),
    descend: ({ valuesH, adam }, outputs, learningRate, options) => {
      const next = { valuesH: valuesH.slice(), mean: adam.mean.slice(), meanSquare: adam.meanSquare.slice() };
      let squares = 0;
      for (const { name, from, to } of places) {
        const slopes = outputs.get(gradientName(name));
        assert(slopes !== undefined, `the compiled step lacks the gradient of ${name}`);
        for (const slope of slopes) squares += slope * slope;
        const own = (values: Float64Array): Float64Array => values.subarray(from, to);
        const moments = { updates: adam.updates, mean: own(next.mean), meanSquare: own(next.meanSquare) };
        updateAdam(moments, own(next.valuesH), slopes, learningRate, options);
      }
      const { valuesH: moved, mean, meanSquare } = next;
      const state = { valuesH: moved, adam: { updates: adam.updates + 1, mean, meanSquare } };
      return { state, gradientNorm: Math.sqrt(squares) };
    },
  };
}

/** The heads after a step, where they are learned, from the state of the fit before it. Throws NumericError for a gradient that is not finite. */
export function headsAfter(
  options: Pick<LoopOptions, "heads" | "headsLearningRate" | "schedule" | "stage">,
  { step, heads }: { readonly step: number; readonly heads?: HeadsState },
  outputs: ReadonlyMap<string, Float32Array>,
  adam: AdamOptions,
): (ReturnType<LearnedHeads["descend"]> & { readonly learningRate: number }) | undefined {
  if (options.heads === undefined) return undefined;
  assert(heads !== undefined && options.headsLearningRate !== undefined, "a state without the heads that are learned");
  const gradients = options.heads.names.map((name) => [name, outputs.get(gradientName(name)) ?? NO_SLOPES] as const);
  requireFiniteGradients(step + 1, gradients, "Lower heads_learning_rate");
  const schedule = { ...options.schedule, learningRate: options.headsLearningRate };
  const learningRate = learningRateAt(stepOfSchedule(step + 1, options), schedule);
  return { ...options.heads.descend(heads, outputs, learningRate, adam), learningRate };
}

/** Bytes that learning heads of so many numbers takes: numbers and moments before and after an update, their gradients here and in the engine. */
export function learnedHeadsBytes(
  numbers: number,
  { isSplit, keepsBest = false }: { readonly isSplit: boolean; readonly keepsBest?: boolean },
): number {
  const [float64, float32] = [Float64Array.BYTES_PER_ELEMENT, Float32Array.BYTES_PER_ELEMENT];
  const states = 6 * float64 + (keepsBest ? float64 : 0);
  return numbers * (states + 3 * float32 + (isSplit ? float64 + float32 : 0));
}

/** Where each tensor's numbers lie. */
function placesOf(heads: readonly Head[]): { readonly name: string; readonly from: number; readonly to: number }[] {
  let to = 0;
  return headSpecs(heads).map(([name, { shape }]) => {
    const from = to;
    to += sizeOf(shape);
    return { name, from, to };
  });
}
