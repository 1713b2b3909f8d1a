/**
 * How deep a tensor lies, from the names that the common model families give their repeated blocks. A model may have several stacks of them
 * (encoder and decoder, two towers): what is in front of the block's number tells one from another.
 */

import type { TensorPlace } from "../config/merge-setting.js";

/** Names of lists of blocks in transformers, timm, OpenAI-style and GPT-style checkpoints; the first in a name is the outermost. */
const BLOCK = /(?:^|\.)(?:layers?|blocks?|resblocks|stages|h)\.(\d+)\./;

export interface BlockPlace {
  /** What the names of all blocks of the stack begin with. */
  readonly stack: string;
  readonly block: number;
}

/** The block that a tensor belongs to; undefined for embeddings, last norms and heads. */
export function blockPlace(tensorName: string): BlockPlace | undefined {
  const match = BLOCK.exec(tensorName);
  if (match === null) return undefined;
  const [text, number = ""] = match;
  const stack = tensorName.slice(0, match.index + text.length - number.length - 2);
  return { stack, block: Number(number) };
}

/** Index of the block that a tensor belongs to, in its stack. */
export function blockIndex(tensorName: string): number | undefined {
  return blockPlace(tensorName)?.block;
}

/** The number of the last block of each stack that the tensors are in. */
export function lastBlocks(names: readonly string[]): ReadonlyMap<string, number> {
  const last = new Map<string, number>();
  for (const name of names) {
    const place = blockPlace(name);
    if (place !== undefined) last.set(place.stack, Math.max(last.get(place.stack) ?? 0, place.block));
  }
  return last;
}

/**
 * How far along its stack each tensor is, for settings that change with depth: evenly from 0 in the first block to 1 in the last, 1 when there
 * is but one, and 0 outside of the blocks. Source: mergekit's gradients, which each of its modules has for itself.
 */
export function tensorPlaces(names: readonly string[]): TensorPlace[] {
  const lastOf = lastBlocks(names);
  return names.map((name) => {
    const place = blockPlace(name);
    const last = lastOf.get(place?.stack ?? "") ?? 0;
    return { name, depth: place === undefined ? 0 : last === 0 ? 1 : place.block / last };
  });
}
