/**
 * WUDI-Merging (Cheng et al. 2025, arXiv:2503.08099): for each weight matrix the task vector that interferes least with every task's, by gradient descent
 * and without data: minimise sum over tasks of |(tau - tau_t) tau_t^T|^2 / |tau_t|^2, from the sum of the task vectors, with Adam. Tensors
 * that are not matrices are averaged. O rows, I columns.
 */
import { z } from "zod";
import { productsWith, transposed } from "../kernels/products.js";
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
 * whatever the number of tasks. Products are float32, as in the authors' code, everything else float64.
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
    productsWith(gram, outputs, inputs, "float32")(tauOI, b);
  }
  const tau = Float64Array.from({ length: outputs * inputs }, (_, i) =>
    taskVectors.reduce((sum, tauN) => sum + (tauN[i] ?? 0), 0),
  );
  const [first, second] = [new Float64Array(tau.length), new Float64Array(tau.length)];
  const addTauA = productsWith(a, outputs, inputs, "float32");
  for (let step = 1; step <= steps; step++) {
    const product = new Float64Array(tau.length);
    addTauA(tau, product);
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
  const squares = tauOI.reduce((sum, value) => sum + value * value, 0);
  if (squares === 0) return gram;
  productsWith(tauOI, inputs, inputs, "float32")(transposed(tauOI, inputs), gram);
  return gram.map((value) => value / squares);
}
