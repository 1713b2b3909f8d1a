/**
 * The file that `adamerge merge` reads: which models are merged how. Its keys are mergekit's, so that files written for it are read here;
 * `merge_method` takes mergekit's definitions, `method` one of `adamerge methods`. Reads and checks the file; opens no model.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import { ConfigError } from "../errors.js";
import { explainIssue } from "./issues.js";
import { type MergeSetting, mergeSettingSchema } from "./merge-setting.js";
import { nearest } from "./nearest.js";

const parametersSchema = z.record(z.string(), mergeSettingSchema);
const dtype = z.enum(["float32", "float16", "bfloat16"]);

const modelSchema = z.strictObject({
  model: z
    .string()
    .min(1)
    .describe(
      "Folder of the model, relative to this file; a .safetensors or PyTorch file; org/name on the hub; any of them + a LoRA adapter",
    ),
  name: z.string().min(1).optional().describe("What the model is called in results; default: the folder's name"),
  parameters: parametersSchema.default({}).describe("Settings for this model, such as weight and density"),
});

const mergeFileSchema = z
  .strictObject({
    models: z.array(modelSchema).min(1).describe("The models that are merged"),
    merge_method: z.string().optional().describe("A method by mergekit's definition: each tensor by itself"),
    method: z
      .string()
      .optional()
      .describe("Instead of merge_method: one of `adamerge methods`, by its paper's definition"),
    base_model: z.string().min(1).optional().describe("The model that the others were fine-tuned from"),
    parameters: z
      .record(z.string(), z.unknown())
      .default({})
      .describe("Settings for all models, where a model has none of its own; with `method` its settings"),
    dtype: dtype.optional().describe("Type of the merged tensors; default: each as in the base, or in the first model"),
    out_dtype: dtype.optional().describe("The same; wins over dtype (arithmetic is float32 in any case)"),
    tokenizer_source: z.string().optional().describe("Whose tokenizer files are copied: base, or one of the models"),
    chat_template: z.literal("auto").optional().describe("Only auto: the template comes with the tokenizer"),
    name: z.string().optional().describe("Heading of the model card"),
    seed: z.int().min(0).default(0).describe("Of everything random in the method"),
  })
  .superRefine((file, context) => {
    if ((file.merge_method === undefined) === (file.method === undefined))
      context.addIssue({ code: "custom", path: [], message: "expected one of `merge_method` and `method`" });
  });

/** Where something lies, as the file says: a path, or a repository on the hub. */
export interface MergeFilePlace {
  readonly text: string;
  /** The absolute path that it stands for if it is one. */
  readonly path: string;
}

export interface MergeFileModel {
  /** The absolute path of the model, with its adapter's behind a plus: what tells it from others. */
  readonly path: string;
  /** The model without what is added to it. */
  readonly model: MergeFilePlace;
  /** A LoRA adapter that is added to the model, as mergekit's `model+adapter`. */
  readonly adapter: MergeFilePlace | undefined;
  readonly name: string;
  readonly parameters: Readonly<Record<string, MergeSetting>>;
}

export interface MergeFile {
  /** Absolute path of the file. */
  readonly path: string;
  readonly text: string;
  readonly title: string | undefined;
  /** In the order of the file; the base is among them when it is listed. */
  readonly models: readonly MergeFileModel[];
  readonly base: MergeFileModel | undefined;
  readonly method: { readonly kind: "per-tensor" | "whole-model"; readonly name: string };
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly dtype: "float32" | "float16" | "bfloat16" | undefined;
  /** The model whose tokenizer files are copied. */
  readonly tokenizer: MergeFilePlace | undefined;
  readonly seed: number;
}

/** Whether the text of a YAML file is a merge file: it has `models` or `slices` at its top level. */
export function looksLikeMergeFile(text: string): boolean {
  return /^(?:models|slices|modules|merge_method)\s*:/m.test(text);
}

const OTHER_FORMS: Readonly<Record<string, string>> = {
  slices: "stacking slices of models is not done here; list whole models under `models`",
  modules: "several modules are not done here; list whole models under `models`",
  tokenizer: "only `tokenizer_source` is read here: base, or one of the models",
};

