/**
 * The file that `adamerge merge` reads: which models are merged how. Its keys are mergekit's, so that files written for it are read here;
 * `merge_method` takes mergekit's definitions, `method` one of `adamerge methods`. Reads and checks the file; opens no model.
 */
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
  model: z.string().min(1).describe("Folder of the model, relative to this file; or a .safetensors or PyTorch file"),
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

export interface MergeFileModel {
  readonly path: string;
  readonly name: string;
  readonly parameters: Readonly<Record<string, MergeSetting>>;
}

export interface MergeFile {
  /** Absolute path of the file. */
  readonly path: string;
  readonly text: string;
  readonly title: string | undefined;
  /** In the order of the file; the base is among them when it is listed. Paths are absolute. */
  readonly models: readonly MergeFileModel[];
  readonly base: MergeFileModel | undefined;
  readonly method: { readonly kind: "per-tensor" | "whole-model"; readonly name: string };
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly dtype: "float32" | "float16" | "bfloat16" | undefined;
  /** Absolute path of the model whose tokenizer files are copied. */
  readonly tokenizer: string | undefined;
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
  const absolute = (relative: string): string => path.resolve(path.dirname(file), relative);
  const all = data.models.map(({ model, name, parameters }) => ({
    path: absolute(model),
    name: name ?? path.basename(model).replace(/\.safetensors$/, ""),
    parameters,
  }));
  const basePath = data.base_model === undefined ? undefined : absolute(data.base_model);
  const listed = all.find(({ path: model }) => model === basePath);
  const twice = all.find(({ path: model }, index) => all.findIndex((other) => other.path === model) !== index);
  if (twice !== undefined)
    throw new ConfigError(`${file}: models: expected every model once, found ${twice.path} again`);
  return {
    path: file,
    text,
    title: data.name,
    models: all,
    base:
      basePath === undefined
        ? undefined
        : (listed ?? { path: basePath, name: path.basename(basePath), parameters: {} }),
    method:
      data.method === undefined
        ? { kind: "per-tensor", name: data.merge_method ?? "" }
        : { kind: "whole-model", name: data.method },
    parameters: data.parameters,
    dtype: data.out_dtype ?? data.dtype,
    tokenizer: tokenizerOf(
      file,
      data.tokenizer_source,
      basePath,
      all.map((model) => model.path),
      absolute,
    ),
    seed: data.seed,
  };
}

function tokenizerOf(
  file: string,
  source: string | undefined,
  base: string | undefined,
  models: readonly string[],
  absolute: (relative: string) => string,
): string | undefined {
  if (source === undefined) return base ?? models[0];
  if (source === "union")
    throw new ConfigError(
      `${file}: tokenizer_source: expected base or one of the models, found union; vocabularies are not joined here`,
    );
  if (source === "base") {
    if (base !== undefined) return base;
    throw new ConfigError(`${file}: tokenizer_source: expected a base_model beside \`base\`, found none`);
  }
  return absolute(source.replace(/^model:/, ""));
}
