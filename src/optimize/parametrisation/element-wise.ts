/**
 * A coefficient per weight and task, W = W0 + sum_t alpha_t o tau_t, with dL/dalpha_t = G o tau_t: K times as many parameters as weights.
 * Source: ProDistill (Xu et al. 2025), equation of its layer-wise merge; here end to end, not block by block. K tasks, S elements.
 */
import { sizeOf } from "../../engine/program.js";
import { allInitial, type Parametrisation } from "./parametrisation.js";

export const elementWise: Parametrisation = {
  size: ({ shape, tasks }) => tasks * sizeOf(shape),
  form: () => ({
    readsTaskVectors: true,
    start: allInitial,
    merge: ({ baseS, tauKS }, parameters, mergedS) => {
      const size = baseS.length;
      for (let s = 0; s < size; s++) {
        let sum = baseS[s] ?? 0;
        for (let at = s; at < parameters.length; at += size) sum += (parameters[at] ?? 0) * (tauKS[at] ?? 0);
        mergedS[s] = sum;
      }
    },
    gradient: ({ baseS, tauKS }, _parameters, gradientS, into) => {
      const size = baseS.length;
      for (let first = 0; first < into.length; first += size)
        for (let s = 0; s < size; s++) into[first + s] = (gradientS[s] ?? 0) * (tauKS[first + s] ?? 0);
    },
  }),
};