/** Reads a merge file. Throws ConfigError with every mistake in it. */
export async function readMergeFile(file: string): Promise<MergeFile> {
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    throw new ConfigError(`${file}: could not be read (${error instanceof Error ? error.message : String(error)})`);
  });
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const broken = document.errors.map(
    (error) => `${file}:${lines.linePos(error.pos[0]).line}: not valid YAML: ${error.message}`,
  );
  if (broken.length > 0) throw new ConfigError(broken.join("\n"));
  const value: unknown = document.toJS();
  const foreign = Object.entries(OTHER_FORMS).find(
    ([key]) => typeof value === "object" && value !== null && key in value,
  );
  if (foreign !== undefined) throw new ConfigError(`${file}: ${foreign[0]}: ${foreign[1]}`);
  const parsed = mergeFileSchema.safeParse(value);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      (issue) =>
        `${file}: ${issue.path.map(String).join(".") || "file"}: ${explainIssue(issue, value)}${guessKey(issue)}`,
    );
    throw new ConfigError(problems.join("\n"));
  }
  return resolved(file, text, parsed.data);
}

function guessKey(issue: z.core.$ZodIssue): string {
  if (issue.code !== "unrecognized_keys" || issue.path.length > 0) return "";
  const guess = nearest(issue.keys[0] ?? "", Object.keys(mergeFileSchema.shape));
  return guess === undefined ? "" : `; did you mean ${guess}?`;
}

function resolved(file: string, text: string, data: z.output<typeof mergeFileSchema>): MergeFile {
  const folder = path.dirname(file);
  const all = data.models.map(({ model, name, parameters }) => modelOf(file, folder, model, name, parameters));
  const base = data.base_model === undefined ? undefined : modelOf(file, folder, data.base_model, undefined, {});
  const listed = all.find((model) => model.path === base?.path);
  const twice = all.find(({ path: model }, index) => all.findIndex((other) => other.path === model) !== index);
  if (twice !== undefined)
    throw new ConfigError(`${file}: models: expected every model once, found ${twice.path} again`);
  return {
    path: file,
    text,
    title: data.name,
    models: all,
    base: listed ?? base,
    method:
      data.method === undefined
        ? { kind: "per-tensor", name: data.merge_method ?? "" }
        : { kind: "whole-model", name: data.method },
    parameters: data.parameters,
    dtype: data.out_dtype ?? data.dtype,
    tokenizer: tokenizerOf(file, data.tokenizer_source, base, all),
    seed: data.seed,
  };
}

function modelOf(
  file: string,
  folder: string,
  text: string,
  name: string | undefined,
  parameters: MergeFileModel["parameters"],
): MergeFileModel {
  const placed = (part: string): MergeFilePlace => ({ text: part, path: path.resolve(folder, part) });
  // What exists under the whole name is a path with a plus in it.
  const parts = existsSync(path.resolve(folder, text)) ? [text] : text.split("+").map((part) => part.trim());
  const [model = "", adapter] = parts;
  if (parts.length > 2 || parts.includes(""))
    throw new ConfigError(`${file}: models: expected MODEL or MODEL+ADAPTER, found ${text}`);
  const shown = parts.map((part) => path.basename(part).replace(/\.safetensors$/, "")).join("+");
  return {
    path: parts.map((part) => placed(part).path).join("+"),
    model: placed(model),
    adapter: adapter === undefined ? undefined : placed(adapter),
    name: name ?? shown,
    parameters,
  };
}

function tokenizerOf(
  file: string,
  source: string | undefined,
  base: MergeFileModel | undefined,
  models: readonly MergeFileModel[],
): MergeFilePlace | undefined {
  if (source === undefined) return (base ?? models[0])?.model;
  if (source === "union")
    throw new ConfigError(
      `${file}: tokenizer_source: expected base or one of the models, found union; vocabularies are not joined here`,
    );
  if (source === "base") {
    if (base !== undefined) return base.model;
    throw new ConfigError(`${file}: tokenizer_source: expected a base_model beside \`base\`, found none`);
  }
  return modelOf(file, path.dirname(file), source.replace(/^model:/, ""), undefined, {}).model;
}
