/** How deep a tensor lies, from the names that the common model families give their repeated blocks. */

/** Names of lists of blocks in transformers, timm, open_clip and GPT-style checkpoints. */
const BLOCK = /(?:^|\.)(?:layers?|blocks?|resblocks|h)\.(\d+)\./;

/** Index of the block that a tensor belongs to; undefined for embeddings, last norms and heads. */
export function blockIndex(tensorName: string): number | undefined {
  const match = BLOCK.exec(tensorName);
  return match === null ? undefined : Number(match[1]);
}
