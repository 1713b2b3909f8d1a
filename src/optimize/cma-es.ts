/**
 * CMA-ES: minimises a function of a few numbers by sampling a normal distribution whose mean, step size and covariance follow the better half of its samples.
 * Source: Hansen 2016, The CMA Evolution Strategy: A Tutorial (arXiv:1604.00772), figure 6 with its default parameters (table 1, without
 * negative weights). Plain state, pure steps: `ask` for candidates, `tell` their values. D numbers, P candidates of a generation.
 */
import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import type { Rng } from "../runtime/rng.js";

export interface CmaState {
  readonly generation: number;
  readonly mean: readonly number[];
  /** Step size. */
  readonly sigma: number;
  /** [D][D], symmetric. */
  readonly covariance: readonly (readonly number[])[];
  /** Evolution paths of the step size and of the covariance. */
  readonly pathSigma: readonly number[];
  readonly pathCovariance: readonly number[];
}

/** The tutorial's constants for D dimensions. */
interface Constants {
  readonly population: number;
  /** Of the best candidates, summing to 1. */
  readonly weights: readonly number[];
  readonly effective: number;
  readonly rateSigma: number;
  readonly dampSigma: number;
  readonly ratePath: number;
  readonly rateOne: number;
  readonly rateMu: number;
  /** Expected length of a standard normal vector. */
  readonly length: number;
}

/** The state before the first generation, around `mean` with step size `sigma` in every direction. */
export function initCmaEs(mean: readonly number[], sigma: number): CmaState {
  const zeros = mean.map(() => 0);
  const covariance = mean.map((_, row) => mean.map((__, column) => (row === column ? 1 : 0)));
  return { generation: 0, mean, sigma, covariance, pathSigma: zeros, pathCovariance: zeros };
}

/** Candidates of a generation in D dimensions: 4 + 3 ln D. */
export function populationSize(dimensions: number): number {
  return 4 + Math.floor(3 * Math.log(dimensions));
}

/** The candidates of the next generation, P of [D]. */
export function askCmaEs(state: CmaState, rng: Rng): number[][] {
  const { vectors, roots } = decompose(state);
  return Array.from({ length: populationSize(state.mean.length) }, () => {
    const scaled = roots.map((root) => root * rng.nextNormal());
    const step = vectors.mmul(Matrix.columnVector(scaled)).to1DArray();
    return state.mean.map((value, index) => value + state.sigma * (step[index] ?? 0));
  });
}

/** The state after a generation: `candidates` as they were asked, with the value of each; lower is better. */
export function tellCmaEs(
  state: CmaState,
  candidates: readonly (readonly number[])[],
  values: readonly number[],
): CmaState {
  const dimensions = state.mean.length;
  const c = constantsOf(dimensions);
  const order = values.map((_, index) => index).sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0));
  const best = c.weights.map((weight, place) => ({
    weight,
    step: state.mean.map((value, index) => ((candidates[order[place] ?? 0]?.[index] ?? 0) - value) / state.sigma),
  }));
  const shift = state.mean.map((_, index) =>
    best.reduce((sum, { weight, step }) => sum + weight * (step[index] ?? 0), 0),
  );
  const whitened = whiten(state, shift);
  const keepSigma = Math.sqrt(c.rateSigma * (2 - c.rateSigma) * c.effective);
  const pathSigma = state.pathSigma.map((value, i) => (1 - c.rateSigma) * value + keepSigma * (whitened[i] ?? 0));
  const generation = state.generation + 1;
  const norm = Math.hypot(...pathSigma);
  const unbiased = norm / Math.sqrt(1 - (1 - c.rateSigma) ** (2 * generation));
  // The covariance's path waits while the step size is still growing fast.
  const isSettled = unbiased < (1.4 + 2 / (dimensions + 1)) * c.length ? 1 : 0;
  const keepPath = isSettled * Math.sqrt(c.ratePath * (2 - c.ratePath) * c.effective);
  const pathCovariance = state.pathCovariance.map((value, i) => (1 - c.ratePath) * value + keepPath * (shift[i] ?? 0));
  const lost = (1 - isSettled) * c.ratePath * (2 - c.ratePath);
  const covariance = state.covariance.map((row, i) =>
    row.map((value, j) => {
      const one = (pathCovariance[i] ?? 0) * (pathCovariance[j] ?? 0) + lost * value;
      const mu = best.reduce((sum, { weight, step }) => sum + weight * (step[i] ?? 0) * (step[j] ?? 0), 0);
      return (1 - c.rateOne - c.rateMu) * value + c.rateOne * one + c.rateMu * mu;
    }),
  );
  return {
    generation,
    mean: state.mean.map((value, index) => value + state.sigma * (shift[index] ?? 0)),
    sigma: state.sigma * Math.exp((c.rateSigma / c.dampSigma) * (norm / c.length - 1)),
    covariance,
    pathSigma,
    pathCovariance,
  };
}

function constantsOf(dimensions: number): Constants {
  const population = populationSize(dimensions);
  const parents = Math.floor(population / 2);
  const raw = Array.from({ length: parents }, (_, index) => Math.log((population + 1) / 2) - Math.log(index + 1));
  const total = raw.reduce((sum, weight) => sum + weight, 0);
  const weights = raw.map((weight) => weight / total);
  const effective = 1 / weights.reduce((sum, weight) => sum + weight ** 2, 0);
  const rateSigma = (effective + 2) / (dimensions + effective + 5);
  const rateOne = 2 / ((dimensions + 1.3) ** 2 + effective);
  const rateMu = (2 * (effective - 2 + 1 / effective)) / ((dimensions + 2) ** 2 + effective);
  return {
    population,
    weights,
    effective,
    rateSigma,
    dampSigma: 1 + 2 * Math.max(0, Math.sqrt((effective - 1) / (dimensions + 1)) - 1) + rateSigma,
    ratePath: (4 + effective / dimensions) / (dimensions + 4 + (2 * effective) / dimensions),
    rateOne,
    rateMu: Math.min(1 - rateOne, rateMu),
    length: Math.sqrt(dimensions) * (1 - 1 / (4 * dimensions) + 1 / (21 * dimensions ** 2)),
  };
}

/** Eigenvectors of the covariance as columns, and the square roots of its eigenvalues. */
function decompose({ covariance }: CmaState): { vectors: Matrix; roots: number[] } {
  const found = new EigenvalueDecomposition(new Matrix(covariance.map((row) => [...row])), { assumeSymmetric: true });
  return {
    vectors: found.eigenvectorMatrix,
    roots: found.realEigenvalues.map((value) => Math.sqrt(Math.max(value, 0))),
  };
}

/** C^(-1/2) times a step. */
function whiten(state: CmaState, step: readonly number[]): number[] {
  const { vectors, roots } = decompose(state);
  const along = vectors
    .transpose()
    .mmul(Matrix.columnVector([...step]))
    .to1DArray();
  const scaled = along.map((value, index) => value / Math.max(roots[index] ?? 0, Number.MIN_VALUE));
  return vectors.mmul(Matrix.columnVector(scaled)).to1DArray();
}
