/**
 * Typing errors of the four kinds of Pruthi et al. 2019 (arXiv:1905.11268): two letters swapped, one dropped, one replaced by a neighbour on the
 * keyboard, one added. As there, only within words of at least four letters, whose first and last one stay. Differs from: words are drawn instead of
 * chosen against a model, and severities are shares of those words (0.1, 0.2, 0.3, 0.45, 0.6), one error in each.
 */
import type { Rng } from "../../../runtime/rng.js";
import { shareOf, type TextCorruption, wordsAndBlanks } from "./corruption.js";

const SHARES = [0.1, 0.2, 0.3, 0.45, 0.6];
const MIN_LETTERS = 4;
/** A character with the marks on it, or a lone mark. */
const LETTERS = /\P{M}\p{M}*|\p{M}+/gu;
/** Rows of a US keyboard; each starts half a key further right than the one above. */
const ROWS = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];
const NEIGHBOURS = neighbours();

function neighbours(): ReadonlyMap<string, readonly string[]> {
  const keys = ROWS.flatMap((row, y) => [...row].map((key, index) => ({ key, y, x: index + y / 2 })));
  return new Map(
    keys.map(({ key, x, y }) => [
      key,
      keys.filter((other) => other.key !== key && Math.hypot(other.x - x, other.y - y) < 1.2).map((other) => other.key),
    ]),
  );
}

export const typos: TextCorruption = {
  name: "typos",
  title: "Typing errors",
  at: (severity) => {
    const share = shareOf(SHARES, severity);
    return (text, rng) =>
      wordsAndBlanks(text)
        .map((part, place) => (place % 2 === 1 ? withTypo(part, share, rng) : part))
        .join("");
  },
};

function withTypo(word: string, share: number, rng: Rng): string {
  const letters = word.match(LETTERS) ?? [];
  // Two neighbours within are needed to swap them.
  if (letters.length < MIN_LETTERS || rng.nextFloat() >= share) return word;
  const at = 1 + rng.nextInt(letters.length - 2);
  const kind = rng.nextInt(4);
  const letter = letters[at] ?? "";
  if (kind === 0) {
    const first = Math.min(at, letters.length - 3);
    letters.splice(first, 2, letters[first + 1] ?? "", letters[first] ?? "");
  } else if (kind === 1) letters.splice(at, 1);
  else if (kind === 2) letters.splice(at, 1, besides(letter, rng));
  else letters.splice(at, 0, besides(letter, rng));
  return letters.join("");
}

/** A neighbour on the keyboard, as large; what is on no key is typed twice. */
function besides(letter: string, rng: Rng): string {
  const small = letter.toLowerCase();
  const near = NEIGHBOURS.get(small);
  if (near === undefined) return letter + letter;
  const found = near[rng.nextInt(near.length)] ?? small;
  return letter === small ? found : found.toUpperCase();
}
