/** Figures of a sweep: every trial as a path over its parameters, and the metric against each parameter. */
import type { Figure } from "../plot.js";
import { bothSizes } from "./figure-size.js";

/** Lines are to be seen on white and on black, so neither end is dark or pale. */
const LINE_COLORS = ["#9a6fd0", "#4a8fe0", "#26a884", "#c9a400"];
/** Names of values with more letters stand aslant. */
const LEVEL_LABEL = 8;

/** A trial that has reached a rung. */
export interface TrialPoint {
  readonly trial: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly value: number;
}

export interface SweepFigureData {
  readonly metric: string;
  readonly goal: "maximize" | "minimize";
  readonly points: readonly TrialPoint[];
}

/** The keys that vary among the trials. */
function varying({ points }: SweepFigureData): string[] {
  const keys = [...new Set(points.flatMap(({ parameters }) => Object.keys(parameters)))];
  return keys.filter((key) => new Set(points.map(({ parameters }) => label(parameters[key]))).size > 1);
}

const label = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value) ?? "-"));

/** Parallel coordinates: parameters at the places of their distinct values, the metric last and to scale. */
export function pathsFigure(data: SweepFigureData): Figure | undefined {
  const keys = varying(data);
  if (keys.length === 0 || data.points.length < 2) return undefined;
  const places = new Map(keys.map((key) => [key, placesOf(data.points.map(({ parameters }) => parameters[key]))]));
  const values = data.points.map(({ value }) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const vertices = data.points.flatMap(({ trial, parameters, value }) => [
    ...keys.map((key) => ({ trial, value, axis: key, place: places.get(key)?.get(label(parameters[key])) ?? 0 })),
    { trial, value, axis: data.metric, place: high === low ? 0.5 : (value - low) / (high - low) },
  ]);
  const labels = [
    ...keys.flatMap((key) =>
      thinned([...(places.get(key) ?? [])]).map(([text, place]) => ({ axis: key, place, text })),
    ),
    { axis: data.metric, place: 0, text: low.toFixed(2) },
    { axis: data.metric, place: 1, text: high.toFixed(2) },
  ];
  const x = {
    field: "axis",
    type: "ordinal",
    sort: [...keys, data.metric],
    title: null,
    axis: { labelAngle: 0, labelLimit: 130, labelExpr: "split(datum.value, '.')" },
  } as const;
  const y = { field: "place", type: "quantitative", axis: null } as const;
  return {
    name: "paths",
    title: "Trials as paths",
    caption: `Each line is a trial: through its values, in the order of their size, to its ${data.metric}, by which it is coloured.`,
    ...bothSizes({
      height: 320,
      layer: [
        {
          data: { values: vertices },
          mark: { type: "line", opacity: 0.75, strokeWidth: 1.5 },
          encoding: {
            x,
            y,
            detail: { field: "trial" },
            color: {
              field: "value",
              type: "quantitative",
              scale: { range: LINE_COLORS, zero: false },
              title: data.metric,
            },
          },
        },
        {
          data: { values: labels },
          mark: { type: "text", align: "left", dx: 5, fontSize: 10, color: "currentColor" },
          encoding: { x, y, text: { field: "text" } },
        },
      ],
    }),
  };
}

/** The metric against each parameter, one panel each. */
export function parametersFigure(data: SweepFigureData): Figure | undefined {
  const keys = varying(data);
  if (keys.length === 0) return undefined;
  const panels = (columns: number, width: number): Figure["spec"] => ({
    columns,
    concat: keys.map((key) => {
      const points = data.points.map(({ parameters, value }) => ({ x: parameters[key], value }));
      const numbers = points.map(({ x }) => x).filter((x) => typeof x === "number");
      const isNumeric = numbers.length === points.length && new Set(numbers).size > 6;
      const isLogarithmic = isNumeric && Math.min(...numbers) > 0 && Math.max(...numbers) / Math.min(...numbers) > 50;
      return {
        width,
        height: 160,
        data: { values: points.map(({ x, value }) => ({ x: isNumeric ? x : label(x), value })) },
        mark: { type: "point" as const, filled: true, opacity: 0.85, size: 45, color: "#4a8fe0" },
        encoding: {
          x: isNumeric
            ? {
                field: "x",
                type: "quantitative" as const,
                title: key,
                scale: { zero: false, type: isLogarithmic ? ("log" as const) : ("linear" as const) },
              }
            : {
                field: "x",
                type: "ordinal" as const,
                title: key,
                axis: { labelAngle: points.every(({ x }) => label(x).length <= LEVEL_LABEL) ? 0 : -40 },
                sort: [...placesOf(points.map(({ x }) => x)).keys()],
              },
          y: { field: "value", type: "quantitative" as const, title: data.metric, scale: { zero: false } },
        },
      };
    }),
  });
  return {
    name: "parameters",
    title: "Each parameter by itself",
    caption: `The ${data.metric} of every trial against each parameter that varies.`,
    spec: panels(3, 230),
    narrow: panels(1, 310),
  };
}

/** Distinct values by label, spread over 0..1 in the order of their size. */
function placesOf(values: readonly unknown[]): Map<string, number> {
  const distinct = [...new Map(values.map((value) => [label(value), value])).entries()];
  distinct.sort(([leftLabel, left], [rightLabel, right]) =>
    typeof left === "number" && typeof right === "number" ? left - right : leftLabel.localeCompare(rightLabel),
  );
  const last = Math.max(1, distinct.length - 1);
  return new Map(distinct.map(([text], index) => [text, distinct.length === 1 ? 0.5 : index / last]));
}

/** First, last and some between: labels of random draws would lie on each other. */
function thinned<T>(entries: readonly T[]): T[] {
  const every = Math.ceil(entries.length / 8);
  return entries.filter((_, index) => index % every === 0 || index === entries.length - 1);
}
