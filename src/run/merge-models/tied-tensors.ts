/**
 * Models of which one has a head of its own and another uses its table of words for it: of the latter the head is the table, as in mergekit,
 * and the result has a head of its own. A second copy of the table under the head's name is no head of its own.
 */
import type { NamedShapes } from "../../checkpoint/layout/align-names.js";
import type { TensorLayout, TiedTensor } from "../../checkpoint/layout/tensor-layout.js";
import { saysTied, tiedSource, tieOf } from "../../checkpoint/layout/ties.js";
import { type AlignedModel, type NamedModel, nameInPattern, type OwnTensor } from "./named-models.js";

export interface TiedTensors {
  /** Tensors that the result has and the pattern ties, by the pattern's names, with their shapes. */
  readonly added: NamedShapes;
  /** Tensors of each model that are copies of what they are tied to, by compared names; the result has them as the pattern has. */
  readonly copies: ReadonlyMap<AlignedModel, ReadonlySet<string>>;
}

/** Finds the heads that models have and the pattern does not. Reads tensors that may be copies of others. */
export async function findTied(
  pattern: NamedModel,
  models: readonly AlignedModel[],
  layout: TensorLayout,
): Promise<TiedTensors> {
  const added = new Map<string, readonly number[]>();
  const copies = new Map<AlignedModel, ReadonlySet<string>>();
  for (const model of models) {
    const own = new Map<string, readonly number[]>();
    const same = new Set<string>();
    for (const name of model.extra) {
      const tie = tieOf(layout, name);
      const shape = model.shapes.get(name) ?? [];
      const inPattern = nameInPattern(model, name);
      if (tie === undefined || standIn(pattern, tie, inPattern, shape) === undefined) continue;
      if (await isCopy(model, tie, name)) same.add(name);
      else own.set(inPattern, shape);
    }
    // Where one is not tied all are written: what is not in a file of untied tensors comes up random.
    if (own.size > 0) for (const name of same) own.set(nameInPattern(model, name), model.shapes.get(name) ?? []);
    else if (same.size > 0) copies.set(model, same);
    for (const [name, shape] of own) added.set(name, shape);
  }
  return { added, copies };
}

/** The tensor that a model uses in the place of one that it does not have; undefined where it does not say so, or has none. */
export function standIn(
  model: NamedModel,
  tie: TiedTensor,
  name: string,
  shape: readonly number[],
): OwnTensor | undefined {
  if (tie.kind !== "other" && saysTied(model.checkpoint.config) === false) return undefined;
  const source = tiedSource(tie, name, shape, model.shapes);
  return source === undefined ? undefined : model.tensor(source);
}

/** A tensor of the model by the pattern's name for it, or that of a tensor which the pattern does not have. */
export function ownTensor(model: AlignedModel, name: string): OwnTensor | undefined {
  const own = model.ownOf.get(name) ?? model.extra.find((extra) => nameInPattern(model, extra) === name);
  return own === undefined ? undefined : model.tensor(own);
}

/** Whether a tensor has the values of the one that it may be tied to. */
export async function isCopy(model: NamedModel, tie: TiedTensor, name: string): Promise<boolean> {
  const { name: own, stored } = model.tensor(name);
  const source = standIn(model, tie, name, stored.shape);
  if (source === undefined || source.stored.dtype !== stored.dtype) return false;
  if (source.stored.file === stored.file && source.stored.byteOffset === stored.byteOffset) return true;
  const [one, other] = await model.checkpoint.tensorSha256s([own, source.name]);
  return one === other;
}
