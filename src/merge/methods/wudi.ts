/**
 * WUDI-Merging (Cheng et al. 2025, arXiv:2503.08099): for each weight matrix the task vector that interferes least with every task's, by gradient descent
 * and without data: minimise sum over tasks of |(tau - tau_t) tau_t^T|^2 / |tau_t|^2, from the sum of the task vectors, with Adam. Tensors
 * that are not matrices are averaged. O rows, I columns.
 */
import { z } from "zod";
import { addToBase, defineMethod, type Piece } from "./method.js";

const parameters = z.strictObject({
  steps: z.int().min(0).default(300).describe("Steps of Adam for each matrix"),
  learning_rate: z.number().gt(0).default(1e-5).describe("Step size of Adam"),
});

/** Adam's usual constants (Kingma and Ba 2015). */
const [BETA1, BETA2, EPSILON] = [0.9, 0.999, 1e-8];

export const wudi = defineMethod({
  name: "wudi",
  title: "WUDI-Merging",
  paper: "https://arxiv.org/abs/2503.08099",
  parameters,
  unit: "tensor",
  prepare: async (_context, settings) => (piece) => {
    const tasks = piece.taskVectors.length;
    if (piece.tensor.shape.length !== 2)
      return addToBase(piece, (i) => piece.taskVectors.reduce((sum, tauN) => sum + (tauN[i] ?? 0), 0) / tasks);
    const tauOI = leastInterfering(piece, settings);
    return addToBase(piece, (i) => tauOI[i] ?? 0);
  },
});

/**
 * The gradient is 2 (tau A - B) with A = sum of G_t, B = sum of tau_t G_t, G_t = tau_t^T tau_t / |tau_t|^2, so that a step is one product
 * whatever the number of tasks.
 */
function leastInterfering(
  { tensor, taskVectors }: Piece,
  { steps, learning_rate: rate }: z.output<typeof parameters>,
): Float64Array {
  const [outputs = 1, inputs = 1] = tensor.shape;
  const a = new Float64Array(inputs * inputs);
  const b = new Float64Array(outputs * inputs);
  for (const tauOI of taskVectors) {
    const gram = scaledGram(tauOI, inputs);
    for (let i = 0; i < a.length; i++) a[i] = (a[i] ?? 0) + (gram[i] ?? 0);
    addProduct(b, Float64Array.from(tauOI), gram, inputs);
  }
  const tau = Float64Array.from({ length: outputs * inputs }, (_, i) =>
    taskVectors.reduce((sum, tauN) => sum + (tauN[i] ?? 0), 0),
  );
  const [first, second] = [new Float64Array(tau.length), new Float64Array(tau.length)];
  for (let step = 1; step <= steps; step++) {
    const product = new Float64Array(tau.length);
    addProduct(product, tau, a, inputs);
    const [correct1, correct2] = [1 - BETA1 ** step, 1 - BETA2 ** step];
    for (let i = 0; i < tau.length; i++) {
      const gradient = 2 * ((product[i] ?? 0) - (b[i] ?? 0));
      const mean = BETA1 * (first[i] ?? 0) + (1 - BETA1) * gradient;
      const square = BETA2 * (second[i] ?? 0) + (1 - BETA2) * gradient * gradient;
      first[i] = mean;
      second[i] = square;
      tau[i] = (tau[i] ?? 0) - (rate * (mean / correct1)) / (Math.sqrt(square / correct2) + EPSILON);
    }
  }
  return tau;
}

/** tau^T tau / |tau|^2 [I, I]; zeros for a task vector of zeros. */
function scaledGram(tauOI: Float32Array, inputs: number): Float64Array {
  const gram = new Float64Array(inputs * inputs);
  let squares = 0;
  for (let from = 0; from < tauOI.length; from += inputs)
    for (let i = 0; i < inputs; i++) {
      const value = tauOI[from + i] ?? 0;
      squares += value * value;
      for (let j = 0; j < inputs; j++)
        gram[i * inputs + j] = (gram[i * inputs + j] ?? 0) + value * (tauOI[from + j] ?? 0);
    }
  return squares === 0 ? gram : gram.map((value) => value / squares);
}

/** Adds left [O, I] times right [I, I] to `sum` [O, I]. Four rows of the right at a time, so that a sum is loaded and stored a quarter as often. */
function addProduct(sum: Float64Array, left: Float64Array, right: Float64Array, inputs: number): void {
  const even = inputs - (inputs % 4);
  for (let from = 0; from < left.length; from += inputs) {
    const rowI = sum.subarray(from, from + inputs);
    for (let i = 0; i < even; i += 4) {
      const a = left[from + i] ?? 0;
      const b = left[from + i + 1] ?? 0;
      const c = left[from + i + 2] ?? 0;
      const d = left[from + i + 3] ?? 0;
      const at = i * inputs;
      const rightA = right.subarray(at, at + inputs);
      const rightB = right.subarray(at + inputs, at + 2 * inputs);
      const rightC = right.subarray(at + 2 * inputs, at + 3 * inputs);
      const rightD = right.subarray(at + 3 * inputs, at + 4 * inputs);
      for (let j = 0; j < inputs; j++)
        rowI[j] =
          (rowI[j] ?? 0) +
          a * (rightA[j] ?? 0) +
          b * (rightB[j] ?? 0) +
          c * (rightC[j] ?? 0) +
          d * (rightD[j] ?? 0);
    }
    for (let i = even; i < inputs; i++) {
      const factor = left[from + i] ?? 0;
      const rightI = right.subarray(i * inputs, (i + 1) * inputs);
      for (let j = 0; j < inputs; j++) rowI[j] = (rowI[j] ?? 0) + factor * (rightI[j] ?? 0);
    }
  }
}
