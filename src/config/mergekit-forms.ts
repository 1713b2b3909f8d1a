/**
 * Forms of mergekit's files (0.1.5) that say the same as a list of models: one slice over all layers of each model, a
 * section for the tokenizer, types with `torch.` before them. Forms that say something which is not done here are
 * refused by name, with key and line. Source: mergekit's config.py and README.
 */
import { ConfigError } from "../errors.js";
import { quote } from "../runtime/printable.js";
import type { LocatedYaml } from "./strict-yaml.js";

/** Methods of mergekit that are not among ours. */
const OTHER_METHODS: ReadonlySet<string> = new Set([
  ...["passthrough", "model_stock", "breadcrumbs", "breadcrumbs_ties", "della", "della_linear", "nuslerp"],
  ...["multislerp", "karcher", "sce", "arcee_fusion", "nearswap", "ram", "ramplus_tl"],
]);

/** Settings of any of mergekit's methods: beside a method that has no use for them, mergekit passes over them. */
export const MERGEKIT_SETTINGS: readonly string[] = [
  ...["weight", "density", "normalize", "rescale", "lambda", "int8_mask", "t", "gamma", "epsilon"],
  ...["select_topk", "scale", "filter_wise", "nuslerp_flatten", "nuslerp_row_wise", "embed_slerp"],
  ...["eps", "max_iter", "tol", "dot_threshold"],
];

export interface PlainForms {
  /** The file with `models` in the place of `slices`, and `tokenizer_source` in that of `tokenizer`. */
  readonly value: unknown;
  /** `file:line` of a path in it. */
  locate(path: readonly PropertyKey[]): string;
  /** The layers that are asked of each model, where the file says it. */
  readonly layers: readonly (LayerRange | undefined)[];
  /** Settings of the one slice, which win over those of the file. */
  readonly sliceParameters: unknown;
  readonly notices: readonly string[];
}

export interface LayerRange {
  readonly from: number;
  readonly to: number;
  /** `file:line: key`, for errors. */
  readonly place: string;
}

type Section = Readonly<Record<string, unknown>>;

/** Throws ConfigError for forms that are not done here. */
export function plainForms({ value, locate }: LocatedYaml): PlainForms {
  if (!isSection(value)) return { value, locate, layers: [], sliceParameters: undefined, notices: [] };
  const refuse = (path: readonly PropertyKey[], text: string): never => {
    throw new ConfigError(`${locate(path)}: ${path.map(String).join(".")}: ${text}`);
  };
  if (value.modules != null) refuse(["modules"], "several modules are not done here; list whole models under `models`");
  const method = value.merge_method;
  if (typeof method === "string" && OTHER_METHODS.has(method))
    refuse(["merge_method"], `mergekit's ${method} is not done here; \`adamerge methods\` lists those that are`);
  const template = value.chat_template;
  if (template != null && template !== "auto")
    refuse(
      ["chat_template"],
      `expected auto, the template that comes with the tokenizer, found ${quote(String(template))}; write another one into the result's chat_template.jinja`,
    );
  const plain = { ...value, ...plainTokenizer(value, refuse), ...plainTypes(value) };
  if (value.slices == null) return { value: plain, locate, layers: [], sliceParameters: undefined, notices: [] };
  return oneSlice(plain, value.slices, locate, refuse);
}

type Refuse = (path: readonly PropertyKey[], text: string) => never;

function oneSlice(file: Section, slices: unknown, locate: LocatedYaml["locate"], refuse: Refuse): PlainForms {
  const slice: unknown = Array.isArray(slices) ? slices[0] : undefined;
  const sources = isSection(slice) ? slice.sources : undefined;
  if (file.models != null) refuse(["slices"], "expected either `models` or `slices`, found both");
  if (!isSection(slice) || !Array.isArray(sources))
    return refuse(["slices"], "expected a list with one slice, which has `sources`, found another form");
  if (Array.isArray(slices) && slices.length > 1)
    refuse(
      ["slices", 1],
      `expected one slice over all layers of each model, found ${slices.length} slices; stacking layers is not done here`,
    );
  const { sources: _, parameters, base_model: base, residual_weight: unused, ...others } = slice;
  const other = Object.keys(others)[0];
  if (other !== undefined) refuse(["slices", 0, other], "unknown key; a slice has sources, parameters and base_model");
  if (base != null && file.base_model != null && base !== file.base_model)
    refuse(["slices", 0, "base_model"], `expected the base_model of the file, found ${quote(String(base))}`);
  const layers = sources.map((source: unknown, at) => rangeOf(source, ["slices", 0, "sources", at], locate, refuse));
  const models = sources.map((source: unknown) => {
    if (!isSection(source)) return source;
    const { layer_range: _range, ...model } = source;
    return model;
  });
  const { slices: _slices, ...rest } = file;
  return {
    value: { ...rest, models, ...(base == null ? {} : { base_model: base }) },
    locate: (path) => locate(path[0] === "models" ? ["slices", 0, "sources", ...path.slice(1)] : path),
    layers,
    sliceParameters: parameters,
    notices:
      unused == null
        ? []
        : [`${locate(["slices", 0, "residual_weight"])}: residual_weight is not used, as in mergekit`],
  };
}

function rangeOf(
  source: unknown,
  path: readonly PropertyKey[],
  locate: LocatedYaml["locate"],
  refuse: Refuse,
): LayerRange | undefined {
  const key = [...path, "layer_range"];
  const range = isSection(source) ? source.layer_range : undefined;
  const [from, to, ...more] = Array.isArray(range) ? range.map(Number) : [];
  if (from === undefined || to === undefined || more.length > 0 || !Number.isInteger(from) || !Number.isInteger(to))
    return refuse(key, "expected [0, N], with the number of layers of the model for N, found another form");
  return { from, to, place: `${locate(key)}: ${key.map(String).join(".")}` };
}

/** `tokenizer: {source: ...}` says what `tokenizer_source` does. */
function plainTokenizer({ tokenizer, tokenizer_source: source }: Section, refuse: Refuse): Section {
  if (tokenizer == null) return { tokenizer: undefined };
  if (source != null) refuse(["tokenizer"], "expected either `tokenizer` or `tokenizer_source`, found both");
  if (!isSection(tokenizer)) return refuse(["tokenizer"], "expected a section with `source`, found another form");
  for (const key of Object.keys(tokenizer))
    if (key !== "source" && tokenizer[key] != null)
      refuse(["tokenizer", key], "is not done here: of this section only `source` is read");
  // Its default in mergekit.
  return { tokenizer: undefined, tokenizer_source: tokenizer.source ?? "union" };
}

function plainTypes({ dtype, out_dtype }: Section): Section {
  const plain = (type: unknown) => (typeof type === "string" ? type.replace(/^torch\./, "") : type);
  return { dtype: plain(dtype), out_dtype: plain(out_dtype) };
}

function isSection(value: unknown): value is Section {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
