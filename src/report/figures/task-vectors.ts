/** Cosines between the task vectors, and their lengths. */
import type { Figure } from "../plot.js";
import type { RunReport } from "../run-report.js";
import { NARROW, WIDE } from "./figure-size.js";

/** Width in px for names of tasks and the legend. */
const LABELS = 160;
const MOST_CELL = 72;
/** A number needs this much. */
const NUMBER_CELL = 26;

export function taskVectorsFigure({ geometry }: RunReport): Figure | undefined {
  if (geometry === undefined || geometry.tasks.length < 2) return undefined;
  const { tasks, cosines, normRatios } = geometry;
  const cells = cosines.flatMap((row, i) =>
    row.flatMap((cosine, j) => (i === j ? [] : [{ row: tasks[i], column: tasks[j], cosine }])),
  );
  const lengths = tasks.map((task, index) => `${task} ${(normRatios[index] ?? 0).toPrecision(2)}`).join(", ");
  const cellOf = (width: number) => Math.min(MOST_CELL, (width - LABELS) / tasks.length);
  return {
    name: "task-vectors",
    title: "Task vectors",
    caption: `Cosine similarity of the task vectors over all merged tensors. Their lengths as a share of the base's: ${lengths}.`,
    spec: cellsSpec(cells, tasks, cellOf(WIDE), { orient: "right" }),
    narrow: cellsSpec(cells, tasks, cellOf(NARROW + 50), { orient: "bottom" }),
  };
}

function cellsSpec(
  cells: readonly { readonly row: string | undefined; readonly column: string | undefined; readonly cosine: number }[],
  tasks: readonly string[],
  cell: number,
  legend: { readonly orient: "right" | "bottom" },
): Figure["spec"] {
  const x = { field: "column", type: "ordinal" as const, sort: [...tasks], title: null, axis: { labelAngle: -45 } };
  const y = { field: "row", type: "ordinal" as const, sort: [...tasks], title: null, axis: { labelLimit: 100 } };
  const text = { x, y, text: { field: "cosine", type: "quantitative", format: ".2f" } } as const;
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
    data: { values: [...cells] },
    layer: [
      {
        mark: { type: "rect", opacity: 0.8 },
        encoding: { x, y, color: { field: "cosine", type: "quantitative", scale: { scheme: "viridis" }, legend } },
      },
      ...(cell >= NUMBER_CELL ? numbers : []),
    ],
  };
}
