/** Figures of quantities against the step: accuracy, entropy, mean coefficients. */
import { objectiveNames } from "../../config/stages.js";
import { objectiveFactsOf, objectiveLabel, objectiveTitles } from "../../objective/catalog.js";
import { FORMER_OBJECTIVE_METRIC, objectiveMetric } from "../../track/metrics.js";
import type { Figure } from "../plot.js";
import { type CurvePoint, curves, type RunReport } from "../run-report.js";
import { bothSizes } from "./figure-size.js";
import { stageLayers } from "./stage-lines.js";

export const HEIGHT = 340;
/** A batch curve is smoothed over this share of the steps. */
const SMOOTHED_SHARE = 1 / 25;

/** Accuracy of every task and their average, with the averages of the other rows as dashed lines. */
export function accuracyFigure(report: RunReport): Figure | undefined {
  const perTask = curves(report, "eval/acc");
  if (new Set(perTask.map(({ step }) => step)).size < 2) return undefined;
  const average = report.metrics.flatMap((line) =>
    line["eval/acc"] === undefined ? [] : [{ step: line.step ?? 0, value: line["eval/acc"] }],
  );
  const baselines = (report.summary?.rows ?? []).slice(0, -1).map(({ method, average: value }) => ({ method, value }));
  const stages = stageLayers(report.config);
  return {
    name: "accuracy",
    title: "Accuracy",
    caption: `Accuracy on \`${report.config.data.eval_split}\` against the step: each task, and their average as the thick line. Dashed: the averages of what the fit is read against.${stages.caption}`,
    ...bothSizes({
      height: HEIGHT,
      layer: [
        {
          data: { values: perTask },
          mark: { type: "line", point: { size: 18 }, strokeWidth: 1.5 },
          encoding: { x: stepAxis, y: { ...valueAxis, title: "accuracy (%)" }, color: taskColor },
        },
        {
          data: { values: average },
          mark: { type: "line", color: "currentColor", strokeWidth: 3 },
          encoding: { x: stepAxis, y: valueAxis },
        },
        {
          data: { values: baselines },
          mark: { type: "rule", color: "currentColor", opacity: 0.75, strokeWidth: 1.5 },
          encoding: { y: { field: "value", type: "quantitative" }, strokeDash: baselineDash },
        },
        ...stages.layers,
      ],
    }),
  };
}

/** The objective of every task on the batches it was minimised on. */
export function objectiveFigure(report: RunReport): Figure | undefined {
  const { config } = report;
  // Runs that were begun by former versions have the values of any objective under entropy's name.
  const names = new Set([FORMER_OBJECTIVE_METRIC, ...objectiveNames(config).map(objectiveMetric)]);
  const values = [...names].flatMap((metric) => curves(report, metric));
  if (values.length === 0) return undefined;
  const { half, transform } = smoothing(values);
  const label = objectiveTitles(config, (name) => objectiveFactsOf(name).label);
  const stages = stageLayers(config);
  const mark = { type: "line", strokeWidth: 1.5 } as const;
  const encoding = {
    x: stepAxis,
    y: { field: "mean", type: "quantitative", title: objectiveTitles(config, objectiveLabel) },
    color: taskColor,
  } as const;
  return {
    name: "objective",
    title: `Objective: ${label}`,
    caption: `The ${label} of each task on the batches it was minimised on${half > 0 ? `, as the mean over ${2 * half + 1} steps` : ""}.${stages.caption}`,
    ...bothSizes({
      height: HEIGHT,
      ...(stages.layers.length === 0
        ? { data: { values }, transform, mark, encoding }
        : { layer: [{ data: { values }, transform, mark, encoding }, ...stages.layers] }),
    }),
  };
}

/** `mean` of the `value` of each task over `half` steps to either side, as Vega-Lite makes it of points. */
export function smoothing(points: readonly Pick<CurvePoint, "step">[]) {
  const half = Math.floor((points.reduce((last, { step }) => Math.max(last, step), 0) * SMOOTHED_SHARE) / 2);
  const mean = { op: "mean", field: "value", as: "mean" } as const;
  return {
    half,
    transform: [{ sort: [{ field: "step" as const }], window: [mean], frame: [-half, half], groupby: ["task"] }],
  };
}

export const stepAxis = { field: "step", type: "quantitative", title: "step" } as const;
export const valueAxis = { field: "value", type: "quantitative", scale: { zero: false } } as const;
/** Each baseline has its own, and none a whole line. */
const DASHES: number[][] = [
  [6, 3],
  [2, 3],
  [10, 3, 2, 3],
  [1, 5],
  [12, 5],
  [6, 2, 2, 2],
];
const baselineDash = {
  field: "method",
  type: "nominal",
  sort: null,
  title: null,
  scale: { range: DASHES },
  legend: { symbolType: "stroke", symbolStrokeColor: "currentColor", orient: "top" },
} as const;
/** Tasks in the order of the suite. */
export const taskColor = { field: "task", type: "nominal", title: null, sort: null } as const;
