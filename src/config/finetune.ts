/**
 * The settings of `adamerge finetune`: types, defaults, validation and texts of its keys, as schema.ts has them for a
 * fit. What null stands for is chosen when model and data are known (run/finetune/).
 */
import { z } from "zod";
import { ConfigError } from "../errors.js";
import { deviceIssue } from "./device.js";
import { formatKeys } from "./format.js";
import { explainIssue } from "./issues.js";
import { type ConfigKey, keysOf } from "./keys.js";
import { applyOverrides } from "./overrides.js";
import { folderName, MAX_SEED, registeredName } from "./schema.js";
import { problemsError, type Settings, toObject } from "./settings.js";

const positiveInt = z.int().min(1);
const count = z.int().min(0);
const share = z.number().min(0).lt(1);
const place = z.string().min(1, "a path, not an empty text");
const column = z.string().min(1, "the name of a column, not an empty text").nullable().default(null);

const head = z.strictObject({
  kind: z
    .enum(["linear", "zero_shot"])
    .default("linear")
    .describe("linear: trained with the model; zero_shot: made of the classes' names, and frozen"),
  start: z
    .enum(["prototypes", "normal"])
    .default("prototypes")
    .describe("A linear head begins as prototypes of the classes, or drawn with deviation 0.02 as in transformers"),
  template: z
    .string()
    .refine((text) => text.split("{}").length === 2, "expected a text with exactly one {} where the class's name goes")
    .nullable()
    .default(null)
    .describe("Prompt of a zero_shot head, with {} where a class's name goes; null: the family's"),
  text_model: place
    .nullable()
    .default(null)
    .describe("Model that embeds the prompts of a zero_shot head of images; null: the base itself"),
  logit_scale: z
    .number()
    .gt(0)
    .nullable()
    .default(null)
    .describe("By which cosines, or a drawn head's products, are multiplied; null: what fits the head"),
});

const features = z.strictObject({
  pooling: z
    .enum(["cls", "mean", "cls_mean", "pooler", "projection"])
    .nullable()
    .default(null)
    .describe("What of the model's output the head reads; null: what the base's files say, or what is usual"),
  normalize: z.boolean().nullable().default(null).describe("Whether that is brought to length 1; null: as above"),
});

const optimizer = z.strictObject({
  learning_rate: z
    .number()
    .gt(0)
    .nullable()
    .default(null)
    .describe("Step size of AdamW at the top of the schedule; null: the family's, for the model's width"),
  weight_decay: z
    .number()
    .min(0)
    .default(0.01)
    .describe("Decoupled, of everything but biases and norms; each update shrinks by rate x this"),
  beta1: share.default(0.9).describe("Decay rate of the mean of gradients"),
  beta2: share.default(0.999).describe("Decay rate of the mean of squared gradients"),
  epsilon: z.number().gt(0).default(1e-8).describe("Added outside the square root"),
  schedule: z
    .enum(["constant", "cosine", "linear"])
    .default("cosine")
    .describe("Learning rate after the warm-up; cosine and linear end at 0"),
  warmup: share.default(0.1).describe("Share of the steps over which the rate rises from 0"),
  layer_decay: z
    .number()
    .gt(0)
    .max(1)
    .default(1)
    .describe("Rate of each block over that of the one behind it, down to the embeddings; 1: one rate for all"),
  max_grad_norm: z
    .number()
    .gt(0)
    .nullable()
    .default(1)
    .describe("Norm of the whole gradient above which it is scaled down; null: never"),
});

const lora = z.strictObject({
  rank: count.default(0).describe("Rank of the factors that are trained in place of the weights; 0: all weights"),
  alpha: z.number().gt(0).nullable().default(null).describe("The product counts alpha / rank times; null: 2 x rank"),
  targets: z
    .array(z.string().min(1))
    .min(1)
    .nullable()
    .default(null)
    .describe(
      "Linear layers with factors: attention, mlp, all (also outside of blocks), or glob patterns; null: all of the blocks",
    ),
  dropout: share
    .default(0)
    .describe(
      "Share of a layer's input that its factors are not given in a step, drawn anew for each; the rest is scaled up",
    ),
});

