/** The mean coefficient of every task in each of several runs. */

import type { CoefficientsRecord } from "../../track/coefficients-file.js";
import type { Figure } from "../plot.js";
import { heatLegend, NARROW, WIDE } from "./figure-size.js";

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
  const columns = new Set(values.map(({ task }) => task)).size;
  const sized = (width: number, labels: number, orient: "right" | "bottom"): Figure["spec"] => {
    const axis = { orient: "top", labelAngle: columns > 4 ? -45 : 0, labelOverlap: false } as const;
    const x = { field: "task", type: "nominal", sort: null, title: null, axis } as const;
    const y = {
      field: "label",
      type: "nominal",
      sort: null,
      title: null,
      axis: { labelLimit: labels },
    } as const;
    const cells = {
      mark: { type: "rect", opacity: 0.85 },
      encoding: {
        x,
        y,
        color: {
          field: "mean",
          type: "quantitative",
          scale: { scheme: "viridis" },
          title: "lambda",
          legend: heatLegend(orient, runs.length * ROW_HEIGHT),
        },
      },
    } as const;
    const outline = { stroke: "rgba(0,0,0,0.55)", strokeWidth: 2, strokeJoin: "round" } as const;
    const encoding = { x, y, text: { field: "text" } } as const;
    const numbers = [
      { mark: { type: "text", fontSize: 10, color: "white", ...outline }, encoding },
      { mark: { type: "text", fontSize: 10, color: "white" }, encoding },
    ] as const;
    const hasNumbers = (width - labels) / columns >= NUMBER_CELL;
    return {
      width,
      autosize: { type: "fit-x", contains: "padding" },
      height: { step: ROW_HEIGHT },
      data: { values },
      layer: [cells, ...(hasNumbers ? numbers : [])],
    };
  };
  return {
    name: "mean-coefficients",
    title: "Mean coefficients",
    caption: "The mean coefficient over the groups of every task in every run.",
    spec: sized(WIDE, 200, "right"),
    narrow: sized(NARROW, 110, "bottom"),
  };
}
