/** Cosines between the task vectors, and their lengths. */
import type { Figure } from "../plot.js";
import type { RunReport } from "../run-report.js";

const CELL = 46;

export function taskVectorsFigure({ geometry }: RunReport): Figure | undefined {
  if (geometry === undefined || geometry.tasks.length < 2) return undefined;
  const { tasks, cosines, normRatios } = geometry;
  const cells = cosines.flatMap((row, i) =>
    row.flatMap((cosine, j) => (i === j ? [] : [{ row: tasks[i], column: tasks[j], cosine }])),
  );
  const x = { field: "column", type: "ordinal" as const, sort: [...tasks], title: null, axis: { labelAngle: -45 } };
  const y = { field: "row", type: "ordinal" as const, sort: [...tasks], title: null };
  const lengths = tasks.map((task, index) => `${task} ${(normRatios[index] ?? 0).toPrecision(2)}`).join(", ");
  return {
    name: "task-vectors",
    title: "Task vectors",
    caption: `Cosine similarity of the task vectors over all merged tensors. Their lengths as a share of the base's: ${lengths}.`,
    spec: {
      width: { step: CELL },
      height: { step: CELL * 0.6 },
      data: { values: cells },
      layer: [
        {
          mark: { type: "rect", opacity: 0.8 },
          encoding: { x, y, color: { field: "cosine", type: "quantitative", scale: { scheme: "viridis" } } },
        },
        {
          mark: {
            type: "text",
            fontSize: 10,
            color: "white",
            stroke: "rgba(0,0,0,0.55)",
            strokeWidth: 2,
            strokeJoin: "round",
          },
          encoding: { x, y, text: { field: "cosine", type: "quantitative", format: ".2f" } },
        },
        {
          mark: { type: "text", fontSize: 10, color: "white" },
          encoding: { x, y, text: { field: "cosine", type: "quantitative", format: ".2f" } },
        },
      ],
    },
  };
}