const evaluation = z.strictObject({
  split: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe("Split that is held out; null: the data's own validation split, or else a share of the training split"),
  share: share.default(0.1).describe("That share, drawn class by class, equal examples together; 0: none is held out"),
  every: count
    .nullable()
    .default(null)
    .describe("Steps between evaluations on what is held out; null: an epoch; 0: at the end only"),
  keep: z
    .enum(["last", "best"])
    .default("last")
    .describe("Which weights are saved: those of the last step, or those that were best on what is held out"),
});

export const finetuneSchema = z
  .strictObject({
    base: place.describe("The pretrained model: its folder, or org/name on the hub"),
    data: place.describe("Labelled images or texts: a folder in any layout that is read, or a table"),
    text_column: column.describe("Column of the texts in tables, the first of pairs; null: found by its name"),
    pair_column: column.describe("Column of the other texts of pairs; null: found by its name"),
    image_column: column.describe("Column of the images in tables, or of their paths; null: found by its name"),
    label_column: column.describe("Column of the labels in tables; null: found by its name"),
    task: folderName.nullable().default(null).describe("Name of the task, and of its head; null: that of the data"),
    epochs: z.number().gt(0).default(3).describe("Passes over the training examples"),
    steps: positiveInt.nullable().default(null).describe("Steps instead of epochs"),
    batch_size: positiveInt.default(32).describe("Examples of a step"),
    max_length: positiveInt
      .nullable()
      .default(null)
      .describe("Tokens that texts are cut at; null: what the base takes"),
    label_smoothing: share.default(0).describe("Share of the target that goes to all classes alike"),
    freeze: z.array(z.string().min(1)).default([]).describe("Glob patterns over tensors that stay, e.g. embeddings.*"),
    head: head.prefault({}).describe("The classifier on top"),
    features: features.prefault({}).describe("What the head reads"),
    optimizer: optimizer.prefault({}).describe("How weights are updated"),
    lora: lora.prefault({}).describe("Training low-rank factors in place of the weights"),
    eval: evaluation.prefault({}).describe("Measuring on examples that are held out"),
    seed: z.int().min(0).max(MAX_SEED).default(0).describe("Draws batches, the held-out part and drawn weights"),
    engine: z.enum(["onnx", "tfjs"]).default("onnx").describe("onnx: traced graph (fast); tfjs: eager (the oracle)"),
    device: z
      .enum(["auto", "cpu", "webgpu", "cuda", "wasm", "tensorflow"])
      .default("auto")
      .describe("auto: the fastest found"),
    threads: count.default(0).describe("CPU threads; 0: all cores. Part of what makes a training repeat exactly"),
    memory_gb: z
      .number()
      .min(0)
      .default(0)
      .describe("Memory a step may take, in GB: its examples are computed in parts that fit; 0: no limit"),
    checkpoint_every: count.default(100).describe("Steps between states to resume from; 0: only when it is stopped"),
    save_classifier: z
      .boolean()
      .default(true)
      .describe("Also write a classifier of transformers, where its class computes what the model does"),
    save_report: z.boolean().default(true).describe("Write report.html and its figures when the training has finished"),
    report_examples: z
      .int()
      .min(0)
      .max(50)
      .default(6)
      .describe("Examples that the report shows of those that the saved model takes for another class; 0: none"),
    log_model: z.boolean().default(false).describe("Deliver the model too, where an MLflow server is named"),
    register_model: registeredName
      .nullable()
      .default(null)
      .describe("Name under which the delivered model is registered there, a new version each run; needs log_model"),
    name: folderName
      .nullable()
      .default(null)
      .describe("Name of the run: its folder under output/finetune; null: the task's"),
    output: place.default("runs").describe("Directory of all runs, relative to the working directory"),
  })
  .superRefine((value, context) => {
    const issue = (path: string[], message: string) => context.addIssue({ code: "custom", path, message });
    const { alpha, targets, dropout } = value.lora;
    if (value.lora.rank === 0 && (alpha !== null || targets !== null || dropout > 0))
      issue(["lora", "rank"], "expected a rank from 1 with the other settings of lora, found 0; say lora.rank=8");
    if (value.eval.keep === "best" && value.eval.share === 0 && value.eval.split === null)
      issue(["eval", "share"], "expected a share above 0, or eval.split, with eval.keep best, found 0");
    if (value.register_model !== null && !value.log_model)
      issue(["register_model"], "expected log_model: true with a name to register the model under, found false");
    const wrongDevice = deviceIssue(value.engine, value.device);
    if (wrongDevice !== undefined) issue(["device"], wrongDevice);
  });

