/**
 * Which tensors of the models of a merge are the same tensor: the pattern's (the base's, or the first model's without one) and its counterparts
 * in every model, whatever each calls them. Says what is merged, what is the pattern's as it is, and what is left out; how it is merged is
 * decided in plan.ts.
 */
import type { ConfigScalar } from "../../checkpoint/config-text.js";
import { anyLayout } from "../../checkpoint/layout/common-names.js";
import { isDerived, type TensorLayout } from "../../checkpoint/layout/tensor-layout.js";
import { saysTied, tieOf } from "../../checkpoint/layout/ties.js";
import { isFloatDtype } from "../../checkpoint/stored-tensor.js";
import { assert } from "../../errors.js";
import { noticesOf } from "./match-notices.js";
import { alignedModel, type MatchedModel, namedModel, nameInPattern, type OwnTensor } from "./named-models.js";
import { findTied, isCopy, ownTensor, standIn, type TiedTensors } from "./tied-tensors.js";
import { blockLists, extraInBlocks, lacking, type MatchContext, otherShape, requireSame } from "./unmatched.js";

export type { MatchedModel, OwnTensor } from "./named-models.js";

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

export interface Matches {
  readonly tensors: readonly MatchedTensor[];
  /** A sentence for each kind of tensor that is not merged, or not found by its name. */
  readonly notices: readonly string[];
  /** Fields of config.json that are not the pattern's. */
  readonly configChanges: Readonly<Record<string, ConfigScalar>>;
}

export interface Pattern extends MatchedModel {
  readonly role: MatchContext["role"];
}

/**
 * Throws CheckpointError for a tensor that a model lacks or has in another shape, for one that a model has in blocks of which the pattern's lack
 * it, and for names that could be either of two tensors.
 */
export async function matchTensors(
  first: Pattern,
  others: readonly MatchedModel[],
  layout: TensorLayout = anyLayout,
): Promise<Matches> {
  const pattern = namedModel(first, layout);
  const models = others.map((model) => alignedModel(namedModel(model, layout), pattern));
  const blocks = new Map(models.map((model) => [model, blockLists(model)]));
  const context = { pattern, models, blocks, role: first.role, layout };
  for (const model of models) requireSame(context, model);
  const found = await findTied(pattern, models, layout);
  const [derived, kept]: [string[], string[]] = [[], []];
  const tied = new Map<string, readonly string[]>();
  const tensors: MatchedTensor[] = [];
  for (const [name, shape] of [...pattern.shapes, ...found.added]) {
    const output = pattern.outputName(name);
    const own = patternTensor(context, found, name);
    const matched = isDerived(layout, name, shape) ? "derived" : counterparts(context, name, own);
    if (matched === "derived") derived.push(output);
    else if (matched === "kept") kept.push(output);
    else if (await isUntied(context, found, name, matched.standIns))
      tied.set(output, [...(found.added.has(name) ? [first.name] : []), ...matched.standIns]);
    tensors.push(
      typeof matched === "string"
        ? { name: output, pattern: own, work: "copy", models: [] }
        : { name: output, pattern: own, work: "merge", models: matched.models },
    );
  }
  const copies = new Map([...found.copies].map(([{ name }, names]) => [name, [...names]] as const));
  const leftOut = leftOutOf(context, found);
  const patternName = `the ${first.role} ${first.name}`;
  return {
    tensors,
    notices: noticesOf({ patternName, models, derived, kept, leftOut, copies, tied }),
    configChanges: tied.size > 0 && saysTied(first.checkpoint.config) !== false ? { tie_word_embeddings: false } : {},
  };
}

/** The pattern's tensor, or the one that it uses in its place. */
function patternTensor({ pattern, layout }: MatchContext, { added }: TiedTensors, name: string): OwnTensor {
  const shape = added.get(name);
  if (shape === undefined) return pattern.tensor(name);
  const tie = tieOf(layout, name);
  const own = tie === undefined ? undefined : standIn(pattern, tie, name, shape);
  assert(own !== undefined, `nothing stands for ${name}`);
  return own;
}

interface Counterparts {
  readonly models: readonly OwnTensor[];
  /** Models that use another tensor in its place. */
  readonly standIns: readonly string[];
}

/** The same tensor of every model; "kept" where none has it. */
function counterparts(context: MatchContext, name: string, { stored }: OwnTensor): Counterparts | "kept" {
  const { models, blocks, layout } = context;
  const tie = tieOf(layout, name);
  const standIns: string[] = [];
  const own: OwnTensor[] = [];
  const without: (typeof models)[number][] = [];
  for (const model of models) {
    const itself = ownTensor(model, name);
    const used = itself ?? (tie === undefined ? undefined : standIn(model, tie, name, stored.shape));
    if (itself === undefined && used !== undefined) standIns.push(model.name);
    if (used === undefined) without.push(model);
    else if (used.stored.shape.join() !== stored.shape.join() && isFloatDtype(stored.dtype))
      throw otherShape(context, model, name, used);
    else own.push(used);
  }
  const [one] = without;
  if (one === undefined) return { models: own, standIns };
  // Numbers and flags are no weights: whose they are is said.
  if (!isFloatDtype(stored.dtype)) return "kept";
  const isApart =
    without.length === models.length && models.every((model) => blocks.get(model)?.includesBlockOf(name) !== true);
  if (isApart) return "kept";
  throw lacking(context, one, name);
}

/** Whether the result's head is not its table of words, though some model's is, or its config says so. */
async function isUntied(
  { pattern, models, layout }: MatchContext,
  { added }: TiedTensors,
  name: string,
  standIns: readonly string[],
): Promise<boolean> {
  if (added.has(name)) return true;
  const tie = tieOf(layout, name);
  if (tie === undefined || tie.kind === "other") return false;
  const isMixed = [pattern, ...models].some(({ checkpoint }) => saysTied(checkpoint.config) === false);
  if (standIns.length === 0 && !(tie.kind === "head" && isMixed && saysTied(pattern.checkpoint.config) !== false))
    return false;
  if (!(await isCopy(pattern, tie, name))) return true;
  for (const model of models) {
    const own = model.ownOf.get(name);
    if (own !== undefined && !(await isCopy(model, tie, own))) return true;
  }
  return false;
}

/** What the result does not have of each model, by its own names. Throws CheckpointError for weights in blocks that the pattern has too. */
function leftOutOf(context: MatchContext, { added, copies }: TiedTensors): ReadonlyMap<string, readonly string[]> {
  const leftOut = new Map<string, readonly string[]>();
  for (const model of context.models) {
    const names = model.extra.filter(
      (name) => copies.get(model)?.has(name) !== true && !added.has(nameInPattern(model, name)),
    );
    const wrong = names.find((name) => {
      const { stored } = model.tensor(name);
      const isWeight = isFloatDtype(stored.dtype) && !isDerived(context.layout, name, stored.shape);
      return isWeight && context.blocks.get(model)?.ownIncludesBlockOf(name) === true;
    });
    if (wrong !== undefined) throw extraInBlocks(context, model, wrong);
    if (names.length > 0)
      leftOut.set(
        model.name,
        names.map((name) => model.tensor(name).name),
      );
  }
  return leftOut;
}
