/**
 * Draws the splits of a task from what its source yields. Equal and nearly equal texts are settled first, then every
 * class gets a quota of every split, then whole groups are dealt out. Nothing here looks at what a model makes of a
 * text.
 */

import { NEAR_JACCARD, nearComponents, nearlyIn } from "../../../src/data/text/near-texts.js";
import { createRng, permutation } from "../../../src/runtime/rng.js";
import { grouped, type LabelledText, type SourceText, textKey } from "./labelled-text.js";
import { SEED } from "./plan.js";
import { SHIPPED_SPLITS, SPLITS, type Split, type SplitSizes } from "./split-sizes.js";

export type TextSplits = Readonly<Record<Split, readonly LabelledText[]>>;

/** How many texts a task lost before anything was drawn, by reason. */
export interface DroppedTexts {
  /** The same words as a text that stays. */
  readonly equal: number;
  /** The same or nearly the same words under two labels; all of them go. */
  readonly contradictory: number;
  /** Nearly the same words as a text that stays. */
  readonly near: number;
  /** The same or nearly the same words as a text that a task before drew. */
  readonly inOtherTasks: number;
}

export interface DistinctTexts {
  readonly texts: readonly SourceText[];
  readonly dropped: DroppedTexts;
}

/** Which likeness makes texts copies of each other, and how many copies may stay, all in one group. */
export interface CopyRule {
  readonly jaccard: number;
  readonly keep: number;
}

/** For most sources: of texts that are nearly the same, one stays. */
export const ONE_COPY: CopyRule = { jaccard: NEAR_JACCARD, keep: 1 };

/** The texts of one task that may be drawn; `drawn` holds the texts of the tasks before. */
export function distinctTexts(
  task: string,
  source: readonly SourceText[],
  drawn: readonly string[],
  rule: CopyRule = ONE_COPY,
): DistinctTexts {
  const shuffled = shuffle(source, task, "source");
  const { texts: unequal, equal, contradictory } = withoutEqual(shuffled);
  const known = new Set(drawn.map(textKey));
  const elsewhere = nearlyIn(
    unequal.map(({ text }) => text),
    drawn,
    NEAR_JACCARD,
  );
  const own = unequal.filter(({ text }, index) => !elsewhere[index] && !known.has(textKey(text)));
  const { texts, near, mixed } = withoutCopies(own, rule);
  return {
    texts,
    dropped: { equal, contradictory: contradictory + mixed, near, inOtherTasks: unequal.length - own.length },
  };
}

function withoutEqual(source: readonly SourceText[]): { texts: SourceText[]; equal: number; contradictory: number } {
  const byKey = grouped(source, ({ text }) => textKey(text));
  const texts: SourceText[] = [];
  let contradictory = 0;
  for (const same of byKey.values()) {
    const [first] = same;
    if (first === undefined) continue;
    if (same.every(({ label }) => label === first.label)) texts.push(first);
    else contradictory += same.length;
  }
  return { texts, equal: source.length - contradictory - texts.length, contradictory };
}

function withoutCopies(
  source: readonly SourceText[],
  { jaccard, keep }: CopyRule,
): { texts: SourceText[]; near: number; mixed: number } {
  const positions = grouped(source.keys(), (index) => source[index]?.group);
  const components = nearComponents(
    source.map(({ text }) => text),
    jaccard,
    keep === 1 ? [] : [...positions.values()],
  );
  const byComponent = grouped(source.entries(), ([index]) => components[index] ?? index);
  const texts: SourceText[] = [];
  let mixed = 0;
  for (const [component, members] of byComponent) {
    const copies = members.map(([, text]) => text);
    // Where several copies stay, likeness is loose and says nothing against the labels.
    if (keep === 1 && new Set(copies.map(({ label }) => label)).size > 1) mixed += copies.length;
    else if (keep === 1) texts.push(...copies.slice(0, 1));
    else texts.push(...copies.slice(0, keep).map((copy) => ({ ...copy, group: `component ${component}` })));
  }
  return { texts, near: source.length - mixed - texts.length, mixed };
}

/** Splits of the sizes asked for, or smaller by what the classes lack. Each is in random order. */
export function drawSplits(task: string, texts: readonly SourceText[], classes: number, sizes: SplitSizes): TextSplits {
  const counts = Array.from({ length: classes }, (_, label) => texts.filter((text) => text.label === label).length);
  const total = SPLITS.reduce((sum, split) => sum + sizes[split], 0);
  const left = splitQuotas(cappedShares(counts, total), sizes);
  const taken: Record<Split, LabelledText[]> = { test: [], val: [], adapt: [], train: [] };
  const groups = [...grouped(texts, ({ group }) => group).values()];
  for (const group of shuffle(groups, task, "groups")) {
    const split = firstOpen(group, left);
    const open = left.get(split) ?? [];
    for (const { text, label } of group) {
      const free = open[label] ?? 0;
      if (free === 0) continue;
      open[label] = free - 1;
      taken[split].push({ text, label });
    }
  }
  // Groups bring their texts in a row, and rare classes would come early: shuffled again.
  const shuffled = SPLITS.map((split) => [split, shuffle(taken[split], task, split)] as const);
  return { ...taken, ...Object.fromEntries(shuffled) };
}

/** As many of each class as fit into `total` under one cap: rare classes in full, frequent ones up to the cap. */
export function cappedShares(counts: readonly number[], total: number): number[] {
  let [low, high] = [0, Math.max(0, ...counts)];
  while (low < high) {
    const cap = Math.ceil((low + high) / 2);
    if (counts.reduce((sum, count) => sum + Math.min(count, cap), 0) <= total) low = cap;
    else high = cap - 1;
  }
  return counts.map((count) => Math.min(count, low));
}

/** Every split's part of every class: the shipped splits in proportion to the shares, train the rest. */
function splitQuotas(shares: readonly number[], sizes: SplitSizes): Map<Split, number[]> {
  const rest = [...shares];
  const quotas = new Map<Split, number[]>();
  for (const split of SHIPPED_SPLITS) {
    const quota = apportion(shares, sizes[split]);
    quotas.set(split, quota);
    for (const [label, count] of quota.entries()) rest[label] = (rest[label] ?? 0) - count;
  }
  return quotas.set("train", rest);
}

/** `seats` in proportion to `weights`, by largest remainder. */
function apportion(weights: readonly number[], seats: number): number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  const exact = weights.map((weight) => (weight * seats) / sum);
  const given = exact.map(Math.floor);
  const byRemainder = [...exact.keys()].sort((a, b) => ((exact[b] ?? 0) % 1) - ((exact[a] ?? 0) % 1));
  const missing = seats - given.reduce((a, b) => a + b, 0);
  for (const label of byRemainder.slice(0, missing)) given[label] = (given[label] ?? 0) + 1;
  return given;
}

/**
 * The first split that still wants one of these classes: groups come in random order, so filling one after another is
 * fair.
 */
function firstOpen(group: readonly SourceText[], left: ReadonlyMap<Split, readonly number[]>): Split {
  return SPLITS.find((split) => group.some(({ label }) => (left.get(split)?.[label] ?? 0) > 0)) ?? "train";
}

function shuffle<Item>(items: readonly Item[], ...keys: readonly string[]): Item[] {
  const shuffled: Item[] = [];
  for (const index of permutation(items.length, createRng("text8", SEED, ...keys))) {
    const item = items[index];
    if (item !== undefined) shuffled.push(item);
  }
  return shuffled;
}
