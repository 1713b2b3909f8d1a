/**
 * What a suite.yaml and the files of its tasks' definitions may say. Reads nothing: suite.ts and task-definition.ts do. A definition has all
 * that a task is but its expert, so that many suites share it.
 */
import { z } from "zod";
import { classifierHeadSchema, prototypesHeadSchema, zeroShotHeadSchema } from "./head-recipes.js";
import { splitName } from "./split-names.js";

const name = z.string().regex(/^[a-z0-9][a-z0-9_-]*$/, "a name of small letters, digits, dashes and _");
const text = z.string().min(1);
const nth = z.int().min(2).optional();

const partSchema = z
  .strictObject({
    of: splitName.describe("The data set's own split"),
    every: nth.describe("Its examples 0, n, 2n, ...: the part for which the others are kept apart"),
    except_every: nth.describe("All its others"),
  })
  .refine(({ every, except_every }) => (every === undefined) !== (except_every === undefined), {
    error: "expected one of `every` and `except_every`",
  });

const datasetSchema = z.strictObject({
  path: text.describe("Directory of the data set, or org/name on the hub"),
  config: text.optional().describe("Which of its configs, if it has several"),
  splits: z
    .partialRecord(splitName, z.union([splitName, partSchema], "a split name, or {of: train, every: 10}"))
    .optional()
    .describe(
      "Its own names of splits, by the names that runs use: {adapt: train, val: train, test: test}; or a fixed part of one: {of: train, every: 10}",
    ),
  image_column: text.optional().describe("Column of the images, if not found by itself"),
  text_column: text
    .optional()
    .describe("Column of the texts, if not found by itself; of the first texts where they are pairs"),
  pair_column: text.optional().describe("Column of the other texts of pairs, if not found by itself"),
  label_column: text.optional().describe("Column of the labels, if not found by itself"),
  labels: z
    .enum(["name", "number"])
    .default("name")
    .describe(
      "Which class a label means: the one that the data set calls so, where it names its classes, or the one at its number in `classes`",
    ),
  exif_orientation: z
    .enum(["apply", "ignore"])
    .optional()
    .describe(
      "apply (the default): images are turned as their EXIF orientation says, as Hugging Face datasets does; ignore: they are read as they are stored",
    ),
});

const title = text.optional().describe("Shown to people; the name if absent");
const dataset = z
  .union([text, datasetSchema], "a path or a section with path")
  .describe("Directory of the data set, or org/name on the hub; or a section with path, config, splits");
const counts = z.partialRecord(splitName, z.int().min(1)).optional();
const examples = counts.describe(
  "Examples that the data set's own splits have; one with another number is not this data set",
);
const images = counts.describe("The same as `examples`, by its former name");
const head = z
  .union(
    [text, prototypesHeadSchema, zeroShotHeadSchema, classifierHeadSchema],
    "a path or a section with prototypes, zero_shot or classifier",
  )
  .describe("File of the task's frozen classifier (safetensors or PyTorch), or a section that says what it is made of");
const classes = z.array(text).min(2).describe("Class names in the order of the head's rows");
const licence = text.optional().describe("Licence of the data (SPDX identifier where there is one)");
const source = text.optional().describe("Where the data comes from");

export const definitionSchema = z
  .strictObject({ title, dataset, examples, images, head, classes, licence, source })
  .superRefine(refuseBothCounts);

const definable = ["dataset", "head", "classes"] as const;

export const taskSchema = z
  .strictObject({
    name: name.describe("Names the task in configs, reports and file names"),
    definition: text
      .optional()
      .describe("File with what follows but the expert, relative to this one; what is said here too replaces it"),
    title,
    dataset: dataset.optional(),
    examples,
    images,
    expert: text.describe("Checkpoint fine-tuned on this task or LoRA adapter, or org/name on the hub"),
    head: head.optional(),
    classes: classes.optional(),
    licence,
    source,
  })
  .superRefine(refuseBothCounts)
  .superRefine((task, context) => {
    for (const key of definable)
      if (task.definition === undefined && task[key] === undefined)
        context.addIssue({
          code: "custom",
          path: [key],
          message: `expected a \`${key}\`, or the \`definition\` of a task that has one, found neither`,
        });
  });

function refuseBothCounts(
  { examples: own, images: former }: { readonly examples?: object | undefined; readonly images?: object | undefined },
  context: z.RefinementCtx,
): void {
  if (own !== undefined && former !== undefined)
    context.addIssue({
      code: "custom",
      path: ["images"],
      message: "expected the numbers of a split once, found `examples` and `images`, its former name; keep `examples`",
    });
}

/** As a model's `FeatureChoice` says them; whether a family has them is known when it is opened. */
const poolings = ["cls", "mean", "cls_mean", "pooler", "projection"] as const;

export const featuresSchema = z.strictObject({
  pooling: z
    .enum(poolings)
    .describe(
      "Features are the first token's (cls), the mean over the tokens, both, or what the model's pooler or projection makes",
    ),
  normalize: z.boolean().default(false).describe("Whether features are brought to length 1"),
});

export const splitsSchema = z.strictObject({
  adapt: splitName.default("adapt").describe("Split whose examples the coefficients are learned on"),
  val: splitName.default("val").describe("Split for choosing hyperparameters"),
  test: splitName.default("test").describe("Split for the final numbers"),
});

export const suiteSchema = z.strictObject({
  name: name.describe("Names the suite in reports"),
  title,
  base: text.describe("Directory of the pretrained checkpoint, or org/name on the hub"),
  multitask: text.optional().describe("Directory of a model trained on all tasks, a reference row of the tables"),
  text_model: text
    .optional()
    .describe("Model that embeds the names of classes for zero-shot heads, or org/name on the hub; the base if absent"),
  logit_scale: z.number().positive().optional().describe("Logit scale of heads that do not carry their own"),
  features: featuresSchema
    .optional()
    .describe("What of the encoder's output heads read, where the base's folder does not say it or says it otherwise"),
  max_length: z
    .int()
    .min(1)
    .optional()
    .describe("Tokens that texts are cut at; the most that the model takes if absent"),
  tasks: z.array(taskSchema).min(1).describe("In the order in which tasks appear everywhere"),
  splits: splitsSchema.prefault({}).describe("Names of the data sets' splits"),
});

export const datasetKeys: readonly string[] = Object.keys(datasetSchema.shape);
export const partKeys: readonly string[] = Object.keys(partSchema.shape);

export type FeaturesDescription = z.output<typeof featuresSchema>;
export type TaskDescription = z.output<typeof taskSchema>;
export type TaskDefinition = z.output<typeof definitionSchema>;
export type DatasetDescription = z.output<typeof datasetSchema>;
