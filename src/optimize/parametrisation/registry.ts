/** The parametrisations by their names in configs. `scalar` is learned inside the graph and is not among them (step-program.ts). */
import type { ParametrisationName } from "../../config/parametrisation.js";
import { allWeights } from "./all-weights.js";
import { elementWise } from "./element-wise.js";
import type { Parametrisation } from "./parametrisation.js";
import { rows, rowsColumns } from "./rows-columns.js";
import { singular } from "./singular.js";

/** Those that need G = dL/dW. */
export type WeightParametrisationName = Exclude<ParametrisationName, "scalar">;

/** The entry makes one of the config's `parametrisation_rank`. */
const parametrisations = {
  rows: () => rows,
  rows_columns: () => rowsColumns,
  singular,
  element_wise: () => elementWise,
  all_weights: () => allWeights,
} as const satisfies Record<WeightParametrisationName, (rank: number) => Parametrisation>;

/** The parametrisation of a config; undefined for scalar coefficients. */
export function parametrisationOf(config: {
  readonly parametrisation: ParametrisationName;
  readonly parametrisation_rank: number;
}): Parametrisation | undefined {
  const { parametrisation, parametrisation_rank } = config;
  return parametrisation === "scalar" ? undefined : parametrisations[parametrisation](parametrisation_rank);
}
