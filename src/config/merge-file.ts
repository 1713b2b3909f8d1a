/**
 * The file that `adamerge merge` reads: which models are merged how. Its keys are mergekit's, so that files written for it are read here;
 * `merge_method` takes mergekit's definitions, `method` one of `adamerge methods`. Reads and checks the file; opens no model.
 */
import { existsSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { ConfigError } from "../errors.js";
import { nearest } from "../runtime/nearest.js";
import { explainIssue } from "./issues.js";
import { type MergeSetting, mergeSettingSchema, SETTING_FORMS, settingOrElse } from "./merge-setting.js";
import { type LayerRange, type PlainForms, plainForms } from "./mergekit-forms.js";
import { readYamlFile } from "./strict-yaml.js";

const parametersSchema = z.record(z.string(), mergeSettingSchema);
// mergekit's files may have keys without a value.
const dtype = z.enum(["float32", "float16", "bfloat16", "float64"]).nullish();

const modelSchema = z.strictObject({
  model: z
    .string()
    .min(1)
    .describe(
      "Folder of the model, relative to this file; a .safetensors or PyTorch file; org/name on the hub; any of them + a LoRA adapter",
    ),
  name: z.string().min(1).optional().describe("What the model is called in results; default: the folder's name"),
  parameters: parametersSchema.nullish().describe("Settings for this model, such as weight and density"),
});

const mergeFileSchema = z
  .strictObject({
    models: z.array(modelSchema).min(1).describe("The models that are merged"),
    merge_method: z.string().optional().describe("A method by mergekit's definition: each tensor by itself"),
    method: z
      .string()
      .optional()
      .describe("Instead of merge_method: one of `adamerge methods`, by its paper's definition"),
    base_model: z.string().min(1).nullish().describe("The model that the others were fine-tuned from"),
    parameters: z
      .record(z.string(), z.unknown())
      .nullish()
      .describe("Settings for all models, where a model has none of its own; with `method` its settings"),
    dtype: dtype.describe("Type of the merged tensors; default: each as in the base, or in the first model"),
    out_dtype: dtype.describe("The same; wins over dtype (arithmetic is float32 in any case)"),
    tokenizer_source: z
      .string()
      .min(1)
      .nullish()
      .describe("Whose tokenizer files are copied: base, or one of the models"),
    tokenizer: z.undefined(),
    chat_template: z.literal("auto").nullish().describe("Only auto: the template comes with the tokenizer"),
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
  /** The layers that the file asks of it; undefined where it asks for the model as it is. */
  readonly layers: LayerRange | undefined;
}

export type MergeDtype = "float64" | "float32" | "float16" | "bfloat16";

/** Whose tokenizer the result has. */
export interface TokenizerChoice {
  readonly place: MergeFilePlace;
  /** What the file says, where it says something: the vocabularies of all models must be this one's then. */
  readonly asked: { readonly where: string; readonly text: string } | undefined;
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
  readonly dtype: MergeDtype | undefined;
  readonly tokenizer: TokenizerChoice | undefined;
  readonly seed: number;
  /** Of what the file says and is passed over. */
  readonly notices: readonly string[];
  /** `file:line` of a key path. */
  locate(path: readonly PropertyKey[]): string;
}

/** Whether the text of a YAML file is a merge file: it has `models` or `slices` at its top level. */
export function looksLikeMergeFile(text: string): boolean {
  return /^(?:models|slices|modules|merge_method)\s*:/m.test(text);
}

/** Reads a merge file. Throws ConfigError with every mistake in it. */
export async function readMergeFile(file: string): Promise<MergeFile> {
  const yaml = await readYamlFile(file, "a merge file", { aliases: true });
  const forms = plainForms(yaml);
  const parsed = mergeFileSchema.safeParse(forms.value);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => {
      const key = issue.path.map(String).join(".") || "file";
      const place = issue.code === "unrecognized_keys" ? [...issue.path, ...issue.keys.slice(0, 1)] : issue.path;
      return `${forms.locate(place)}: ${key}: ${explainIssue(issue, forms.value)}${guessKey(issue)}`;
    });
    throw new ConfigError(problems.join("\n"));
  }
  return resolved(file, yaml.text, parsed.data, forms);
}

