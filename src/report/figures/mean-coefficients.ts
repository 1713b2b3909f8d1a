/** The mean coefficient of every task in each of several runs. */

import type { CoefficientsRecord } from "../../track/coefficients-file.js";
import type { Figure } from "../plot.js";
import { taskGrid } from "./named-rows.js";

const ROW_HEIGHT = 24;
const NUMBER_CELL = 28;

export function meanCoefficientsFigure(
  runs: readonly { readonly label: string; readonly coefficients: CoefficientsRecord | undefined }[],
): Figure | undefined {
  const values = runs.flatMap(({ label, coefficients }) =>
    (coefficients?.tasks ?? []).map((task, k) => {
      const row = coefficients?.values[k] ?? [];
      const mean = row.reduce((sum, value) => sum + value, 0) / row.length;
      return { label, task, mean, text: mean.toFixed(2) };
    }),
  );
  if (new Set(values.map(({ label }) => label)).size < 2) return undefined;
  const outline = { stroke: "rgba(0,0,0,0.55)", strokeWidth: 2, strokeJoin: "round" };
  return {
    name: "mean-coefficients",
    title: "Mean coefficients",
    caption: "The mean coefficient over the groups of every task in every run.",
    ...taskGrid({
      ...{ values, rows: runs.length, rowHeight: ROW_HEIGHT, field: "mean", title: "lambda" },
      ...{ cell: { type: "rect", opacity: 0.85 }, labels: [200, 110], numberCell: NUMBER_CELL },
      numbers: [{ mark: { type: "text", color: "white", ...outline } }, { mark: { type: "text", color: "white" } }],
    }),
  };
}
