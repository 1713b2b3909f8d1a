/**
 * A coefficient for each task vector and a mask for each of its singular directions: W = W0 + sum_t lambda_t sum_i m_ti s_ti u_ti v_ti^T with
 * m = 1 where sigma(b / T) >= 1/2, else 0, as tau_t without the directions that are off. dL/dlambda_t = <G, sum_i m_i s_i u_i v_i^T>; dL/db_ti =
 * lambda_t s_i u_i^T G v_i sigma'(b / T) / T, the gradient of the soft mask passed straight through. A vector has one coefficient per task.
 * Source: AdaRank (Lee et al. 2025), adaptive.py: T = 10, logits 0.1 for the first ratio of directions and -0.1 for the others. With all masks on and
 * logits that stay positive it is AdaMerging. K tasks, R rows, C columns, D = min(R, C) directions.
 */
import { directionFloats, openDirections, workingFloats } from "./directions.js";
import {
  isMatrix,
  matrixSize,
  type Parametrisation,
  type TensorForm,
  type TensorParts,
  type TensorSize,
  tasksOf,
} from "./parametrisation.js";
import { mergeTaskVectors, scalar, taskVectorSlopes } from "./scalar.js";

const TEMPERATURE = 10;
/** Of the logits, which begins with their masks just on or just off. */
const START = 0.1;

type Mask = (logit: number) => number;

const sigmoid = (logit: number): number => 1 / (1 + Math.exp(-logit / TEMPERATURE));
const binary: Mask = (logit) => (sigmoid(logit) >= 0.5 ? 1 : 0);

/** `ratio` of the directions of each task vector, the leading ones, are on at the start. */
export const masks = (ratio: number): Parametrisation => maskedBy(ratio, binary);

/** The same with masks between 0 and 1, whose gradient is a derivative: what the straight-through gradient is checked by. */
export const softMasks = (ratio: number): Parametrisation => maskedBy(ratio, sigmoid);

function directionsOf(shape: readonly number[]): number {
  const { rows, columns } = matrixSize(shape);
  return Math.min(rows, columns);
}

function maskedBy(ratio: number, mask: Mask): Parametrisation {
  return {
    size: (of: TensorSize) => (isMatrix(of.shape) ? of.tasks * (1 + directionsOf(of.shape)) : scalar.size(of)),
    kept: ({ shape, tasks }) => (isMatrix(shape) ? directionFloats(shape, tasks, directionsOf(shape)) : 0),
    working: ({ shape, tasks }) => (isMatrix(shape) ? workingFloats(shape, tasks, directionsOf(shape)) : 0),
    form: (parts) => (isMatrix(parts.shape) ? matrixForm(parts, ratio, mask) : scalar.form(parts)),
  };
}

/** The parameters of a task are lambda and b_1 ... b_D. */
function matrixForm(opened: TensorParts, ratio: number, mask: Mask): TensorForm {
  const count = directionsOf(opened.shape);
  const [tasks, size, perTask] = [tasksOf(opened), opened.baseS.length, 1 + count];
  const directions = openDirections(opened, count);
  const lambdaOf = (parameters: ArrayLike<number>, task: number): number => parameters[task * perTask] ?? 0;
  const logitOf = (parameters: ArrayLike<number>, task: number, i: number): number =>
    parameters[task * perTask + 1 + i] ?? 0;
  return {
    readsTaskVectors: true,
    start: (_parts, initial, parameters) => {
      const on = Math.round(ratio * count);
      for (let at = 0; at < parameters.length; at++) {
        const place = at % perTask;
        parameters[at] = place === 0 ? initial : place <= on ? START : -START;
      }
    },
    merge: (parts, parameters, mergedS) => {
      const lambdaK = Float64Array.from({ length: tasks }, (_, task) => lambdaOf(parameters, task));
      const sums = new Float64Array(size);
      mergeTaskVectors(parts, lambdaK, sums);
      const off = new Float64Array(tasks * count);
      for (const [task, lambda] of lambdaK.entries())
        for (let i = 0; i < count; i++) off[task * count + i] = lambda * (mask(logitOf(parameters, task, i)) - 1);
      directions.add(off, sums);
      mergedS.set(sums);
    },
    gradient: (parts, parameters, gradientS, into) => {
      const slopes = directions.slopes(gradientS);
      const wholeK = new Float64Array(tasks);
      taskVectorSlopes(parts, gradientS, wholeK);
      for (let task = 0; task < tasks; task++) {
        const lambda = lambdaOf(parameters, task);
        let ofLambda = wholeK[task] ?? 0;
        for (let i = 0; i < count; i++) {
          const [logit, slope] = [logitOf(parameters, task, i), slopes[task * count + i] ?? 0];
          const soft = sigmoid(logit);
          ofLambda -= (1 - mask(logit)) * slope;
          into[task * perTask + 1 + i] = (lambda * slope * soft * (1 - soft)) / TEMPERATURE;
        }
        into[task * perTask] = ofLambda;
      }
    },
  };
}
