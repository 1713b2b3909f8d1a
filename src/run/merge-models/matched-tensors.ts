/**
 * Which tensors of the models of a merge are the same tensor: the pattern's (the base's, or the first model's without one) and its counterparts
 * in every model. What is done with them is decided in plan.ts.
 */
import type { StoredCheckpoint } from "../../checkpoint/checkpoint.js";
import { isFloatDtype, type StoredTensor } from "../../checkpoint/stored-tensor.js";
import { CheckpointError } from "../../errors.js";

/** A tensor of one model, by the name that its checkpoint has for it. */
export interface OwnTensor {
  readonly name: string;
  readonly stored: StoredTensor;
}

export interface MatchedTensor {
  /** In the result. */
  readonly name: string;
  /** Whose shape and dtype the result's has, and the base's where the method has one. */
  readonly pattern: OwnTensor;
  /** "copy": it is the pattern's as it is. */
  readonly work: "merge" | "copy";
  /** Of the models, in order; none for a copy. */
  readonly models: readonly OwnTensor[];
}

export interface MatchedModel {
  readonly name: string;
  readonly checkpoint: StoredCheckpoint;
}

export interface Matches {
  readonly tensors: readonly MatchedTensor[];
  /** Tensors that some model has and the pattern lacks. */
  readonly leftOut: readonly string[];
}

/** Throws CheckpointError for a tensor that a model lacks or has in another shape. */
export function matchTensors(pattern: StoredCheckpoint, models: readonly MatchedModel[]): Matches {
  const tensors = [...pattern.tensors].map(([name, stored]): MatchedTensor => {
    const pattern = { name, stored };
    if (!isFloatDtype(stored.dtype)) return { name, pattern, work: "copy", models: [] };
    const own = models.map((model) => ({ name, stored: counterpart(name, stored, model) }));
    return { name, pattern, work: "merge", models: own };
  });
  const leftOut = [...new Set(models.flatMap(({ checkpoint }) => [...checkpoint.tensors.keys()]))].filter(
    (name) => !pattern.tensors.has(name),
  );
  return { tensors, leftOut };
}

/** The same tensor of another model. */
function counterpart(name: string, pattern: StoredTensor, { name: model, checkpoint }: MatchedModel): StoredTensor {
  const stored = checkpoint.tensors.get(name);
  if (stored === undefined)
    throw new CheckpointError(
      `${checkpoint.path}: expected a tensor ${name} in model ${model}, as in the base, found none. Check that it is the same architecture`,
    );
  if (stored.shape.join() !== pattern.shape.join())
    throw new CheckpointError(
      `${checkpoint.path}: tensor ${name}: expected shape [${pattern.shape.join(", ")}], as in the base, found [${stored.shape.join(", ")}]. Models of different sizes or vocabularies cannot be merged`,
    );
  return stored;
}
