/**
 * The keys of a config that say whether the tasks' heads are learned too, and the settings that do not go with them. What is learned of a
 * head: optimize/learned-heads.ts.
 */
import { z } from "zod";
import type { SettingIssue } from "./parametrisation.js";

export const HEADS_NAMES = ["frozen", "trained", "surgery"] as const;

export type HeadsName = (typeof HEADS_NAMES)[number];

/** What is learned, for people. */
export const HEADS_TITLES = {
  trained: "weights of heads",
  surgery: "weights of adapters",
} as const satisfies Record<Exclude<HeadsName, "frozen">, string>;

/** The keys of a config. */
export const headsKeys = {
  heads: z
    .enum(HEADS_NAMES)
    .default("frozen")
    .describe("The tasks' heads: frozen; trained with what learns; or surgery: frozen, behind an adapter of each task"),
  heads_learning_rate: z
    .number()
    .gt(0)
    .default(1e-3)
    .describe("With heads trained or surgery: their step size at the top of the optimizer's schedule"),
  heads_rank: z.int().min(1).default(16).describe("With heads surgery: rank of each task's adapter"),
};

interface Settings {
  readonly heads: HeadsName;
  readonly parametrisation: string;
  readonly objective: { readonly name: string };
  readonly optimizer: { readonly sam: { readonly rho: number } };
  readonly data: { readonly gradient_images: number };
}

/** The objectives of features, which no head changes. */
const OF_FEATURES: ReadonlySet<string> = new Set(["feature_l1", "feature_l2"]);

/** What does not go with learned heads, or with none. */
export function headsIssues({ heads, parametrisation, objective, optimizer, data }: Settings): readonly SettingIssue[] {
  if (heads === "frozen") {
    if (parametrisation !== "none") return [];
    const message =
      "expected something to learn, found parametrisation none with heads frozen; set heads=trained or heads=surgery, or another parametrisation";
    return [{ path: ["parametrisation"], message }];
  }
  const wrong = (path: readonly string[], expected: string, found: string | number, other = "heads=frozen") => ({
    path,
    message: `expected ${expected} with heads ${heads}, found ${found}; set ${other} to use it`,
  });
  const { rho } = optimizer.sam;
  const isBlind = heads === "trained" && OF_FEATURES.has(objective.name);
  return [
    ...(isBlind ? [wrong(["objective", "name"], "an objective of predictions", objective.name, "heads=surgery")] : []),
    ...(rho === 0 ? [] : [wrong(["optimizer", "sam", "rho"], "0", rho)]),
    ...(data.gradient_images === 0 ? [] : [wrong(["data", "gradient_images"], "0", data.gradient_images)]),
  ];
}
