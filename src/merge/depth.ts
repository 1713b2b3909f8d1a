/** How deep a tensor lies, from the names that the common model families give their repeated blocks. */

import type { TensorPlace } from "../config/merge-setting.js";

/** Names of lists of blocks in transformers, timm, open_clip and GPT-style checkpoints. */
const BLOCK = /(?:^|\.)(?:layers?|blocks?|resblocks|h)\.(\d+)\./;

/** Index of the block that a tensor belongs to; undefined for embeddings, last norms and heads. */
export function blockIndex(tensorName: string): number | undefined {
  const match = BLOCK.exec(tensorName);
  return match === null ? undefined : Number(match[1]);
}

/**
 * How far along its model each tensor is, for settings that change with depth: evenly from 0 in the first block to 1 in the last, 1 when there
 * is but one, and 0 outside of the blocks. Source: mergekit's gradients.
 */
export function tensorPlaces(names: readonly string[]): TensorPlace[] {
  const blocks = names.map(blockIndex);
  const last = blocks.reduce<number>((most, block) => Math.max(most, block ?? 0), 0);
  return names.map((name, index) => {
    const block = blocks[index];
    return { name, depth: block === undefined ? 0 : last === 0 ? 1 : block / last };
  });
}
