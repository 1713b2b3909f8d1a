/** Figures of a few models: their averages as bars, and what the learned ones have over weight averaging. */
import type { LearnedGain } from "../learned-gain.js";
import type { Figure } from "../plot.js";
import { isReference, type ResultRow } from "../summary.js";
import { bothSizes } from "./figure-size.js";
import { namesAxis } from "./named-rows.js";

const ROW_HEIGHT = 26;
const LABELS = 170;
const KINDS = { domain: ["learned", "merged", "not merged"], range: ["#2f7ed8", "#8aa4c0", "#b9c0c8"] };

/** A bar for every row; `learned` are those that the page is about. */
export function averageBars(rows: readonly ResultRow[], learned: ReadonlySet<string>): Figure | undefined {
  const values = rows
    .filter(({ average }) => Number.isFinite(average))
    .map(({ method, average }) => ({
      method,
      average,
      text: average.toFixed(1),
      kind: learned.has(method) ? "learned" : isReference(method) ? "not merged" : "merged",
    }));
  if (values.length < 2) return undefined;
  const y = namesAxis("method", LABELS);
  // The number of the longest bar stands within the frame.
  const domainMax = 1.18 * Math.max(...values.map(({ average }) => average));
  const x = {
    field: "average",
    type: "quantitative",
    title: "average accuracy (%)",
    scale: { domainMax, nice: false },
  } as const;
  return {
    name: "averages",
    title: "Average accuracy",
    caption:
      "Mean over the tasks in percent. Not merged: the pretrained model, and each expert on its own task, which is what merging is to come near to.",
    ...bothSizes({
      height: { step: ROW_HEIGHT },
      data: { values },
      layer: [
        {
          mark: { type: "bar", cornerRadiusEnd: 3 },
          encoding: { y, x, color: { field: "kind", type: "nominal", scale: KINDS, title: null } },
        },
        {
          mark: { type: "text", align: "left", dx: 5 },
          encoding: { y, x, text: { field: "text" } },
        },
      ],
    }),
  };
}

/** A dot with its interval for every learned model, and a line at weight averaging. */
export function gainsFigure(gains: readonly LearnedGain[]): Figure | undefined {
  if (gains.length === 0) return undefined;
  const values = gains.map(({ method, points, interval: [low, high] }) => ({ method, points, low, high }));
  const y = namesAxis("method", LABELS);
  return {
    name: "gains",
    title: "Over weight averaging",
    caption: "Difference to weight averaging in points, paired by example, with its 95 % bootstrap interval.",
    ...bothSizes({
      height: { step: ROW_HEIGHT },
      layer: [
        {
          data: { values },
          mark: { type: "rule", strokeWidth: 3, color: "#2f7ed8" },
          encoding: {
            y,
            x: { field: "low", type: "quantitative", title: "points over averaging" },
            x2: { field: "high" },
          },
        },
        {
          data: { values },
          mark: { type: "point", filled: true, size: 90, opacity: 1, color: "#2f7ed8" },
          encoding: { y, x: { field: "points", type: "quantitative" } },
        },
        {
          data: { values: [{ zero: 0 }] },
          mark: { type: "rule", color: "currentColor", strokeDash: [5, 4] },
          encoding: { x: { field: "zero", type: "quantitative" } },
        },
      ],
    }),
  };
}
