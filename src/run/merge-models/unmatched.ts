/**
 * What tells a model that is part of another from one that is something else: blocks. A model may lack a head or a whole tower, but of a list of
 * blocks that it shares it has every tensor, and none beside them.
 */
import type { TensorLayout } from "../../checkpoint/layout/tensor-layout.js";
import { CheckpointError } from "../../errors.js";
import { printable, quote } from "../../runtime/printable.js";
import type { AlignedModel, NamedModel, OwnTensor } from "./named-models.js";

export interface MatchContext {
  readonly pattern: NamedModel;
  readonly models: readonly AlignedModel[];
  /** Of each model. */
  readonly blocks: ReadonlyMap<AlignedModel, BlockLists>;
  readonly role: "base" | "first model";
  readonly layout: TensorLayout;
}

/** What is in front of the number of the outermost block; undefined outside of blocks. */
function listOf(name: string): string | undefined {
  return /^(.+?)\.\d+(?:\.|$)/.exec(name)?.[1];
}

export interface BlockLists {
  includesBlockOf(name: string): boolean;
  ownIncludesBlockOf(name: string): boolean;
}

/** Whether tensors are in lists of blocks that a model and the pattern share, by the pattern's names and by the model's own. */
export function blockLists({ ownOf }: AlignedModel): BlockLists {
  const lists = (names: Iterable<string>) => new Set([...names].map(listOf));
  const [shared, own] = [lists(ownOf.keys()), lists(ownOf.values())];
  const isIn = (known: ReadonlySet<string | undefined>, name: string): boolean => {
    const list = listOf(name);
    return list !== undefined && known.has(list);
  };
  return { includesBlockOf: (name) => isIn(shared, name), ownIncludesBlockOf: (name) => isIn(own, name) };
}

/** Throws CheckpointError for a model that has nothing of the pattern, or nothing of its blocks. */
export function requireSame({ pattern, role }: MatchContext, { checkpoint, name, shapes, ownOf }: AlignedModel): void {
  const hasBlocks = [...pattern.shapes.keys()].some((known) => listOf(known) !== undefined);
  const sharesBlocks = [...ownOf.keys()].some((known) => listOf(known) !== undefined);
  if (ownOf.size > 0 && (sharesBlocks || !hasBlocks)) return;
  const [example] = pattern.shapes.keys();
  const [found] = shapes.keys();
  throw new CheckpointError(
    `${checkpoint.path}: expected in model ${printable(name)} tensors of the ${role}, such as ${quote(example ?? "")}, found ${shapes.size} others, such as ${quote(found ?? "")}. Check that it is the same architecture`,
  );
}

export function lacking(
  { role }: MatchContext,
  { checkpoint, name: model }: AlignedModel,
  name: string,
): CheckpointError {
  return new CheckpointError(
    `${checkpoint.path}: expected a tensor ${printable(name)} in model ${printable(model)}, as in the ${role}, found none. Check that it is the same architecture, and complete`,
  );
}

export function otherShape(
  { role, pattern }: MatchContext,
  { checkpoint }: AlignedModel,
  name: string,
  { name: own, stored }: OwnTensor,
): CheckpointError {
  const wanted = pattern.shapes.get(name) ?? [];
  return new CheckpointError(
    `${checkpoint.path}: tensor ${printable(own)}: expected shape [${wanted.join(", ")}], as in the ${role}, found [${stored.shape.join(", ")}]. Models of different sizes or vocabularies cannot be merged`,
  );
}

export function extraInBlocks({ role }: MatchContext, model: AlignedModel, name: string): CheckpointError {
  return new CheckpointError(
    `${model.checkpoint.path}: tensor ${printable(model.tensor(name).name)}: expected in the blocks of model ${printable(model.name)} what those of the ${role} have, found one more. Check that it is the same architecture, of as many layers`,
  );
}
