/** The section `stopping` of a config: when a fit ends by what can be seen without labels. What the rules compute: optimize/label-free-scores.ts. */
import { z } from "zod";

export const STOPPING_RULES = ["none", "disagreement", "entropy"] as const;

export type StoppingRule = (typeof STOPPING_RULES)[number];

/** What a rule's scores are, for people. */
export const STOPPING_TITLES = {
  disagreement: "held-out disagreement with the experts",
  entropy: "held-out entropy and drift",
} as const satisfies Record<Exclude<StoppingRule, "none">, string>;

export const stopping = z.strictObject({
  rule: z
    .enum(STOPPING_RULES)
    .default("none")
    .describe("Ends a fit without labels, by held-out disagreement with the experts, or entropy; keeps the best step"),
  every: z
    .int()
    .min(1)
    .default(20)
    .describe("Steps between looks at the held-out examples; also before the first step"),
  patience: z.int().min(1).default(3).describe("Looks in a row that are no better than the best, after which it ends"),
  examples: z
    .int()
    .min(1)
    .default(64)
    .describe("Unlabelled examples of adapt_split per task that are held out; what is learned from has none of them"),
});

interface Settings {
  readonly stopping: { readonly rule: StoppingRule };
  readonly coefficients: { readonly restart_every: number };
  readonly stages: readonly unknown[] | null;
}

/** What does not go with a rule. */
export function stoppingIssues({ stopping: { rule }, coefficients, stages }: Settings) {
  if (rule === "none") return [];
  if (stages !== null) {
    const message = `expected null with stopping.rule ${rule}, which ends a fit and not a stage, found ${stages.length} stages; set stopping.rule=none to use them`;
    return [{ path: ["stages"], message }];
  }
  if (coefficients.restart_every === 0) return [];
  const message = `expected 0 with stopping.rule ${rule}, whose best step may lie before a restart, found ${coefficients.restart_every}; set stopping.rule=none to use it`;
  return [{ path: ["coefficients", "restart_every"], message }];
}
