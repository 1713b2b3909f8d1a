/** Curves of a table's rows: a fit's accuracy along its steps, and rows that vary as points of curves. */
import type { CurvePoint } from "../report/figures/settings-curves.js";
import { mean } from "../report/statistics.js";
import type { CellResult } from "./results.js";
import type { TableRow } from "./table-row.js";
import { lastPart, pointText, valueText } from "./vary.js";

/** The mean over the runs at every step that was evaluated. */
export function meanCurve(results: readonly CellResult[]): TableRow["curve"] {
  const curves = results.flatMap(({ curve }) => (curve === undefined ? [] : [curve]));
  if (curves.length === 0) return null;
  const steps = [...new Set(curves.flatMap((curve) => curve.map(({ step }) => step)))].sort((a, b) => a - b);
  return steps.map((step) => ({
    step,
    average: mean(
      curves.flatMap((curve) => curve.filter((point) => point.step === step).map(({ average }) => average)),
    ),
  }));
}

/** Where the curve is highest, and how far its end lies below. */
export function bestStep(curve: NonNullable<TableRow["curve"]>): TableRow["best"] {
  const top = curve.reduce((best, point) => (point.average > best.average ? point : best));
  return { ...top, regret: top.average - (curve.at(-1)?.average ?? top.average) };
}

/**
 * The rows that vary as points of curves: the first setting is the axis, the others tell curves of one row apart. Those that follow from the
 * first, as in a list of points in which two change together, do not.
 */
export function curvePoints(rows: readonly TableRow[]): CurvePoint[] {
  return rows.flatMap((row) => {
    const [[key, value] = [], ...others] = Object.entries(row.point ?? {});
    if (key === undefined) return [];
    const sameCurves = rows.filter(({ method, adapted }) => method === row.method && adapted === row.adapted);
    const telling = others.filter(([other]) => !followsFrom(key, other, sameCurves));
    const names = [row.method, row.adapted, pointText(Object.fromEntries(telling))];
    const parts = Object.entries(row.averages).flatMap(([name, part]): [string, number][] =>
      part === null ? [] : [[name, part]],
    );
    return {
      key: lastPart(key),
      x: valueText(value),
      series: names.filter((name) => name !== null && name !== "").join(" "),
      average: row.average,
      interval: row.interval,
      parts: Object.fromEntries(parts),
    };
  });
}

/** Whether rows with one value of `key` all have one value of `other`. */
function followsFrom(key: string, other: string, rows: readonly TableRow[]): boolean {
  const found = new Map<string, string>();
  return rows.every(({ point }) => {
    const [at, value] = [JSON.stringify(point?.[key]), JSON.stringify(point?.[other])];
    const known = found.get(at) ?? value;
    found.set(at, known);
    return known === value;
  });
}