function guessKey(issue: z.core.$ZodIssue): string {
  if (issue.code !== "unrecognized_keys" || issue.path.length > 0) return "";
  const guess = nearest(issue.keys[0] ?? "", Object.keys(mergeFileSchema.shape));
  return guess === undefined ? "" : `; did you mean ${guess}?`;
}

function resolved(file: string, text: string, data: z.output<typeof mergeFileSchema>, forms: PlainForms): MergeFile {
  const { locate, layers, notices } = forms;
  const all = data.models.map(({ model, name, parameters }, at) => ({
    ...modelOf(locate(["models", at]), file, model, name),
    parameters: parameters ?? {},
    layers: layers[at],
  }));
  const base = data.base_model == null ? undefined : modelOf(locate(["base_model"]), file, data.base_model, undefined);
  const listed = all.find((model) => model.path === base?.path);
  const twice = all.findIndex(({ path: model }, index) => all.findIndex((other) => other.path === model) !== index);
  if (twice >= 0)
    throw new ConfigError(
      `${locate(["models", twice])}: models: expected every model once, found ${all[twice]?.path} again`,
    );
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
    parameters: sharedParameters(data.parameters ?? {}, forms),
    dtype: data.out_dtype ?? data.dtype ?? undefined,
    tokenizer: tokenizerOf(file, data.tokenizer_source ?? undefined, base, all, locate),
    seed: data.seed,
    notices,
    locate,
  };
}

/** Settings of a slice count before those of the file. */
function sharedParameters(ofFile: Readonly<Record<string, unknown>>, { sliceParameters, locate }: PlainForms) {
  const shared: Record<string, unknown> = { ...ofFile };
  const checked = (value: unknown, path: readonly PropertyKey[]): MergeSetting => {
    const setting = mergeSettingSchema.safeParse(value);
    if (setting.success) return setting.data;
    throw new ConfigError(`${locate(path)}: ${path.map(String).join(".")}: ${SETTING_FORMS}`);
  };
  if (typeof sliceParameters !== "object" || sliceParameters === null) return shared;
  for (const [key, value] of Object.entries(sliceParameters)) {
    const own = checked(value, ["slices", 0, "parameters", key]);
    const other = ofFile[key] === undefined ? undefined : checked(ofFile[key], ["parameters", key]);
    shared[key] = settingOrElse(own, other);
  }
  return shared;
}

function modelOf(where: string, file: string, text: string, name: string | undefined): MergeFileModel {
  const folder = path.dirname(file);
  const placed = (part: string): MergeFilePlace => ({ text: part, path: path.resolve(folder, part) });
  // What exists under the whole name is a path with a plus in it.
  const parts = existsSync(path.resolve(folder, text)) ? [text] : text.split("+").map((part) => part.trim());
  const [model = "", adapter] = parts;
  if (parts.length > 2 || parts.includes(""))
    throw new ConfigError(`${where}: models: expected MODEL or MODEL+ADAPTER, found ${text}`);
  const shown = parts.map((part) => path.basename(part).replace(/\.safetensors$/, "")).join("+");
  return {
    path: parts.map((part) => placed(part).path).join("+"),
    model: placed(model),
    adapter: adapter === undefined ? undefined : placed(adapter),
    name: name ?? shown,
    parameters: {},
    layers: undefined,
  };
}

function tokenizerOf(
  file: string,
  source: string | undefined,
  base: MergeFileModel | undefined,
  models: readonly MergeFileModel[],
  locate: MergeFile["locate"],
): TokenizerChoice | undefined {
  const own = (base ?? models[0])?.model;
  if (source === undefined) return own && { place: own, asked: undefined };
  const where = `${locate(["tokenizer_source"])}: tokenizer_source`;
  const asked = { where, text: source };
  if (source === "union") return own && { place: own, asked };
  if (source === "base") {
    if (base !== undefined) return { place: base.model, asked };
    throw new ConfigError(`${where}: expected a base_model beside \`base\`, found none`);
  }
  return { place: modelOf(where, file, source.replace(/^model:/, ""), undefined).model, asked };
}
