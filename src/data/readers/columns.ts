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
/** What a table of ours calls them, by the setting that names another: what a person may call a column instead. */
const USUAL_NAMES: Readonly<Record<ColumnOption, string>> = {
  image_column: "path",
  text_column: "text",
  pair_column: "text_pair",
  label_column: "label",
};
/** Columns before the rest is only counted. */
const MOST_SHOWN = 20;

/** The settings that name columns, as suite.yaml calls them. */
export type ColumnOption = "image_column" | "text_column" | "pair_column" | "label_column";

/** What a person does to name a column, as a request: it depends on where the data was given. */
export type ColumnNaming = (option: ColumnOption) => string;

/** Of data that a suite describes. */
export const namedInSuite: ColumnNaming = (option) => `set dataset.${option} in suite.yaml`;

/** Of data that is given where nothing names columns. */
export const namedInTable: ColumnNaming = (option) => `call it ${USUAL_NAMES[option]} in the table`;

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

/** Columns that were named, and how others are. */
export interface AskedColumns {
  readonly column?: string | undefined;
  readonly pair?: string | undefined;
  readonly naming: ColumnNaming;
}

/** The column of the examples among `columns`: the one of these usual names, a pair of columns that belong together, or one of a near name. */
export function chooseExamples(
  columns: readonly string[],
  kind: ExampleKind,
  usual: readonly string[],
  asked: AskedColumns,
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
  const { naming } = asked;
  if (pair !== undefined && certain.length === 1) {
    const [column, other] = pair;
    const notice = `the ${kind.many} are pairs, of columns ${shown(column)} and ${shown(other)}; to take one alone, ${naming(option)}`;
    return { column, pair: other, notice, found: "" };
  }
  if (certain.length > 1) {
    const named = certain.map((names) => names.map(shown).join(" and ")).join(", or ");
    return {
      column: undefined,
      found: `${shownColumns(columns)}, of which several could be the pair (${named}): for each of the two, ${naming(option)}${pairOption === undefined ? "" : ` and ${naming(pairOption)}`}`,
    };
  }
  if (own !== undefined) return { column: own, found: "", ...withPair };
  return { ...nearExamples(columns, kind, naming, asked.pair), ...withPair };
}

/** The column of the labels that is not called as usual. */
export function nearLabels(
  columns: readonly string[],
  kind: ExampleKind,
  naming: ColumnNaming,
  taken?: string,
): ColumnChoice {
  const names = [...LABEL_NAMES, ...kind.columns.nearLabels];
  return nearColumn(columns, { role: "label", names, how: naming("label_column") }, taken);
}

/** The column of the examples that is not called as usual. */
export function nearExamples(
  columns: readonly string[],
  { one, columns: { near, option } }: ExampleKind,
  naming: ColumnNaming,
  taken?: string,
): ColumnChoice {
  return nearColumn(columns, { role: one, names: near, how: naming(option) }, taken);
}

interface Role {
  readonly role: string;
  readonly names: readonly string[];
  /** What names a column. */
  readonly how: string;
}

/** `taken` has another role. */
function nearColumn(columns: readonly string[], { role, names, how }: Role, taken?: string): ColumnChoice {
  const near = columns.filter((name) => name !== taken && names.includes(simplified(name)));
  const found = shownColumns(columns);
  const [only] = near;
  if (only !== undefined && near.length === 1)
    return { column: only, notice: `the ${role}s are those of column ${shown(only)}; to take another, ${how}`, found };
  if (near.length > 1)
    return {
      column: undefined,
      found: `${found}, of which ${near.map(shown).join(" and ")} could be meant: for the one that is, ${how}`,
    };
  const close = nearest(role, columns);
  return {
    column: undefined,
    found: close === undefined ? found : `${found}; is it ${shown(close)}? Then ${how}`,
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
