/**
 * An adapter as peft saves it: adapter_config.json and adapter_model.safetensors in a folder that appears whole or not
 * at all. What is in it is planned in adapter-plan.ts; where factors come from is the caller's. Written are the
 * settings that every peft since 0.9 knows, so that none warns of others.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Replacing, withAtomicDirectory } from "../../runtime/atomic-file.js";
import { ADAPTER_CONFIG_NAME } from "../checkpoint.js";
import { type WriteSpec, writeSafetensorsStream } from "../safetensors-writer.js";
import type { AdapterPlan, PlannedFactors } from "./adapter-plan.js";

const PREFIX = "base_model.model.";
const WEIGHTS_NAME = "adapter_model.safetensors";
const WRITTEN = new Set([ADAPTER_CONFIG_NAME, WEIGHTS_NAME, "README.md"]);

export interface WriteAdapterOptions {
  readonly plan: AdapterPlan;
  /**
   * Of the factors. Tensors that are stored whole are F32: a half would be rounded by their size, not by that of their
   * change.
   */
  readonly dtype: "F16" | "F32";
  /** peft multiplies every product with alpha over the plan's rank: with 1, as factors of a change need it, by default. */
  readonly alpha?: number | undefined;
  /** With which it was trained, for whoever trains on; 0 by default. */
  readonly dropout?: number | undefined;
  /** Where the base is, as `base_model_name_or_path` says it. */
  readonly baseName: string;
  /** peft's class of the model: null takes any inputs, FEATURE_EXTRACTION those of a text encoder. */
  readonly taskType?: "FEATURE_EXTRACTION" | "SEQ_CLS" | undefined;
  /** Written as README.md (the model card), if given. */
  readonly readme?: string | undefined;
  /** B [outputs, rank] and A [rank, inputs] of one matrix. Asked for once for each. */
  readonly factors: (planned: PlannedFactors) => Promise<{ readonly b: Float32Array; readonly a: Float32Array }>;
  /** The base's tensor as it is after the change. */
  readonly whole: (name: string) => Promise<Float32Array>;
  /** Replaces an earlier adapter; without it a folder that is not empty is refused. As of saveCheckpoint. */
  readonly replace?: boolean | Replacing | undefined;
}

/**
 * Throws UserError if the folder exists and is not empty (unless `replace`) or the disk refuses, CheckpointError for
 * values that do not fit into their type; nothing is left behind then. Equal content gives equal bytes.
 */
export async function writeAdapter(directory: string, options: WriteAdapterOptions): Promise<void> {
  const { plan, readme, replace } = options;
  const fill = async (folder: string): Promise<void> => {
    await writeFile(join(folder, ADAPTER_CONFIG_NAME), configText(options));
    if (readme !== undefined) await writeFile(join(folder, "README.md"), readme);
    await writeSafetensorsStream(join(folder, WEIGHTS_NAME), specsOf(plan, options.dtype), valuesOf(options), {
      // peft's own; transformers refuses files whose metadata names no framework.
      metadata: { format: "pt" },
    });
  };
  const recognised: Replacing = { recognise: async () => (name) => WRITTEN.has(name) };
  await withAtomicDirectory(directory, fill, {
    replace: replace === true ? recognised : replace === false ? undefined : replace,
    manifest: true,
  });
}

const keyOfA = ({ module }: PlannedFactors): string => `${PREFIX}${module}.lora_A.weight`;
const keyOfB = ({ module }: PlannedFactors): string => `${PREFIX}${module}.lora_B.weight`;

function specsOf({ factors, whole }: AdapterPlan, dtype: string): WriteSpec[] {
  return [
    ...whole.map(({ key, shape }) => ({ name: PREFIX + key, dtype: "F32", shape })),
    ...factors.flatMap((planned) => [
      { name: keyOfA(planned), dtype, shape: [planned.rank, planned.inputs] },
      { name: keyOfB(planned), dtype, shape: [planned.outputs, planned.rank] },
    ]),
  ];
}

/** Values by key in the file. A module's two factors follow each other there, so that one pair is in memory. */
function valuesOf({ plan, factors, whole }: WriteAdapterOptions): (key: string) => Promise<Float32Array> {
  const byKey = new Map(plan.factors.flatMap((planned) => [keyOfA, keyOfB].map((key) => [key(planned), planned])));
  const names = new Map(plan.whole.map(({ name, key }) => [PREFIX + key, name]));
  let last: { readonly planned: PlannedFactors; readonly b: Float32Array; readonly a: Float32Array } | undefined;
  return async (key) => {
    const planned = byKey.get(key);
    if (planned === undefined) return whole(names.get(key) ?? key);
    if (last?.planned !== planned) last = { planned, ...(await factors(planned)) };
    return key === keyOfA(planned) ? last.a : last.b;
  };
}

/** Keys in alphabetic order and two blanks, as peft writes them. */
function configText({ plan, baseName, taskType, alpha = plan.rank, dropout = 0 }: WriteAdapterOptions): string {
  const ranks = otherRanks(plan);
  const config = {
    // Every product has the same scale, whatever its rank.
    alpha_pattern: Object.fromEntries(ranks.map(([pattern, own]) => [pattern, (own * alpha) / plan.rank])),
    auto_mapping: null,
    base_model_name_or_path: baseName,
    bias: plan.bias,
    ...(plan.excludedModules.length === 0 ? {} : { exclude_modules: plan.excludedModules }),
    fan_in_fan_out: plan.factors.some(({ isTransposed }) => isTransposed),
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: null,
    loftq_config: {},
    lora_alpha: alpha,
    lora_dropout: dropout,
    megatron_config: null,
    megatron_core: "megatron.core",
    modules_to_save: plan.modulesToSave.length === 0 ? null : plan.modulesToSave,
    peft_type: "LORA",
    r: plan.rank,
    rank_pattern: Object.fromEntries(ranks),
    revision: null,
    target_modules: plan.factors.map(({ module }) => module).toSorted(),
    task_type: taskType ?? null,
    use_dora: false,
    use_rslora: false,
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

/**
 * Ranks by module where they are not the adapter's, and of modules that end in the name of one of those, since patterns
 * are ends of names. The first that fits counts: the longest come first.
 */
function otherRanks({ rank, factors }: AdapterPlan): [module: string, rank: number][] {
  const others = factors.filter((planned) => planned.rank !== rank);
  return (
    factors
      .filter(({ module }) => others.some((other) => module === other.module || module.endsWith(`.${other.module}`)))
      .toSorted((one, other) => other.module.length - one.module.length || (one.module < other.module ? -1 : 1))
      // A number would come before all others in JSON; so it is a text, of the same meaning.
      .map(({ module, rank: own }) => [/^\d+$/.test(module) ? `^${module}` : module, own])
  );
}
