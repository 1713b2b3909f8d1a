/**
 * Which names of two files of one architecture are the same tensor, without knowing the architecture: equal names, or names that differ in what is
 * in front, as transformers writes a base model with and without the prefix of the model around it (`h.0` and `transformer.h.0`), a tower
 * alone and in a whole model, or a model and what a training loop wraps around it.
 *
 * A prefix is exchanged for all names that have it or for none, and a list of blocks has its counterparts in one list: the twelfth block of a text tower
 * never stands in for one that the first tower lacks.
 */
import { CheckpointError } from "../../errors.js";
import { quote } from "../../runtime/printable.js";

/** Names without wrappers and in one spelling (plain-names.ts), with their shapes. */
export type NamedShapes = ReadonlyMap<string, readonly number[]>;

export interface PrefixChange {
  /** In front of the other file's names. */
  readonly own: string;
  /** In front of the pattern's. */
  readonly pattern: string;
}

export interface Alignment {
  /** The pattern's name to the other file's. */
  readonly ownOf: ReadonlyMap<string, string>;
  /** What was exchanged, the commonest first; none where all names are equal. */
  readonly changes: readonly PrefixChange[];
}

/** Ends of names with fewer parts (`weight`, `norm.bias`) say nothing about where they belong. */
const LEAST_PARTS = 3;
/** Of one end: models have few towers, and what is everywhere tells nothing. */
const MOST_WITH_ONE_END = 8;
/** Exchanges that are tried, the commonest first. */
const MOST_CHANGES = 64;

/** Throws CheckpointError, naming two tensors, where names could belong to either of them; `path` is the other file's. */
export function alignNames(pattern: NamedShapes, own: NamedShapes, path: string): Alignment {
  const state = newState(pattern, own);
  assign(state, { own: "", pattern: "" });
  const changes: PrefixChange[] = [];
  for (let left = candidates(state); left.length > 0; ) {
    const scored = left
      .map((change) => ({ change, ...scoreOf(state, change) }))
      .filter(({ names }) => names > 0)
      .toSorted((a, b) => b.equal - a.equal || b.names - a.names || lengthOf(a.change) - lengthOf(b.change));
    const [best, second] = scored;
    if (best === undefined) break;
    if (second !== undefined && second.equal === best.equal && second.names === best.names)
      refuseAmbiguous(state, best.change, second.change, path);
    assign(state, best.change);
    changes.push(best.change);
    left = scored.slice(1).map(({ change }) => change);
  }
  return { ownOf: state.ownOf, changes };
}

interface State {
  readonly pattern: NamedShapes;
  readonly own: NamedShapes;
  readonly ownOf: Map<string, string>;
  readonly free: { readonly pattern: Set<string>; readonly own: Set<string> };
  /** Lists of blocks to their counterparts, both ways. */
  readonly stacks: { readonly pattern: Map<string, string>; readonly own: Map<string, string> };
}

function newState(pattern: NamedShapes, own: NamedShapes): State {
  return {
    pattern,
    own,
    ownOf: new Map(),
    free: { pattern: new Set(pattern.keys()), own: new Set(own.keys()) },
    stacks: { pattern: new Map(), own: new Map() },
  };
}

interface Counterpart {
  readonly other: string;
  /** The list of blocks that each is in; undefined outside of blocks. */
  readonly stacks: { readonly pattern: string; readonly own: string } | undefined;
}

/** The other file's name for one of the pattern's, if it is there, free, and in the counterpart of its list of blocks. */
function counterpart({ free, stacks }: State, name: string, change: PrefixChange): Counterpart | undefined {
  if (!name.startsWith(change.pattern)) return undefined;
  const rest = name.slice(change.pattern.length);
  const other = change.own + rest;
  if (!free.own.has(other)) return undefined;
  const list = /^(.+?\.)??\d+(?:\.|$)/.exec(rest);
  if (list === null) return { other, stacks: undefined };
  const [pattern, own] = [change.pattern + (list[1] ?? ""), change.own + (list[1] ?? "")];
  const [known, otherKnown] = [stacks.pattern.get(pattern), stacks.own.get(own)];
  const isSame = (known ?? own) === own && (otherKnown ?? pattern) === pattern;
  return isSame ? { other, stacks: { pattern, own } } : undefined;
}

