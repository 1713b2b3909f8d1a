/**
 * Finds texts that are nearly the same: pairs whose sets of words have a Jaccard similarity of at least a threshold.
 * Exact, by prefix filtering: with every set sorted by one order of all words, rarest first, two sets of n and m words
 * that share enough have a word in common among the first n - ceil(t n) + 1 of the one and the like of the other, so
 * only those words are indexed. Source: R. Bayardo, Y. Ma, R. Srikant, "Scaling up all pairs similarity search", WWW
 * 2007.
 */

/** What makes two texts equal: words without case, accents' encoding and punctuation. Numbers count as words. */
export function wordsOf(text: string): string[] {
  return (
    text
      .normalize("NFKC")
      .toLowerCase()
      .match(/[\p{L}\p{M}\p{N}]+/gu) ?? []
  );
}

/**
 * From here on two texts are one to a reader: at most one word in nine differs. Glosses that differ in one word of six
 * ("a town in western Texas", "a town in western Ohio": 0.67) say different things and stay apart.
 */
export const NEAR_JACCARD = 0.8;

/** Calls `visit` once for every pair of texts at least `threshold` alike, the earlier position second. */
export function eachNearPair(
  texts: readonly string[],
  threshold: number,
  visit: (later: number, earlier: number) => void,
): void {
  const sets = rankedSets(texts);
  const index = new Map<number, number[]>();
  const stamps = new Int32Array(texts.length).fill(-1);
  for (const [later, set] of sets.entries()) {
    const prefix = set.length - Math.ceil(threshold * set.length) + 1;
    for (const word of set.subarray(0, prefix)) {
      const holders = index.get(word);
      if (holders === undefined) {
        index.set(word, [later]);
        continue;
      }
      for (const earlier of holders) {
        if (stamps[earlier] === later) continue;
        stamps[earlier] = later;
        if (areNear(set, sets[earlier] ?? set, threshold)) visit(later, earlier);
      }
      holders.push(later);
    }
  }
}

/**
 * For each text the number of its connected component of near pairs; components are numbered by their first text.
 * Texts of one of `groups` are connected too.
 */
export function nearComponents(
  texts: readonly string[],
  threshold: number,
  groups: readonly (readonly number[])[] = [],
): Int32Array {
  const parents = Int32Array.from(texts, (_, index) => index);
  const find = (start: number): number => {
    let at = start;
    while (parents[at] !== at) at = parents[at] ?? at;
    parents[start] = at;
    return at;
  };
  const join = (one: number, other: number): void => {
    const [a, b] = [find(one), find(other)];
    parents[Math.max(a, b)] = Math.min(a, b);
  };
  for (const [first, ...rest] of groups) for (const other of rest) join(first ?? other, other);
  eachNearPair(texts, threshold, join);
  return parents.map((_, index) => find(index));
}

/** For each of `texts`, whether one of `others` is nearly the same. */
export function nearlyIn(texts: readonly string[], others: readonly string[], threshold: number): boolean[] {
  const found = texts.map(() => false);
  eachNearPair([...others, ...texts], threshold, (later, earlier) => {
    if (later >= others.length && earlier < others.length) found[later - others.length] = true;
  });
  return found;
}

/** The distinct words of every text as numbers, in increasing order; the rarer a word, the smaller its number. */
function rankedSets(texts: readonly string[]): Int32Array[] {
  const words = texts.map((text) => [...new Set(wordsOf(text))]);
  const counts = new Map<string, number>();
  for (const set of words) for (const word of set) counts.set(word, (counts.get(word) ?? 0) + 1);
  // Sorting is stable and a Map keeps the order of insertion, so equal counts are broken by first occurrence.
  const ranked = [...counts].sort(([, a], [, b]) => a - b);
  const ranks = new Map(ranked.map(([word], rank) => [word, rank]));
  return words.map((set) => Int32Array.from(set, (word) => ranks.get(word) ?? 0).sort());
}

/** Of a number of words. */
const ROUNDING = 1e-9;

/** Whether the Jaccard similarity of two sorted sets reaches `threshold`, given up where it no longer can. Empty sets are like nothing. */
function areNear(a: Int32Array, b: Int32Array, threshold: number): boolean {
  const [small, large] = a.length < b.length ? [a, b] : [b, a];
  if (small.length === 0 || small.length < threshold * large.length) return false;
  // Shared / (n + m - shared) >= t, solved for what is shared; rounding must not lose a pair.
  const needed = Math.ceil((threshold / (1 + threshold)) * (small.length + large.length) - ROUNDING);
  let shared = 0;
  for (let i = 0, j = 0; shared + Math.min(small.length - i, large.length - j) >= needed; ) {
    if (i === small.length || j === large.length) break;
    const difference = (small[i] ?? 0) - (large[j] ?? 0);
    if (difference === 0) shared++;
    if (difference <= 0) i++;
    if (difference >= 0) j++;
  }
  return shared >= threshold * (small.length + large.length - shared);
}
