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

const STORED = { float64: "F64", float32: "F32", float16: "F16", bfloat16: "BF16" } as const;
/** How many tensors a message names. */
const NAMED = 5;
/** Counts batches of training, and has no part in what the model computes. */
const COUNTER = /(?:^|\.)num_batches_tracked$/;

export interface NamedCheckpoint {
  readonly name: string;
  readonly checkpoint: StoredCheckpoint;
}

/** The type that a tensor of the pattern gets in the result. Throws ConfigError where one must be named. */
export function resultDtype(
  { path, dtype }: MergeFile,
  pattern: StoredCheckpoint,
  name: string,
  stored: string,
): string {
  if (!isFloatDtype(stored)) return stored;
  if (dtype !== undefined) return STORED[dtype];
  if (!isFloat8(stored)) return stored;
  throw new ConfigError(
    `${path}: dtype: expected a type for the merged tensors, since ${pattern.path} has weights of 8 bits (${quote(name)}: ${stored}), which hold no merged values; found none. Write \`dtype: bfloat16\` (or float16, float32)`,
  );
}

/**
 * Compares the tensors of the pattern that are no floats with those of the models. Returns sentences about what is
 * taken from the pattern all the same; throws CheckpointError that names those that differ.
 */
export async function checkCopied(
  pattern: StoredCheckpoint,
  models: readonly NamedCheckpoint[],
): Promise<readonly string[]> {
  const names = [...pattern.tensors].flatMap(([name, { dtype }]) => (isFloatDtype(dtype) ? [] : [name]));
  const compared = names.filter((name) => !COUNTER.test(name));
  const wanted = await pattern.tensorSha256s(compared);
  const others = models.filter(({ checkpoint }) => checkpoint !== pattern);
  const notices: string[] = [];
  for (const { name: model, checkpoint } of others) {
    const there = compared.filter((name) => checkpoint.tensors.has(name));
    const found = new Map((await checkpoint.tensorSha256s(there)).map((hash, i) => [there[i], hash]));
    const differing = there.filter((name) => found.get(name) !== wanted[compared.indexOf(name)]);
    const [first] = differing;
    if (first !== undefined) throw differ(pattern, checkpoint, model, first, differing);
    const absent = compared.filter((name) => !found.has(name));
    if (absent.length > 0) notices.push(`copied from ${pattern.path}: ${listed(absent)}, which ${model} does not have`);
  }
  const counters = names.filter((name) => COUNTER.test(name));
  if (counters.length > 0 && others.length > 0)
    notices.push(`copied from ${pattern.path}: ${listed(counters)}, which count its own training`);
  return notices;
}

/** That numbers of float64 are used in float32, where there are some. */
export function precisionNotice(models: readonly NamedCheckpoint[]): readonly string[] {
  const found = models.find(({ checkpoint }) => [...checkpoint.tensors.values()].some(({ dtype }) => dtype === "F64"));
  if (found === undefined) return [];
  return [`${found.name} has weights of float64: they are rounded to float32, in which models are merged`];
}

function differ(
  pattern: StoredCheckpoint,
  checkpoint: StoredCheckpoint,
  model: string,
  name: string,
  all: readonly string[],
): CheckpointError {
  const [own, other] = [pattern.tensors.get(name), checkpoint.tensors.get(name)];
  const shown = (stored: typeof own) => `${stored?.dtype} [${stored?.shape.join(", ")}]`;
  const values = shown(own) === shown(other) ? `other values (${shown(other)})` : `${shown(other)}`;
  return new CheckpointError(
    `${other?.file.path ?? checkpoint.path}: tensor ${quote(name)}: expected the bytes of ${pattern.path} (${shown(own)}), since tensors that are no floats are copied and not merged, found ${values} in model ${model}${all.length > 1 ? `, as in ${listed(all.slice(1))}` : ""}. Merge models that agree on them; if they are quantised weights, use the models before their quantisation`,
  );
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, NAMED).map(quote).join(", ");
  return names.length > NAMED ? `${shown} and ${names.length - NAMED} more` : shown;
}
