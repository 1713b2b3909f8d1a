/**
 * What a merge does with tensors that are no floats (indices, masks, counters): they are copied, where all models agree
 * byte for byte. What types the merged ones get is here too, since types of 8 bits hold no merged values.
 */
import type { StoredCheckpoint } from "../../checkpoint/checkpoint.js";
import { isFloatDtype } from "../../checkpoint/decode-floats.js";
import { isFloat8 } from "../../checkpoint/float8.js";
import type { MergeFile } from "../../config/merge-file.js";
import { CheckpointError, ConfigError } from "../../errors.js";
import { quote } from "../../runtime/printable.js";
import { listed } from "./match-notices.js";
import type { MatchedTensor, OwnTensor } from "./matched-tensors.js";

const STORED = { float64: "F64", float32: "F32", float16: "F16", bfloat16: "BF16" } as const;

export interface NamedCheckpoint {
  readonly name: string;
  readonly checkpoint: StoredCheckpoint;
}

/** The type that a merged tensor of the pattern gets in the result. Throws ConfigError where one must be named. */
export function resultDtype(
  { path, dtype }: MergeFile,
  pattern: StoredCheckpoint,
  name: string,
  stored: string,
): string {
  if (dtype !== undefined) return STORED[dtype];
  if (!isFloat8(stored)) return stored;
  throw new ConfigError(
    `${path}: dtype: expected a type for the merged tensors, since ${pattern.path} has weights of 8 bits (${quote(name)}: ${stored}), which hold no merged values; found none. Write \`dtype: bfloat16\` (or float16, float32)`,
  );
}

/** Compares the tensors that are no floats, which all models have, by their bytes. Throws CheckpointError that names those that differ. */
export async function checkCopied(
  pattern: StoredCheckpoint,
  tensors: readonly MatchedTensor[],
  models: readonly NamedCheckpoint[],
): Promise<void> {
  const compared = tensors.filter(({ work, pattern: own }) => work === "merge" && !isFloatDtype(own.stored.dtype));
  const wanted = await pattern.tensorSha256s(compared.map((tensor) => tensor.pattern.name));
  for (const [at, { name: model, checkpoint }] of models.entries()) {
    if (checkpoint === pattern) continue;
    const own = compared.flatMap((tensor) => tensor.models[at] ?? []);
    const found = await checkpoint.tensorSha256s(own.map(({ name }) => name));
    const differing = compared.filter((_, index) => found[index] !== wanted[index]);
    const [first] = differing;
    const names = differing.slice(1).map(({ name }) => name);
    if (first !== undefined) throw differ(pattern, first.pattern, first.models[at] ?? first.pattern, model, names);
  }
}

/** That numbers of float64 are used in float32, where there are some. */
export function precisionNotice(models: readonly NamedCheckpoint[]): readonly string[] {
  const found = models.find(({ checkpoint }) => [...checkpoint.tensors.values()].some(({ dtype }) => dtype === "F64"));
  if (found === undefined) return [];
  return [`${found.name} has weights of float64: they are rounded to float32, in which models are merged`];
}

function differ(
  pattern: StoredCheckpoint,
  { stored: wanted }: OwnTensor,
  { name, stored: found }: OwnTensor,
  model: string,
  others: readonly string[],
): CheckpointError {
  const shown = ({ dtype, shape }: OwnTensor["stored"]) => `${dtype} [${shape.join(", ")}]`;
  const values = shown(wanted) === shown(found) ? `other values (${shown(found)})` : shown(found);
  return new CheckpointError(
    `${found.file.path}: tensor ${quote(name)}: expected the bytes of ${pattern.path} (${shown(wanted)}), since tensors that are no floats are copied and not merged, found ${values} in model ${model}${others.length > 0 ? `, as in ${listed(others)}` : ""}. Merge models that agree on them; if they are quantised weights, use the models before their quantisation`,
  );
}