function assign(state: State, change: PrefixChange): void {
  for (const name of [...state.free.pattern]) {
    const found = counterpart(state, name, change);
    if (found === undefined) continue;
    state.ownOf.set(name, found.other);
    state.free.pattern.delete(name);
    state.free.own.delete(found.other);
    if (found.stacks === undefined) continue;
    state.stacks.pattern.set(found.stacks.pattern, found.stacks.own);
    state.stacks.own.set(found.stacks.own, found.stacks.pattern);
  }
}

function scoreOf(state: State, change: PrefixChange): { readonly equal: number; readonly names: number } {
  let [equal, names] = [0, 0];
  for (const name of state.free.pattern) {
    const found = counterpart(state, name, change);
    if (found === undefined) continue;
    names++;
    if (state.pattern.get(name)?.join() === state.own.get(found.other)?.join()) equal++;
  }
  return { equal, names };
}

const lengthOf = ({ own, pattern }: PrefixChange): number => own.length + pattern.length;

/** Exchanges after which some free names are equal. */
function candidates({ free }: State): PrefixChange[] {
  if (free.pattern.size === 0 || free.own.size === 0) return [];
  const withEnd = new Map<string, string[]>();
  for (const name of free.pattern)
    for (const end of endsOf(name)) {
      const known = withEnd.get(end) ?? [];
      if (known.length <= MOST_WITH_ONE_END) known.push(name);
      withEnd.set(end, known);
    }
  const votes = new Map<string, { readonly change: PrefixChange; count: number }>();
  for (const other of free.own)
    for (const end of endsOf(other)) {
      const whole = end === other || free.pattern.has(end);
      const known = withEnd.get(end) ?? [];
      if (known.length === 0 || known.length > MOST_WITH_ONE_END || !(whole || partsOf(end) >= LEAST_PARTS)) continue;
      for (const name of known) {
        const change = { own: other.slice(0, -end.length), pattern: name.slice(0, -end.length) };
        if (!keepsBlocks(change)) continue;
        const key = `${change.own}>${change.pattern}`;
        const vote = votes.get(key) ?? { change, count: 0 };
        vote.count++;
        votes.set(key, vote);
      }
      break;
    }
  const inOrder = [...votes.values()].toSorted((a, b) => b.count - a.count);
  return inOrder.slice(0, MOST_CHANGES).map(({ change }) => change);
}

/** The number of a block is never exchanged; a list may be around a whole model. */
function keepsBlocks({ own, pattern }: PrefixChange): boolean {
  const hasNumber = (prefix: string): boolean => /[^.]\.\d+\./.test(prefix);
  return !hasNumber(pattern) && (pattern === "" || !hasNumber(own));
}

/** The name and its ends at dots, the longest first. */
function* endsOf(name: string): Generator<string> {
  yield name;
  for (let at = name.indexOf("."); at >= 0; at = name.indexOf(".", at + 1)) yield name.slice(at + 1);
}

function partsOf(name: string): number {
  return name.split(".").length;
}

function refuseAmbiguous(state: State, one: PrefixChange, other: PrefixChange, path: string): void {
  const claimed = new Map<string, string>();
  for (const name of state.free.pattern) {
    const first = counterpart(state, name, one)?.other;
    const second = counterpart(state, name, other)?.other;
    if (first !== undefined && second !== undefined) throw ambiguous(path, name, first, second);
    if (first !== undefined) claimed.set(first, name);
  }
  for (const name of state.free.pattern) {
    const second = counterpart(state, name, other)?.other;
    const first = second === undefined ? undefined : claimed.get(second);
    if (second === undefined || first === undefined) continue;
    throw new CheckpointError(
      `${path}: tensor ${quote(second)}: expected one counterpart in the base, found two: ${quote(first)} and ${quote(name)}. Save the model with the names of the base.`,
    );
  }
}

function ambiguous(path: string, name: string, first: string, second: string): CheckpointError {
  return new CheckpointError(
    `${path}: expected one tensor for ${quote(name)}, found two: ${quote(first)} and ${quote(second)}. Save the one that is meant by itself.`,
  );
}
