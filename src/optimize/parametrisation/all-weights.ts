/**
 * Every merged weight by itself: W = W0 + delta, dL/ddelta = G; delta starts as initial * sum_t tau_t. Leaves the span of the task vectors.
 * Source: plain gradient descent on the merged weights under the experts' soft labels, as distillation does. S elements.
 */
import { sizeOf } from "../../engine/program.js";
import { type Parametrisation, tasksOf } from "./parametrisation.js";

export const allWeights: Parametrisation = {
  size: ({ shape }) => sizeOf(shape),
  form: () => ({
    readsTaskVectors: false,
    startsFromTaskVectors: true,
    start: (parts, initial, parameters) => {
      if (initial === 0) return;
      const tasks = tasksOf(parts);
      const size = parts.baseS.length;
      for (let s = 0; s < size; s++) {
        let sum = 0;
        for (let task = 0; task < tasks; task++) sum += initial * (parts.tauKS[task * size + s] ?? 0);
        parameters[s] = sum;
      }
    },
    merge: ({ baseS }, parameters, mergedS) => {
      for (let s = 0; s < mergedS.length; s++) mergedS[s] = (baseS[s] ?? 0) + (parameters[s] ?? 0);
    },
    gradient: (_parts, _parameters, gradientS, into) => into.set(gradientS),
  }),
};
