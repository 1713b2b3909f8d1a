/** The parametrisations by their names in configs. `scalar` is learned inside the graph and is not among them (step-program.ts). */
import type { ParametrisationName } from "../../config/parametrisation.js";
import { allWeights } from "./all-weights.js";
import { elementWise } from "./element-wise.js";
import { lowRank } from "./low-rank.js";
import { masks } from "./masks.js";
import { noWeights } from "./no-weights.js";
import type { Parametrisation } from "./parametrisation.js";
import { rows, rowsColumns } from "./rows-columns.js";
import { singular } from "./singular.js";

/** Those that need G = dL/dW. */
export type WeightParametrisationName = Exclude<ParametrisationName, "scalar">;

/** A config's parametrisation with its settings. */
interface Settings {
  readonly parametrisation: ParametrisationName;
  readonly parametrisation_rank: number;
  readonly parametrisation_ratio: number;
}

const parametrisations = {
  rows: () => rows,
  rows_columns: () => rowsColumns,
  singular: ({ parametrisation_rank }) => singular(parametrisation_rank),
  element_wise: () => elementWise,
  all_weights: () => allWeights,
  masks: ({ parametrisation_ratio }) => masks(parametrisation_ratio),
  low_rank: ({ parametrisation_rank }) => lowRank(parametrisation_rank),
  none: () => noWeights,
} as const satisfies Record<WeightParametrisationName, (settings: Settings) => Parametrisation>;

/** The parametrisation of a config; undefined for scalar coefficients. */
export function parametrisationOf(settings: Settings): Parametrisation | undefined {
  const { parametrisation } = settings;
  return parametrisation === "scalar" ? undefined : parametrisations[parametrisation](settings);
}
