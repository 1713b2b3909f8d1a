/** Finds the word a person most likely meant, for "did you mean" in errors about keys, verbs and flags. */

/**
 * The candidate nearest to `word`, or undefined when none is near. Near is: equal but for case and
 * punctuation, the initials of a snake_case name (`lr` for `learning_rate`), or at most one edit per three letters.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  return near(word, candidates)[0]?.candidate;
}

/** Up to `count` of them: the near ones, nearest first, and after them those that contain the word or the nearest. */
export function nearestFew(word: string, candidates: Iterable<string>, count: number): string[] {
  const all = [...candidates];
  const best = near(word, all).map(({ candidate }) => candidate);
  const parts = [word, ...best.slice(0, 1)].map(simplify).filter((part) => part !== "");
  const containing = all.filter((candidate) => parts.some((part) => simplify(candidate).includes(part)));
  return [...new Set([...best, ...containing])].slice(0, count);
}

function near(word: string, candidates: Iterable<string>): { candidate: string; distance: number }[] {
  const plain = simplify(word);
  const limit = Math.max(1, Math.floor(plain.length / 3));
  return [...candidates]
    .map((candidate) => {
      const last = candidate.split(".").at(-1) ?? candidate;
      const isInitials = initials(last) === plain;
      return {
        candidate,
        distance: isInitials ? 1 : Math.min(edits(plain, simplify(candidate)), edits(plain, simplify(last))),
      };
    })
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance);
}

function simplify(word: string): string {
  return word.toLowerCase().replace(/[^a-z0-9]/g, "");
}

function initials(word: string): string {
  return word
    .split(/[_-]/)
    .map((part) => part.charAt(0))
    .join("");
}

/** Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`: optimal string alignment distance. */
function edits(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current[column] = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (same ? 0 : 1),
        swapped ? (beforePrevious[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length] ?? 0;
}
