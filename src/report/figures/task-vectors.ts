/** Cosines between the task vectors, and their lengths. */
import type { Figure } from "../plot.js";
import type { RunReport } from "../run-report.js";
import { matrixForms } from "./matrix.js";

export function taskVectorsFigure({ geometry, config }: RunReport): Figure | undefined {
  if (geometry === undefined || geometry.tasks.length < 2) return undefined;
  const { tasks, cosines, normRatios } = geometry;
  const cells = cosines.flatMap((row, i) =>
    row.flatMap((cosine, j) => (i === j ? [] : [{ row: tasks[i], column: tasks[j], value: cosine }])),
  );
  const lengths = tasks.map((task, index) => `${task} ${(normRatios[index] ?? 0).toPrecision(2)}`).join(", ");
  const origin = config.task_vectors.origin === "average" ? "the mean of the experts" : "the base's";
  return {
    name: "task-vectors",
    title: "Task vectors",
    caption: `Cosine similarity of the task vectors over all merged tensors. Their lengths as a share of ${origin}: ${lengths}.`,
    ...matrixForms(cells, { names: tasks, measure: "cosine", format: ".2f" }),
  };
}
