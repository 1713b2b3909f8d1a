/**
 * The one schema of a run's configuration: types, defaults, validation, `config show`'s comments and the
 * JSON schema all come from here. It says nothing about files; reading YAML, presets and overrides is
 * load.ts. Names follow the papers and torch; keys are snake_case as in neighbouring tools.
 */
import { z } from "zod";
import { data, perClassIssues } from "./data.js";
import { deviceIssue } from "./device.js";
import { group } from "./group.js";
import { headsIssues, headsKeys } from "./heads.js";
import { objective } from "./objective.js";
import { optimizer } from "./optimizer.js";
import { parametrisationIssues, parametrisationKeys } from "./parametrisation.js";
import { stageIssues, stages, totalSteps } from "./stages.js";
import { stopping, stoppingIssues } from "./stopping.js";
import { taskVectorIssues, taskVectors } from "./task-vectors.js";

/** Largest seed: seeds are mixed as unsigned 32-bit numbers by the random generator. */
export const MAX_SEED = 2 ** 32 - 1;

/** A name that becomes a folder: one path segment, no leading dot or dash, so that it is never a flag or hidden. */
export const folderName = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.+=-]*$/, "letters, digits and . _ + = - only, starting with a letter or digit")
  .max(120);

/** Of a model in MLflow's registry, where `/` and `:` separate name and version. */
export const registeredName = z
  .string()
  .regex(/^[^/:'"\s][^/:'"]*$/, "a name without / : and quotation marks")
  .max(250);

const positiveInt = z.int().min(1);
const count = z.int().min(0);
const path = z.string().min(1, "a path, not an empty text");

const method = z.strictObject({
  name: z.enum(["adamerging"]).default("adamerging").describe("Merging method: adamerging"),
});

const coefficients = z
  .strictObject({
    initial: z.number().default(0.3).describe("Value of every coefficient before the first step"),
    constraint: z
      .enum(["clamp", "softmax", "none"])
      .default("clamp")
      .describe("clamp: to min..max; softmax: positive, summing to 1 over the tasks; none: free"),
    min: z.number().default(0).describe("Lower end of clamp"),
    max: z.number().default(1).describe("Upper end of clamp"),
    restart_every: count
      .default(0)
      .describe("Steps after which learning begins again from the merged model, as FW-Merging (soft) does; 0: never"),
  })
  .superRefine((value, context) => {
    if (value.constraint === "softmax" && value.restart_every > 0) {
      const message =
        "expected 0 with constraint softmax, whose coefficients sum to 1: after a restart nothing of the merged model would be left";
      context.addIssue({ code: "custom", path: ["restart_every"], message });
    }
    if (value.constraint !== "clamp") return;
    if (value.min >= value.max) {
      const message = `expected min < max with constraint clamp, found min ${value.min} and max ${value.max}`;
      context.addIssue({ code: "custom", path: ["min"], message });
    } else if (value.initial < value.min || value.initial > value.max) {
      const message = `expected a value in the clamp range ${value.min}..${value.max}, found ${value.initial}`;
      context.addIssue({ code: "custom", path: ["initial"], message });
    }
  });

/** The whole configuration of one run. `suite` is the only key without a default. */
export const runConfigSchema = z
  .strictObject({
    suite: path.describe("Suite directory: base, experts, heads, data; relative to the file that names it"),
    tasks: z
      .array(z.string().min(1))
      .min(1)
      .nullable()
      .default(null)
      .describe("Names of the suite's tasks to merge, in this order; null: all"),
    engine: z.enum(["onnx", "tfjs"]).default("onnx").describe("onnx: traced graph (fast); tfjs: eager (the oracle)"),
    device: z
      .enum(["auto", "cpu", "webgpu", "cuda", "wasm", "tensorflow"])
      .default("auto")
      .describe("auto: the fastest found; onnx runs on cpu, webgpu, cuda; tfjs on cpu, wasm, tensorflow"),
    threads: count
      .default(0)
      .describe("CPU threads of the engine; 0: all cores. Part of what makes a run repeat exactly"),
    memory_gb: z
      .number()
      .min(0)
      .default(0)
      .describe(
        "Memory a step may take besides mapped task vectors, in GB: its examples are split to fit; 0: no limit",
      ),
    method: method.prefault({}).describe("The merging method"),
    granularity: z
      .enum(["task-wise", "block-wise", "layer-wise", "groups"])
      .default("layer-wise")
      .describe("Tensors that share a coefficient: all, a transformer block, none (one each), or as in groups"),
    groups: z
      .array(group)
      .default([])
      .describe("With granularity groups: the first group that matches a tensor takes it, the others form `rest`"),
    share_qkv: z.boolean().default(false).describe("Query, key and value projections of a block share a coefficient"),
    merge_projection: z
      .boolean()
      .default(true)
      .describe("true: the projection to the features is merged too, where the model has one; false: it is the base's"),
    freeze: z
      .array(z.string().min(1))
      .default([])
      .describe("Glob patterns over tensor names: these stay as the base has them, e.g. embeddings.*"),
    ...parametrisationKeys,
    ...headsKeys,
    task_vectors: taskVectors.prefault({}).describe("What is done to the task vectors before merging"),
    coefficients: coefficients.prefault({}).describe("The merging coefficients"),
    objective: objective.prefault({}).describe("What the coefficients minimise"),
    optimizer: optimizer.prefault({}).describe("How they are updated"),
    stopping: stopping.prefault({}).describe("When a fit ends by what can be seen without labels"),
    data: data.prefault({}).describe("Examples: splits, batches, evaluation"),
    stages,
    steps: positiveInt.default(500).describe("Optimizer steps; with stages the sum of theirs, whatever is said here"),
    checkpoint_every: count
      .default(50)
      .describe("Steps between checkpoints to resume from; 0: only when a fit ends or is stopped"),
    seed: z.int().min(0).max(MAX_SEED).default(0).describe("Seed of the order of the examples"),
    experiment: folderName
      .default("default")
      .describe("Folder of runs that belong together; the config file's name if not given"),
    name: folderName.default("default").describe("Name of the run: its folder under the experiment"),
    output: path.default("runs").describe("Directory of all runs, relative to the working directory"),
    save_report: z.boolean().default(true).describe("Write report.html and its figures when a fit has finished"),
    report_examples: z
      .int()
      .min(0)
      .max(50)
      .default(3)
      .describe("Examples per task that the report shows of those that merging gained, and of those it lost; 0: none"),
    save_model: z
      .boolean()
      .default(true)
      .describe("Write the merged model (safetensors and config) into the run folder"),
    log_model: z
      .boolean()
      .default(false)
      .describe("Deliver the merged model too, where an MLflow server is named; needs save_model"),
    register_model: registeredName
      .nullable()
      .default(null)
      .describe("Name under which the delivered model is registered there, a new version each run; needs log_model"),
  })
  .superRefine((value, context) => {
    const issue = (path: (string | number)[], message: string) => context.addIssue({ code: "custom", path, message });
    if (value.granularity === "groups" && value.groups.length === 0)
      issue(["groups"], "expected at least one group {name, match} with granularity groups, found none");
    if (value.granularity !== "groups" && value.groups.length > 0)
      issue(
        ["groups"],
        `expected no groups with granularity ${value.granularity}; set granularity: groups to use them`,
      );
    const groupNames = new Set<string>(["rest"]);
    for (const [index, { name }] of value.groups.entries()) {
      const message = name === "rest" ? "`rest` is the name of the default group" : `a second group named ${name}`;
      if (groupNames.has(name)) issue(["groups", index, "name"], `expected a name of its own, found ${message}`);
      groupNames.add(name);
    }
    const issues =
      value.stages === null
        ? [...parametrisationIssues(value), ...headsIssues(value)]
        : stageIssues(value, value.stages);
    for (const { path, message } of [...issues, ...stoppingIssues(value), ...taskVectorIssues(value)])
      issue([...path], message);
    for (const { path, message } of perClassIssues(value)) issue([...path], message);
    const once = (path: string[], names: readonly string[]): void => {
      for (const [index, name] of names.entries())
        if (names.indexOf(name) !== index) issue([...path, index], `expected every task once, found ${name} again`);
    };
    once(["tasks"], value.tasks ?? []);
    once(["data", "eval_tasks"], value.data.eval_tasks ?? []);
    if (value.data.eval_split === null) {
      const unjudged = "with data.eval_split null, since nothing is judged";
      if (value.data.eval_tasks !== null) issue(["data", "eval_tasks"], `expected null ${unjudged}, found task names`);
      if (value.data.gradient_images > 0)
        issue(["data", "gradient_images"], `expected 0 ${unjudged}, found ${value.data.gradient_images}`);
    }
    const isWhole = value.stages === null && value.optimizer.warmup_steps > 0;
    if (isWhole && value.optimizer.warmup_steps >= value.steps) {
      const found = `${value.optimizer.warmup_steps}`;
      issue(["optimizer", "warmup_steps"], `expected fewer warm-up steps than steps (${value.steps}), found ${found}`);
    }
    if (value.log_model && !value.save_model)
      issue(["log_model"], "expected save_model: true with log_model: true, found false");
    if (value.register_model !== null && !value.log_model)
      issue(["register_model"], "expected log_model: true with a name to register the model under, found false");
    const wrongDevice = deviceIssue(value.engine, value.device);
    if (wrongDevice !== undefined) issue(["device"], wrongDevice);
  })
  .transform((value) => ({ ...value, steps: totalSteps(value) }));

/**
 * A complete configuration: every key present, validated. `adamerge config show CONFIG` says what each key means.
 *
 * @interface
 */
export type RunConfig = z.output<typeof runConfigSchema>;

/**
 * What a user may write: only `suite` is required, and all else has defaults.
 *
 * @interface
 */
export type RunConfigInput = z.input<typeof runConfigSchema>;
