/** Figures of rows that vary: the average against the first setting, a line for every row and combination of the others. */
import type { Figure } from "../plot.js";
import { bothSizes } from "./figure-size.js";

/** A line of a table that stands on a curve. */
export interface CurvePoint {
  /** The setting on the horizontal axis, by its dotted key. */
  readonly key: string;
  /** Its value for the axis, and what tells this curve from others of the row. */
  readonly x: string;
  readonly series: string;
  /** Percent. */
  readonly average: number;
  readonly interval: readonly [number, number];
  /** Averages over some of the tasks, by name; percent. */
  readonly parts: Readonly<Record<string, number>>;
}

const LEGEND = { orient: "bottom", symbolOpacity: 1 } as const;
const ONE = { columns: 1, labelLimit: 330 } as const;

/** One figure for each setting that varies; several points of a curve at one value are joined by their mean. */
export function settingsCurves(points: readonly CurvePoint[], examples: string): Figure[] {
  const keys = [...new Set(points.map(({ key }) => key))];
  return keys.map((key) =>
    curveFigure(
      key,
      points.filter((point) => point.key === key),
      examples,
    ),
  );
}

function curveFigure(key: string, points: readonly CurvePoint[], examples: string): Figure {
  const parts = [...new Set(points.flatMap((point) => Object.keys(point.parts)))];
  const values = points.flatMap((point) => {
    const [low, high] = point.interval;
    const whole = { x: point.x, series: point.series, part: "all judged tasks", average: point.average, low, high };
    const of = Object.entries(point.parts).map(([part, average]) => ({
      ...whole,
      part,
      average,
      low: null,
      high: null,
    }));
    return [whole, ...of];
  });
  const x = { field: "x", type: "ordinal", sort: null, title: key, axis: { labelAngle: 0 } } as const;
  const color = { field: "series", type: "nominal", sort: null, title: null, legend: { labelLimit: 330 } } as const;
  const scale = { zero: false } as const;
  const layer = [
    {
      mark: { type: "rule", opacity: 0.35, strokeWidth: 1.5 },
      encoding: { x, color, y: { field: "low", type: "quantitative", scale }, y2: { field: "high" } },
    },
    {
      mark: { type: "line", strokeWidth: 1.5 },
      encoding: {
        x,
        color,
        y: { field: "average", aggregate: "mean", type: "quantitative", scale, title: "average accuracy (%)" },
      },
    },
    {
      mark: { type: "point", filled: true, size: 30, opacity: 1 },
      encoding: { x, color, y: { field: "average", type: "quantitative" } },
    },
  ] as const;
  const panels = (columns: number, width: number): Figure["spec"] => ({
    data: { values },
    facet: { field: "part", type: "nominal", sort: null, title: null },
    columns,
    spec: { width, height: 260, layer: [...layer] },
    config: { legend: { columns, ...LEGEND } },
  });
  return {
    name: `against-${key.replaceAll(/[^\w]+/g, "-")}`,
    title: `Against ${key}`,
    caption: `Average accuracy on the judged ${examples}; bars are 95 % bootstrap intervals over ${examples}. A line joins means where several models stand at one value.`,
    ...(parts.length === 0
      ? bothSizes(
          { height: 300, data: { values }, layer: [...layer], config: { legend: { columns: 2, ...LEGEND } } },
          ONE,
        )
      : { spec: panels(2, 360), narrow: panels(1, 300) }),
  };
}
