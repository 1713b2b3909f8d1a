/** A square of named rows and columns as coloured cells, with numbers where they fit: cosines of task vectors, confusions of classes. */
import type { Figure } from "../plot.js";
import { NARROW, WIDE } from "./figure-size.js";

/** Width in px for names and the legend. */
const LABELS = 160;
const MOST_CELL = 72;
/** A number needs this much. */
const NUMBER_CELL = 26;

export interface MatrixCell {
  readonly row: string | undefined;
  readonly column: string | undefined;
  readonly value: number;
}

export interface MatrixOptions {
  /** Of rows and columns, in this order. */
  readonly names: readonly string[];
  /** What the values are called. */
  readonly measure: string;
  /** Of the numbers, as d3-format has it. */
  readonly format: string;
  readonly titles?: { readonly row: string; readonly column: string };
}

/** Both forms; absent cells are empty. */
export function matrixForms(cells: readonly MatrixCell[], options: MatrixOptions): Pick<Figure, "spec" | "narrow"> {
  const cellOf = (width: number) => Math.min(MOST_CELL, (width - LABELS) / options.names.length);
  return {
    spec: cellsSpec(cells, options, cellOf(WIDE), { orient: "right" }),
    narrow: cellsSpec(cells, options, cellOf(NARROW + 50), { orient: "bottom" }),
  };
}

function cellsSpec(
  cells: readonly MatrixCell[],
  { names, measure, format, titles }: MatrixOptions,
  cell: number,
  legend: { readonly orient: "right" | "bottom" },
): Figure["spec"] {
  const ordinal = { type: "ordinal" as const, sort: [...names] };
  const x = { field: "column", ...ordinal, title: titles?.column ?? null, axis: { labelAngle: -45 } };
  const y = { field: "row", ...ordinal, title: titles?.row ?? null, axis: { labelLimit: 100 } };
  const text = { x, y, text: { field: measure, type: "quantitative", format } } as const;
  const numbers = [
    {
      // An outline keeps the number legible on every colour.
      mark: {
        type: "text",
        fontSize: 10,
        color: "white",
        stroke: "rgba(0,0,0,0.55)",
        strokeWidth: 2,
        strokeJoin: "round",
      },
      encoding: text,
    },
    { mark: { type: "text", fontSize: 10, color: "white" }, encoding: text },
  ] as const;
  return {
    width: { step: cell },
    height: { step: Math.max(NUMBER_CELL * 0.7, cell * 0.5) },
    data: { values: cells.map(({ row, column, value }) => ({ row, column, [measure]: value })) },
    layer: [
      {
        mark: { type: "rect", opacity: 0.8 },
        encoding: { x, y, color: { field: measure, type: "quantitative", scale: { scheme: "viridis" }, legend } },
      },
      ...(cell >= NUMBER_CELL ? numbers : []),
    ],
  };
}
