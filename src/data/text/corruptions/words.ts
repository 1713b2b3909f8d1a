/**
 * Words dropped and words swapped, as "random deletion" and "random swap" of Wei & Zou 2019 (EDA, arXiv:1901.11196), with the first five of the shares
 * alpha that they tried: 0.05, 0.1, 0.2, 0.3, 0.4 of the words.
 */
import { shareOf, type TextCorruption, wordsAndBlanks } from "./corruption.js";

const SHARES = [0.05, 0.1, 0.2, 0.3, 0.4];

/** Each word goes with this probability, with the blanks behind it; if all would go, one stays. */
export const droppedWords: TextCorruption = {
  name: "dropped_words",
  title: "Dropped words",
  at: (severity) => {
    const share = shareOf(SHARES, severity);
    return (text, rng) => {
      const parts = wordsAndBlanks(text);
      const count = (parts.length - 1) / 2;
      if (count === 0) return text;
      const goes = Array.from({ length: count }, () => rng.nextFloat() < share);
      if (!goes.includes(false)) goes[rng.nextInt(count)] = false;
      return parts.filter((_part, place) => place === 0 || goes[Math.floor((place - 1) / 2)] === false).join("");
    };
  },
};

/** So many times two words change places: the share of the words, at least one where there are two. */
export const swappedWords: TextCorruption = {
  name: "swapped_words",
  title: "Swapped words",
  at: (severity) => {
    const share = shareOf(SHARES, severity);
    return (text, rng) => {
      const parts = wordsAndBlanks(text);
      const count = (parts.length - 1) / 2;
      if (count < 2) return text;
      for (let left = Math.max(1, Math.floor(share * count)); left > 0; left--) {
        const first = rng.nextInt(count);
        const other = (first + 1 + rng.nextInt(count - 1)) % count;
        const [a, b] = [2 * first + 1, 2 * other + 1];
        [parts[a], parts[b]] = [parts[b] ?? "", parts[a] ?? ""];
      }
      return parts.join("");
    };
  },
};
