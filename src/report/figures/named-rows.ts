/** What figures with a name on each row have in common: the axis of the names, and a grid of rows by tasks. */
import type { Figure } from "../plot.js";
import { heatLegend, NARROW, WIDE } from "./figure-size.js";

/** Names down the side in the order of the data; what is longer than `labelLimit` px is cut, and shown whole when pointed at. */
export function namesAxis<Field extends string>(field: Field, labelLimit: number) {
  return { field, type: "nominal", sort: null, title: null, axis: { labelLimit } } as const;
}

export interface TaskGrid {
  /** With `label`, `task`, the value of `field`, and `text` for its number. */
  readonly values: readonly (Readonly<Record<string, unknown>> & { readonly label: string; readonly task: string })[];
  readonly rows: number;
  readonly rowHeight: number;
  /** What colours a cell, and the legend's word for it. */
  readonly field: string;
  readonly title: string;
  readonly cell: { readonly type: "rect"; readonly opacity?: number };
  /** Numbers are written where a cell is as wide as this, in px: one layer for each of these. */
  readonly numberCell: number;
  readonly numbers: readonly {
    readonly mark: Readonly<Record<string, unknown>> & { readonly type: "text" };
    readonly color?: { readonly condition: { readonly test: string; readonly value: string }; readonly value: string };
  }[];
  /** Px for names of rows, wide and narrow. */
  readonly labels: readonly [wide: number, narrow: number];
  /** Px for names of tasks; no limit if absent. */
  readonly taskLimit?: number;
}

/** Both forms of a grid of rows by tasks, coloured by a number. */
export function taskGrid(grid: TaskGrid): Pick<Figure, "spec" | "narrow"> {
  const [wide, narrow] = grid.labels;
  return { spec: sizedGrid(grid, WIDE, wide, "right"), narrow: sizedGrid(grid, NARROW, narrow, "bottom") };
}

function sizedGrid(grid: TaskGrid, width: number, labels: number, orient: "right" | "bottom"): Figure["spec"] {
  const { values, rows, rowHeight, field, title, cell, numberCell, numbers, taskLimit } = grid;
  const columns = new Set(values.map(({ task }) => task)).size;
  const limit = taskLimit === undefined ? {} : { labelLimit: taskLimit };
  const axis = { orient: "top", labelAngle: columns > 4 ? -45 : 0, labelOverlap: false, ...limit } as const;
  const x = { field: "task", type: "nominal", sort: null, title: null, axis } as const;
  const y = namesAxis("label", labels);
  const legend = heatLegend(orient, rows * rowHeight);
  const color = { field, type: "quantitative", scale: { scheme: "viridis" }, title, legend } as const;
  const hasNumbers = (width - labels) / columns >= numberCell;
  return {
    width,
    autosize: { type: "fit-x", contains: "padding" },
    height: { step: rowHeight },
    data: { values: [...values] },
    layer: [
      { mark: cell, encoding: { x, y, color } },
      ...(hasNumbers ? numbers : []).map((number) => ({
        mark: { fontSize: 10, ...number.mark },
        encoding: { x, y, text: { field: "text" }, ...(number.color === undefined ? {} : { color: number.color }) },
      })),
    ],
  };
}
