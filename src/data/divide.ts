/**
 * Which examples of a labelled collection go where: class by class, in an order that is drawn, and each example where
 * most is lacking, so that the first of a class go where one is needed most. Examples that are the same go together.
 */
import { createRng, permutation } from "../runtime/rng.js";

export interface DivideOptions<Part extends string> {
  /** [N], indices into the classes. */
  readonly labels: Int32Array;
  readonly classes: readonly string[];
  /** Shares of the whole, which sum to 1. */
  readonly shares: readonly (readonly [Part, number])[];
  /** For each example the first that is the same. */
  readonly firsts: Int32Array;
  /** What the order depends on besides the class. */
  readonly draw: readonly (string | number)[];
}

export interface DividedExample<Part extends string> {
  readonly index: number;
  /** The name of its class. */
  readonly label: string;
  readonly part: Part;
}

/** Of a difference between shares that is none. */
const ROUNDING = 1e-9;

/** Every example with its part, class after class; a class without examples has none. */
export function dividedExamples<Part extends string>(options: DivideOptions<Part>): DividedExample<Part>[] {
  const { labels, classes, shares, firsts, draw } = options;
  const byClass = new Map<number, number[]>();
  for (const [index, label] of labels.entries()) {
    const own = byClass.get(label);
    if (own === undefined) byClass.set(label, [index]);
    else own.push(index);
  }
  const placed = new Map<number, Part>();
  return classes.flatMap((label, number) => {
    const own = byClass.get(number) ?? [];
    const given = new Map<Part, number>();
    return [...permutation(own.length, createRng(...draw, label)).entries()].map(([turn, position]) => {
      const index = own[position] ?? 0;
      const first = firsts[index] ?? index;
      const lack = ([part, share]: readonly [Part, number]) => share * (turn + 1) - (given.get(part) ?? 0);
      const [lacking] = shares.reduce((most, next) => (lack(next) > lack(most) + ROUNDING ? next : most));
      const part = placed.get(first) ?? lacking;
      placed.set(first, part);
      given.set(part, (given.get(part) ?? 0) + 1);
      return { index, label, part };
    });
  });
}
