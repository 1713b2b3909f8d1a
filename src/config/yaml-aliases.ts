/**
 * What the aliases of a YAML document stand for, where a reader of it takes any: `*name` is the last value before it that was called `&name`
 * (YAML 1.2, 7.1). Bounded: a few hundred bytes of aliases of aliases can stand for gigabytes.
 */
import { isAlias, isCollection, isMap, isNode, isPair, isScalar, type Node } from "yaml";
import { printable } from "../runtime/printable.js";

/** Values that aliases may stand for in all: a list of settings for each row of a long table is a hundredth of it. */
const MAX_ALIASED_VALUES = 100_000;
/** Of values inside each other, aliases written out. */
const MAX_DEPTH = 100;

export type AliasTargets = ReadonlyMap<unknown, Node>;

interface Extent {
  readonly values: number;
  readonly depth: number;
}

interface Walk {
  readonly named: Map<string, Node>;
  /** Of what is named and has ended; a name whose value has not ended stands in itself. */
  readonly extents: Map<Node, Extent>;
  readonly targets: Map<unknown, Node>;
  aliased: number;
}

/** What each alias stands for, and the first one that cannot be taken. */
export function aliasTargets(root: Node | null): {
  readonly targets: AliasTargets;
  readonly problem?: { readonly node: unknown; readonly text: string };
} {
  const walk: Walk = { named: new Map(), extents: new Map(), targets: new Map(), aliased: 0 };
  try {
    extentOf(root, walk);
    return { targets: walk.targets };
  } catch (error) {
    if (!(error instanceof AliasError)) throw error;
    return { targets: new Map(), problem: { node: error.node, text: error.message } };
  }
}

class AliasError extends Error {
  constructor(
    readonly node: unknown,
    message: string,
  ) {
    super(message);
  }
}

/** In the order of the document, so that names are known before they are used. */
function extentOf(node: unknown, walk: Walk): Extent {
  if (isAlias(node)) return extentOfAlias(node, node.source, walk);
  const anchor = isScalar(node) || isCollection(node) ? node.anchor : undefined;
  if (anchor !== undefined && isNode(node)) walk.named.set(anchor, node);
  let [values, depth] = [1, 1];
  for (const item of itemsOf(node)) {
    const found = extentOf(item, walk);
    values += found.values;
    depth = Math.max(depth, found.depth + 1);
  }
  const extent = { values, depth };
  if (anchor !== undefined && isNode(node)) walk.extents.set(node, extent);
  return extent;
}

function extentOfAlias(alias: unknown, source: string, walk: Walk): Extent {
  const name = printable(source);
  const target = walk.named.get(source);
  if (target === undefined) throw new AliasError(alias, `alias *${name}: expected &${name} before it, found none`);
  const extent = walk.extents.get(target);
  if (extent === undefined) throw new AliasError(alias, `alias *${name}: stands inside of &${name} itself`);
  walk.aliased += extent.values;
  if (walk.aliased > MAX_ALIASED_VALUES || extent.depth > MAX_DEPTH)
    throw new AliasError(
      alias,
      `alias *${name}: expected aliases for at most ${MAX_ALIASED_VALUES} values, ${MAX_DEPTH} inside each other; write the value out instead`,
    );
  walk.targets.set(alias, target);
  return extent;
}

function itemsOf(node: unknown): readonly unknown[] {
  if (isMap(node)) return node.items.flatMap(({ key, value }) => [key, value]);
  if (isCollection(node)) return node.items.flatMap((item) => (isPair(item) ? [item.key, item.value] : [item]));
  return [];
}
