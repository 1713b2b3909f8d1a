/** The lengths that examples of different sizes are padded to: few, so that each has a static graph of its own, and none is padded to the longest. */

/** Each twice the one before: padding is never more than half, and there are at most seven graphs up to 1024 tokens. */
const USUAL = [16, 32, 64, 128, 256, 512, 1024, 2048];

/** The lengths of a model whose longest example has `longest` tokens, in ascending order; the last one is `longest`. */
export function usualLengths(longest: number): readonly number[] {
  return [...USUAL.filter((length) => length < longest), longest];
}

/** The smallest of `lengths` (ascending) that holds `needed` tokens; the last one if none does. */
export function paddedLength(lengths: readonly number[], needed: number): number {
  const found = lengths.find((length) => length >= needed) ?? lengths.at(-1);
  if (found === undefined) throw new Error("no lengths to choose from: a bug, please report it");
  return found;
}