/**
 * All settings of a fine-tuning, validated.
 *
 * @interface
 */
export type FinetuneConfig = z.output<typeof finetuneSchema>;

/** The JSON Schema (draft 2020-12) of the settings, for pages about them. */
export function finetuneJsonSchema(): z.core.JSONSchema.JSONSchema {
  return z.toJSONSchema(finetuneSchema, { io: "input" });
}

/** The settings that name columns, called as in suite.yaml. */
export const COLUMN_SETTINGS = ["text_column", "pair_column", "image_column", "label_column"] as const;

/** The columns that the settings name, by the name of the setting: parameters of a reader of data. */
export function namedColumns(config: Pick<FinetuneConfig, (typeof COLUMN_SETTINGS)[number]>): Record<string, string> {
  return Object.fromEntries(COLUMN_SETTINGS.flatMap((key) => (config[key] === null ? [] : [[key, config[key]]])));
}

/** Every key in the order of the schema. */
export const finetuneKeys: ReadonlyMap<string, ConfigKey> = keysOf(finetuneSchema);

/** Model, data and `key=value` texts as settings. Throws ConfigError with every mistake. */
export function finetuneConfig(base: string, data: string, overrides: readonly string[], cwd: string): FinetuneConfig {
  const own = overrides.find((text) => /^~?(?:base|data)(?:=|$)/.test(text));
  if (own !== undefined)
    throw new ConfigError(`override ${own}: expected model and data in front of the settings, found them as a setting`);
  const settings: Settings = new Map();
  const problems = applyOverrides(settings, overrides, cwd, finetuneKeys);
  const given = { ...toObject(settings, finetuneKeys), base, data };
  const parsed = finetuneSchema.safeParse(given);
  if (!parsed.success)
    for (const issue of parsed.error.issues) {
      const key = issue.path.map(String).join(".");
      problems.push({ where: settings.get(key)?.source ?? key, text: explainIssue(issue, given) });
    }
  if (!parsed.success || problems.length > 0) throw problemsError(problems);
  return parsed.data;
}

/** Folder of all fine-tunings below their output, and their experiment on a server. */
export const FINETUNE_EXPERIMENT = "finetune";

/** As config.yaml of a run has it. */
export function formatFinetune(config: FinetuneConfig): string {
  return formatKeys(config, finetuneKeys.values());
}

/** Whether what a run's config.yaml holds is of a fine-tuning: a fit's has a suite in place of a base. */
export function isFinetune(value: unknown): boolean {
  return typeof value === "object" && value !== null && "base" in value && !("suite" in value);
}

/** What a run's config.yaml holds. Throws ConfigError for what is no fine-tuning's. */
export function parseFinetune(value: unknown): FinetuneConfig {
  const parsed = finetuneSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const key = issue?.path.map(String).join(".") ?? "";
  throw new ConfigError(`${key === "" ? "" : `${key}: `}${issue === undefined ? "" : explainIssue(issue, value)}`);
}
