/** The section `data` of a config: which examples are adapted on and judged, and in what batches. */
import { z } from "zod";
import type { SettingIssue } from "./parametrisation.js";
import { objectiveNames } from "./stages.js";

const positiveInt = z.int().min(1);
const count = z.int().min(0);

export const data = z.strictObject({
  adapt_split: z.string().min(1).default("test").describe("Split whose examples (never labels) the objective sees"),
  adapt_limit: positiveInt
    .nullable()
    .default(null)
    .describe("Examples per task that the objective sees, drawn by the seed; null: all of the split"),
  adapt_per_class: positiveInt
    .nullable()
    .default(null)
    .describe("Instead: labelled examples per class, drawn by the seed; needs objective.name cross_entropy"),
  eval_split: z
    .string()
    .min(1)
    .nullable()
    .default("test")
    .describe("Split on which accuracy is measured; null: no labels, entropy on the examples of adapt_split instead"),
  eval_tasks: z
    .array(z.string().min(1))
    .min(1)
    .nullable()
    .default(null)
    .describe("Names of the suite's tasks that are judged, merged or not; null: the merged ones"),
  corruption: z
    .enum([
      "none",
      "motion_blur",
      "impulse_noise",
      "gaussian_noise",
      "pixelate",
      "spatter",
      "contrast",
      "jpeg_compression",
      "typos",
      "dropped_words",
      "swapped_words",
    ])
    .default("none")
    .describe(
      "Done to all examples, adapted on and judged; texts have typos, dropped_words, swapped_words, images the others",
    ),
  corruption_severity: z
    .int()
    .min(1)
    .max(5)
    .default(4)
    .describe("1 (mild) to 5 (for images as Hendrycks and Dietterich have them); spatter has 4 and 5 only"),
  batch_size: positiveInt.default(16).describe("Examples (images or texts) per batch and task"),
  batches_per_task: positiveInt.default(1).describe("Batches per task in one step; their losses are added"),
  eval_batch_size: positiveInt.default(128).describe("Examples per evaluation batch; does not change results"),
  eval_every: count.default(0).describe("Steps between evaluations; 0: only at the end"),
  gradient_images: count
    .default(0)
    .describe("Judged examples per task on which evaluations compare the gradients of objective and labelled loss"),
  eval_limit: positiveInt.nullable().default(null).describe("Examples per task to evaluate on; null: all"),
  cache_gb: z
    .number()
    .gt(0)
    .default(64)
    .describe("Disk that encoded examples of all runs may take, in GB; those used longest ago go first"),
});

type PerClassSettings = Parameters<typeof objectiveNames>[0] & {
  readonly data: z.output<typeof data>;
  readonly stopping: { readonly rule: string };
};

/** Who draws by class reads labels: that is for objectives that do so anyway, in every stage. */
export function perClassIssues(config: PerClassSettings): readonly SettingIssue[] {
  const { adapt_limit, adapt_per_class, gradient_images } = config.data;
  if (adapt_per_class === null) return [];
  const wrong = (found: string, advice: string): SettingIssue => ({
    path: ["data", "adapt_per_class"],
    message: `expected null with ${found}, found ${adapt_per_class}; ${advice}`,
  });
  const blind = objectiveNames(config).filter((name) => name !== "cross_entropy");
  const { rule } = config.stopping;
  return [
    ...(blind.length === 0
      ? []
      : [
          wrong(
            `objective.name ${blind.join(", ")}, which reads no labels`,
            "set data.adapt_limit, which counts examples of a task",
          ),
        ]),
    ...(adapt_limit === null ? [] : [wrong(`data.adapt_limit ${adapt_limit}`, "choose one of the two")]),
    ...(rule === "none" ? [] : [wrong(`stopping.rule ${rule}`, "set stopping.rule=none")]),
    ...(gradient_images === 0 ? [] : [wrong(`data.gradient_images ${gradient_images}`, "set that to 0")]),
  ];
}
