/**
 * `adapter_config.json` as peft writes it: what multiplies the product of a LoRA adapter's factors. Only plain LoRA, with its rank-stabilised
 * scale: settings that change what a layer computes in another way are refused by their names. Source: peft, tuners/lora/{config,layer}.py.
 */
import { z } from "zod";
import { CheckpointError } from "../../errors.js";
import { parseBoundedJson } from "../../runtime/bounded-json.js";
import { printable, quote } from "../../runtime/printable.js";
import { readText } from "../../runtime/regular-file.js";

/** Some 2 KB; lists of target modules of the largest models have 100 KB. */
const MAX_CONFIG_BYTES = 1_000_000;
const count = z.int().min(1).max(1_000_000);
const factor = z.number().min(-1e9).max(1e9);

const schema = z.looseObject({
  peft_type: z.string(),
  r: count,
  lora_alpha: factor.default(8),
  use_rslora: z.boolean().nullish(),
  fan_in_fan_out: z.boolean().nullish(),
  alpha_pattern: z.record(z.string(), factor).nullish(),
  init_lora_weights: z.unknown().optional(),
});

/** Settings of peft's variants of LoRA; each adds something to the layer that a product of two factors is not. */
const VARIANTS: ReadonlyMap<string, string> = new Map([
  ["use_dora", "DoRA"],
  ["use_qalora", "QALoRA"],
  ["use_bdlora", "block-diagonal LoRA"],
  ["lora_bias", "LoRA with a bias"],
  ["layer_replication", "replicated layers"],
  ["alora_invocation_tokens", "activated LoRA"],
  ["arrow_config", "Arrow routing"],
  ["kasa_config", "KaSA"],
  ["monteclora_config", "MonteCLoRA"],
  ["velora_config", "VeLoRA"],
  ["trainable_token_indices", "trained tokens"],
  ["target_parameters", "LoRA on parameters"],
  ["corda_config", "CorDA, which changes the base"],
  ["lora_ga_config", "LoRA-GA, which changes the base"],
  ["megatron_config", "layers of Megatron"],
  ["ensure_weight_tying", "adapters of tied layers"],
]);
/** Settings that change nothing in how factors and the base are added up, or whose effect is in the tensors' names and shapes. */
const HARMLESS: ReadonlySet<string> = new Set([
  ...[
    "peft_type",
    "peft_version",
    "auto_mapping",
    "base_model_name_or_path",
    "revision",
    "task_type",
    "inference_mode",
  ],
  ...["r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "fan_in_fan_out", "init_lora_weights", "bias"],
  ...["target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "modules_to_save"],
  ...["lora_dropout", "megatron_core", "loftq_config", "eva_config", "qalora_group_size", "runtime_config"],
]);
/** Beginnings of training that leave the base as it is; all others (pissa, olora, corda, loftq, lora_ga) change it before training. */
const HARMLESS_BEGINNINGS = ["gaussian", "eva", "orthogonal", "mica"];
/** A name or the end of one. Patterns may be regular expressions for peft, which are not run on what strangers wrote. */
const PLAIN_PATTERN = /^\^?[\w.-]+$/;

export interface AdapterConfig {
  readonly path: string;
  /** Whether it says that weights are [inputs, outputs]; see orientation.ts. */
  readonly isFanIn: boolean;
  /** What the product of the factors is multiplied with, by the name of the module and the rank that its factors have. */
  scaling(module: string, rank: number): number;
}

/** Throws CheckpointError for another kind of adapter, by its name, and for settings that are not as peft writes them. */
export async function readAdapterConfig(path: string): Promise<AdapterConfig> {
  const text = await readText(path, "the config of an adapter", MAX_CONFIG_BYTES);
  const config = parse(text, path);
  if (config.peft_type !== "LORA")
    throw new CheckpointError(
      `${path}: expected a LoRA adapter (peft_type LORA), found ${quote(config.peft_type)}. Merge it into its base where peft is installed (merge_and_unload) and save the result.`,
    );
  refuseVariants(config, path);
  const patterns = Object.entries(config.alpha_pattern ?? {}).map(([pattern, alpha]) => {
    if (PLAIN_PATTERN.test(pattern)) return { pattern, alpha };
    throw new CheckpointError(
      `${path}: expected names of modules, or their ends, in alpha_pattern, found ${quote(pattern)}. Write the names out, or merge the adapter with peft.`,
    );
  });
  return {
    path,
    isFanIn: config.fan_in_fan_out === true,
    scaling: (module, rank) => {
      const alpha = patterns.find(({ pattern }) => matches(pattern, module))?.alpha ?? config.lora_alpha;
      return alpha / (config.use_rslora === true ? Math.sqrt(rank) : rank);
    },
  };
}

function parse(text: string, path: string): z.output<typeof schema> {
  let json: unknown;
  try {
    json = parseBoundedJson(text);
  } catch (error) {
    const reason = printable(error instanceof Error ? error.message : String(error));
    throw new CheckpointError(`${path}: expected JSON, found a mistake (${reason}). Get the file again.`);
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join(".") || "(top)"}: ${issue.message}`);
  throw new CheckpointError(`${path}: not the config of a LoRA adapter: ${printable(problems.join("; "))}`);
}

function refuseVariants(config: z.output<typeof schema>, path: string): void {
  const isSet = (value: unknown): boolean => {
    if (value === undefined || value === null || value === false || value === "") return false;
    return typeof value !== "object" || Object.keys(value).length > 0;
  };
  // What is not known here may change anything; a `use_` is a variant of a later version.
  const variant = Object.keys(config).find((key) => !HARMLESS.has(key) && isSet(config[key]));
  const begun = config.init_lora_weights;
  const isChanged = typeof begun === "string" && !HARMLESS_BEGINNINGS.includes(begun.toLowerCase());
  if (variant === undefined && !isChanged) return;
  const found =
    variant === undefined
      ? `init_lora_weights ${quote(String(begun))}, which changes the base before training`
      : `${printable(variant)} (${VARIANTS.get(variant) ?? (variant.startsWith("use_") ? "a variant of a later version" : "a setting that is not known here")})`;
  throw new CheckpointError(
    `${path}: expected plain LoRA, found ${found}. Merge it into its base where peft is installed (merge_and_unload) and save the result.`,
  );
}

/** As peft matches: the whole name, or its end after a dot; `^` stands for the beginning. */
function matches(pattern: string, module: string): boolean {
  if (pattern.startsWith("^")) return module === pattern.slice(1);
  return module === pattern || module.endsWith(`.${pattern}`);
}
