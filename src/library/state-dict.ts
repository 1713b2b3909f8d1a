/** State dicts in memory: tensors by name, as programs merge them. Read from and written to files of tensors, and checked against one another. */

import { openCheckpoint } from "../checkpoint/checkpoint.js";
import { isFloatDtype } from "../checkpoint/decode-floats.js";
import { writeSafetensors } from "../checkpoint/safetensors.js";
import { CheckpointError, ConfigError } from "../errors.js";
import { quote } from "../runtime/printable.js";

/** Values in row-major order, float32 whatever the file has. */
export interface StateTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** In the order of the model; methods that sum over the whole model sum in this order. */
export type StateDict = ReadonlyMap<string, StateTensor>;

/**
 * The tensors of floats of a model: a Hugging Face folder, a .safetensors or a PyTorch file. Tensors of integers (position ids) are left out, since they
 * are never merged. Throws CheckpointError for files that cannot be read.
 */
export async function readStateDict(path: string): Promise<Map<string, StateTensor>> {
  const checkpoint = await openCheckpoint(path);
  const tensors = new Map<string, StateTensor>();
  for (const [name, { shape, dtype }] of checkpoint.tensors)
    if (isFloatDtype(dtype)) tensors.set(name, { shape, values: await checkpoint.readFloat32(name) });
  return tensors;
}

/**
 * Writes the tensors as one .safetensors file in float32, whole or not at all; what is there is replaced. Throws CheckpointError for values that do
 * not fill their shape, UserError for a disk that refuses.
 */
export async function writeStateDict(path: string, tensors: StateDict): Promise<void> {
  const named = [...tensors].map(([name, { shape, values }]) => ({ name, shape, dtype: "F32", data: values }));
  // transformers refuses a safetensors file whose metadata does not name a framework.
  await writeSafetensors(path, named, { metadata: { format: "pt" } });
}

/** Experts with their names. */
export type NamedDicts = ReadonlyMap<string, StateDict>;

/** Throws ConfigError without experts, and CheckpointError for a tensor that is missing, is too many, or has another shape than the first model's. */
export function requireAlike(
  pattern: { readonly name: string; readonly tensors: StateDict },
  models: NamedDicts,
): void {
  if (models.size === 0) throw new ConfigError("mergeTensors: expected at least one expert, found none");
  for (const [name, tensor] of pattern.tensors) requireWhole(pattern.name, name, tensor);
  for (const [model, tensors] of models) {
    for (const [name, { shape }] of pattern.tensors) {
      const found = tensors.get(name);
      if (found === undefined)
        throw new CheckpointError(
          `${model}: tensor ${quote(name)}: expected one, as in ${pattern.name}, found none; give all models the same tensors`,
        );
      requireWhole(model, name, found);
      if (shapeText(found.shape) !== shapeText(shape))
        throw new CheckpointError(
          `${model}: tensor ${quote(name)}: expected shape ${shapeText(shape)}, as in ${pattern.name}, found ${shapeText(found.shape)}; is it the same architecture?`,
        );
    }
    for (const name of tensors.keys())
      if (!pattern.tensors.has(name))
        throw new CheckpointError(
          `${model}: tensor ${quote(name)}: expected only tensors of ${pattern.name}, which has none of this name; leave it out, a head for example`,
        );
  }
}

function requireWhole(model: string, name: string, { shape, values }: StateTensor): void {
  const size = shape.reduce((product, length) => product * length, 1);
  if (values.length === size) return;
  throw new CheckpointError(
    `${model}: tensor ${quote(name)}: expected ${size} values, as the shape ${shapeText(shape)} says, found ${values.length}`,
  );
}

function shapeText(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}
