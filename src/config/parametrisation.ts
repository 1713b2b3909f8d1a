/**
 * The keys of a config that say what learns how task vectors are merged, and the settings that do not go with them. What the
 * parametrisations do: optimize/parametrisation/.
 */
import { z } from "zod";

export const PARAMETRISATION_NAMES = [
  "scalar",
  "rows",
  "rows_columns",
  "singular",
  "element_wise",
  "all_weights",
  "masks",
  "low_rank",
  "none",
] as const;

export type ParametrisationName = (typeof PARAMETRISATION_NAMES)[number];

/** What is learned, for people, in place of "coefficients". */
export const PARAMETRISATION_TITLES = {
  scalar: "coefficients",
  rows: "coefficients of output rows",
  rows_columns: "factors of output rows and input columns",
  singular: "coefficients of singular directions",
  element_wise: "coefficients of single weights",
  all_weights: "merged weights",
  masks: "coefficients, and masks of singular directions",
  low_rank: "coefficients, and changes of low rank",
  none: "nothing of the weights",
} as const satisfies Record<ParametrisationName, string>;

/** The keys of a config. */
export const parametrisationKeys = {
  parametrisation: z
    .enum(PARAMETRISATION_NAMES)
    .default("scalar")
    .describe(
      "What learns: scalar (a coefficient per task and group of tensors, by granularity), more of every weight matrix, or none",
    ),
  parametrisation_rank: z
    .int()
    .min(1)
    .default(16)
    .describe("With singular: directions per matrix and task with a coefficient of their own; with low_rank: its rank"),
  parametrisation_ratio: z
    .number()
    .gt(0)
    .max(1)
    .default(1)
    .describe("With masks: share of each task vector's singular directions that are on at the start, the leading ones"),
};

/** A key that cannot be what it is, and why. */
export interface SettingIssue {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

interface Settings {
  readonly parametrisation: ParametrisationName;
  readonly granularity: string;
  readonly coefficients: { readonly constraint: string; readonly restart_every: number };
  readonly optimizer: { readonly sam: { readonly rho: number } };
  readonly data: { readonly gradient_images: number };
}

/** What only scalar coefficients have, where something else learns. */
export function parametrisationIssues({
  parametrisation,
  granularity,
  coefficients,
  optimizer,
  data,
}: Settings): readonly SettingIssue[] {
  if (parametrisation === "scalar") return [];
  const wrong = (path: readonly string[], expected: string, found: string | number) => ({
    path,
    message: `expected ${expected} with parametrisation ${parametrisation}, found ${found}; set parametrisation=scalar to use it`,
  });
  return [
    ...(granularity === "layer-wise" ? [] : [wrong(["granularity"], "layer-wise", granularity)]),
    ...(coefficients.constraint === "softmax"
      ? [wrong(["coefficients", "constraint"], "clamp or none, which are for scalar coefficients alone,", "softmax")]
      : []),
    ...(coefficients.restart_every === 0
      ? []
      : [wrong(["coefficients", "restart_every"], "0", coefficients.restart_every)]),
    ...(optimizer.sam.rho === 0 ? [] : [wrong(["optimizer", "sam", "rho"], "0", optimizer.sam.rho)]),
    ...(data.gradient_images === 0 ? [] : [wrong(["data", "gradient_images"], "0", data.gradient_images)]),
  ];
}
