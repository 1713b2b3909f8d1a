/**
 * Which column of a table holds the examples, which their other halves where they are pairs, and which the labels. A column of the usual name
 * is taken; one that is hardly called otherwise ("Label", "image_file") is taken too where it is the only one, and said; where several could be
 * meant none is, and all are named. The names are those of the kind (data/kind.ts).
 */
import { nearest } from "../../runtime/nearest.js";
import { printable } from "../../runtime/printable.js";
import type { ExampleKind } from "../kind.js";

const LABEL_NAMES =
  "label labels class classes classname classlabel labelname category categories target targets".split(" ");
/** Columns before the rest is only counted. */
const MOST_SHOWN = 20;

export interface ColumnChoice {
  /** Undefined: none, or it is not clear which. */
  readonly column: string | undefined;
  /** What was assumed, for a person. */
  readonly notice?: string;
  /** Where there is no column: what there is instead. */
  readonly found: string;
}

export interface ExampleColumns extends ColumnChoice {
  /** Of the other texts of pairs. */
  readonly pair?: string;
}

/** Columns that suite.yaml names. */
export interface AskedColumns {
  readonly column?: string | undefined;
  readonly pair?: string | undefined;
}

/** The column of the examples among `columns`: the one of these usual names, a pair of columns that belong together, or one of a near name. */
export function chooseExamples(
  columns: readonly string[],
  kind: ExampleKind,
  usual: readonly string[],
  asked: AskedColumns = {},
): ExampleColumns {
  const withPair = asked.pair === undefined ? {} : { pair: asked.pair };
  if (asked.column !== undefined)
    return columns.includes(asked.column)
      ? { column: asked.column, found: "", ...withPair }
      : { column: undefined, found: shownColumns(columns) };
  const pairs = asked.pair === undefined ? pairsAmong(columns, kind) : [];
  const own = usual.find((name) => columns.includes(name) && name !== asked.pair);
  const [strongest] = usual;
  const certain = own === strongest ? pairs.filter((pair) => pair.includes(own ?? "")) : pairs;
  const [pair] = certain;
  const { option, pairOption } = kind.columns;
  if (pair !== undefined && certain.length === 1) {
    const [column, other] = pair;
    const notice = `the ${kind.many} are pairs, of columns ${shown(column)} and ${shown(other)}; dataset.${option} names one alone`;
    return { column, pair: other, notice, found: "" };
  }
  if (certain.length > 1) {
    const named = certain.map((names) => names.map(shown).join(" and ")).join(", or ");
    return {
      column: undefined,
      found: `${shownColumns(columns)}, of which several could be the pair (${named}): say which with dataset.${option} and dataset.${pairOption}`,
    };
  }
  if (own !== undefined) return { column: own, found: "", ...withPair };
  return { ...nearColumn(columns, examplesOf(kind), asked.pair), ...withPair };
}

/** The column of the labels that is not called as usual. */
export function nearLabels(columns: readonly string[], kind: ExampleKind, taken?: string): ColumnChoice {
  const names = [...LABEL_NAMES, ...kind.columns.nearLabels];
  return nearColumn(columns, { role: "label", names, option: "dataset.label_column" }, taken);
}

/** The column of the examples that is not called as usual. */
export function nearExamples(columns: readonly string[], kind: ExampleKind): ColumnChoice {
  return nearColumn(columns, examplesOf(kind));
}

interface Role {
  readonly role: string;
  readonly names: readonly string[];
  /** The key that names a column in suite.yaml. */
  readonly option: string;
}

function examplesOf({ one, columns }: ExampleKind): Role {
  return { role: one, names: columns.near, option: `dataset.${columns.option}` };
}

/** `taken` has another role. */
function nearColumn(columns: readonly string[], { role, names, option }: Role, taken?: string): ColumnChoice {
  const near = columns.filter((name) => name !== taken && names.includes(simplified(name)));
  const found = shownColumns(columns);
  const [only] = near;
  if (only !== undefined && near.length === 1)
    return { column: only, notice: `the ${role}s are those of column ${shown(only)}; ${option} names another`, found };
  if (near.length > 1)
    return {
      column: undefined,
      found: `${found}, of which ${near.map(shown).join(" and ")} could be meant: say which with ${option}`,
    };
  const close = nearest(role, columns);
  return {
    column: undefined,
    found: close === undefined ? found : `${found}; is it ${shown(close)}? Say so with ${option}`,
  };
}

/** The pairs of columns that are called as two texts of one example are. */
function pairsAmong(columns: readonly string[], kind: ExampleKind): readonly (readonly [string, string])[] {
  const called = (name: string) => columns.find((column) => simplified(column) === name);
  return kind.columns.pairs.flatMap(([first, second]) => {
    const [column, other] = [called(first), called(second)];
    return column === undefined || other === undefined ? [] : [[column, other] as const];
  });
}

export function shownColumns(columns: readonly string[]): string {
  const rest = columns.length - MOST_SHOWN;
  return `${columns.slice(0, MOST_SHOWN).map(shown).join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
}

/** Whether two names differ only in case, blanks and punctuation. */
export function isSameName(a: string, b: string): boolean {
  return simplified(a) === simplified(b);
}

function simplified(name: string): string {
  return name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
}

/** With quotes where blanks would be overlooked. */
function shown(name: string): string {
  return name === name.trim() ? printable(name) : `"${printable(name)}"`;
}
