/** The models of a merge by the names that are compared: without wrappers, in one spelling, aligned with the pattern's; see checkpoint/layout. */
import type { StoredCheckpoint } from "../../checkpoint/checkpoint.js";
import { type Alignment, alignNames, type NamedShapes } from "../../checkpoint/layout/align-names.js";
import { onlyOnce, respelled, unwrappedNames } from "../../checkpoint/layout/plain-names.js";
import type { TensorLayout } from "../../checkpoint/layout/tensor-layout.js";
import type { StoredTensor } from "../../checkpoint/stored-tensor.js";
import { assert } from "../../errors.js";

/** A tensor of one model, by the name that its checkpoint has for it. */
export interface OwnTensor {
  readonly name: string;
  readonly stored: StoredTensor;
}

export interface MatchedModel {
  readonly name: string;
  readonly checkpoint: StoredCheckpoint;
}

export interface NamedModel extends MatchedModel {
  /** Shapes by compared names, in the order of the files. */
  readonly shapes: NamedShapes;
  tensor(comparedName: string): OwnTensor;
  /** What the result calls it: as the file, without wrappers. */
  outputName(comparedName: string): string;
}

export interface AlignedModel extends NamedModel, Alignment {
  /** Compared names that the pattern has no counterpart of. */
  readonly extra: readonly string[];
}

/** Throws CheckpointError for two tensors of one compared name. */
export function namedModel({ name, checkpoint }: MatchedModel, layout: TensorLayout): NamedModel {
  const { path } = checkpoint;
  const unwrapped = unwrappedNames(checkpoint.tensors.keys(), path);
  const outputNames = onlyOnce(
    [...unwrapped.keys()].map((output) => [respelled(layout, output), output]),
    path,
  );
  const tensor = (compared: string): OwnTensor => {
    const own = unwrapped.get(outputNames.get(compared) ?? "") ?? "";
    const stored = checkpoint.tensors.get(own);
    assert(stored !== undefined, `no tensor ${compared} in ${path}`);
    return { name: own, stored };
  };
  const shapes = new Map([...outputNames.keys()].map((compared) => [compared, tensor(compared).stored.shape]));
  return { name, checkpoint, shapes, tensor, outputName: (compared) => outputNames.get(compared) ?? compared };
}

/** Throws CheckpointError for names that could be either of two tensors. */
export function alignedModel(model: NamedModel, pattern: NamedModel): AlignedModel {
  const alignment = alignNames(pattern.shapes, model.shapes, model.checkpoint.path);
  const used = new Set(alignment.ownOf.values());
  return { ...model, ...alignment, extra: [...model.shapes.keys()].filter((name) => !used.has(name)) };
}

/** What the pattern would call a tensor that it lacks. */
export function nameInPattern({ changes }: Alignment, name: string): string {
  const change = changes.find(({ own }) => own !== "" && name.startsWith(own));
  return change === undefined ? name : change.pattern + name.slice(change.own.length);
}
