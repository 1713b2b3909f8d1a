/**
 * Tells quantised models from plain ones, by config.json, the names of tensors that only quantisation makes (scales,
 * packed integers), and types that only such weights have. Their numbers mean nothing without their scales, so that
 * they cannot be merged; nothing is dequantised here.
 */
import { CheckpointError } from "../errors.js";
import { printable, quote } from "../runtime/printable.js";
import type { Checkpoint, CheckpointTensor } from "./checkpoint.js";
import { isFloatDtype } from "./decode-floats.js";
import { isFloat8 } from "./float8.js";

/** Ends of names that nothing else has, with who writes them. */
const MARKS: readonly (readonly [end: RegExp, by: string])[] = [
  [/(?:^|\.)(?:qweight|qzeros|g_idx)$/, "GPTQ or AWQ"],
  [/(?:^|\.)weight\.(?:absmax|quant_map|nested_absmax|nested_quant_map|quant_state\.\w+)$/, "bitsandbytes, 4 bits"],
  [/(?:^|\.)(?:SCB|weight_format)$/, "bitsandbytes, 8 bits"],
  [/(?:^|\.)(?:weight_packed|scaled_fp8|codebooks)$/, "packed weights"],
];
/** Ends of names of scales: beside a weight of few bits they belong to it. */
const SCALE =
  /(?:^|[._])(?:weight_(?:scale(?:_inv|_2)?|zero_point|global_scale|inv_scale)|scale_weight|scale_inv|weights_scaling_factor|SCB)$/;
/** Integers under such names are packed weights. */
const PACKED_NAME = /(?:^|[._])(?:weight|kernel|blocks|scales|codes|W_q|Qidxs\w*)$/;

/** Types of scales and of packed numbers: weights in them have a scale somewhere. */
const PACKED = new Set(["F8_E8M0", "F4", "F6_E2M3", "F6_E3M2"]);
const INTEGERS = new Set(["I8", "U8", "I16", "U16", "I32", "U32", "I64", "U64"]);

/** Throws CheckpointError that says how one sees that the model is quantised; returns if it is plain. */
export function refuseQuantised({ path, config, tensors }: Pick<Checkpoint, "path" | "config" | "tensors">): void {
  const method = quantisationOf(config);
  const [name, by] = quantisedTensor(tensors) ?? [];
  if (name !== undefined)
    throw new CheckpointError(
      `${tensors.get(name)?.file.path ?? path}: tensor ${quote(name)}: expected plain floats, found quantised weights (${by}${method === undefined ? "" : `; config.json: ${method}`}). Use the model before its quantisation, or dequantise it and save it again.`,
    );
  if (method !== undefined)
    throw new CheckpointError(
      `${path}: config.json: expected a model that is not quantised, found quantization_config (${method}). Use the model before its quantisation; if its weights are plain floats, remove quantization_config from config.json.`,
    );
}

/** What config.json says of it, also for a part of the model. */
function quantisationOf(config: unknown): string | undefined {
  if (typeof config !== "object" || config === null) return undefined;
  const parts = [config, ...Object.entries(config).flatMap(([key, part]) => (key.endsWith("_config") ? [part] : []))];
  for (const part of parts) {
    if (typeof part !== "object" || part === null) continue;
    const found: unknown = Reflect.get(part, "quantization_config") ?? Reflect.get(part, "compression_config");
    if (typeof found !== "object" || found === null) continue;
    const method: unknown = Reflect.get(found, "quant_method");
    return typeof method === "string" ? `quant_method ${printable(method.slice(0, 40))}` : "without quant_method";
  }
  return undefined;
}

function quantisedTensor(
  tensors: ReadonlyMap<string, Pick<CheckpointTensor, "dtype" | "shape">>,
): readonly [name: string, by: string] | undefined {
  for (const [name, { dtype, shape }] of tensors) {
    const mark = MARKS.find(([end]) => end.test(name));
    if (mark !== undefined) return [name, mark[1]];
    if (SCALE.test(name) && !hasPlainWeight(name, tensors)) return [name, "a scale of weights"];
    if (PACKED.has(dtype)) return [name, `type ${dtype}`];
    if (INTEGERS.has(dtype) && shape.length > 1 && PACKED_NAME.test(name)) return [name, `integers, ${dtype}`];
  }
  return undefined;
}

/** Whether the weight beside a scale has 16 bits or more: then the scale is something else. */
function hasPlainWeight(scale: string, tensors: ReadonlyMap<string, Pick<CheckpointTensor, "dtype">>): boolean {
  const module = scale.slice(0, scale.lastIndexOf(".") + 1);
  const dtype = tensors.get(`${module}weight`)?.dtype ?? tensors.get(scale.replace(SCALE, "_weight"))?.dtype;
  return dtype !== undefined && isFloatDtype(dtype) && !isFloat8(dtype);
}
