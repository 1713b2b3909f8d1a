/** Nothing of the weights: they stay what they were opened on, and no gradient of them is asked for. For fits, and stages, that learn heads. */
import type { Parametrisation } from "./parametrisation.js";

export const noWeights: Parametrisation = {
  size: () => 0,
  form: () => ({
    readsTaskVectors: false,
    start: () => {},
    merge: ({ baseS }, _parameters, mergedS) => mergedS.set(baseS),
    gradient: () => {},
  }),
};
