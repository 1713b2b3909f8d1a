/** Figures of the coefficients: mean by block, trajectories. Every one of them is in heat-map.ts. K tasks, L groups. */
import { blockIndex } from "../../merge/depth.js";
import type { Figure } from "../plot.js";
import type { RunReport } from "../run-report.js";
import { taskColor } from "./curves.js";
import { bothSizes } from "./figure-size.js";

/** The mean coefficient of each task by depth. */
export function depthFigure({ coefficients }: RunReport): Figure | undefined {
  if (coefficients === undefined) return undefined;
  const { tasks, groups, values, groupOf } = coefficients;
  const tensors = Object.entries(groupOf);
  const depths = tensors.map(([tensor]) => blockIndex(tensor));
  const blocks = Math.max(-1, ...depths.flatMap((depth) => depth ?? []));
  if (blocks < 0 || groups.length < 2) return undefined;
  const firstBlock = depths.findIndex((depth) => depth !== undefined);
  const partOf = (index: number): string => {
    const depth = depths[index];
    return depth !== undefined ? `block ${depth}` : index < firstBlock ? "embeddings" : "after";
  };
  const sums = new Map<string, { part: string; task: string; total: number; count: number }>();
  for (const [k, task] of tasks.entries())
    for (const [index, [, group]] of tensors.entries()) {
      const part = partOf(index);
      const sum = sums.get(`${part}/${task}`) ?? { part, task, total: 0, count: 0 };
      sum.total += values[k]?.[groups.indexOf(group)] ?? 0;
      sum.count += 1;
      sums.set(`${part}/${task}`, sum);
    }
  const order = ["embeddings", ...Array.from({ length: blocks + 1 }, (_, block) => `block ${block}`), "after"];
  return {
    name: "depth",
    title: "Coefficients by depth",
    caption:
      "The mean coefficient over the tensors of each block; before the blocks the embeddings, after them the last norm and the projection. The paper finds larger coefficients in deeper layers.",
    ...bothSizes({
      height: 280,
      data: { values: [...sums.values()].map(({ part, task, total, count }) => ({ part, task, mean: total / count })) },
      mark: { type: "line", point: true },
      encoding: {
        x: { field: "part", type: "ordinal", sort: order, title: null, axis: { labelAngle: -45 } },
        y: { field: "mean", type: "quantitative", title: "mean lambda", scale: { zero: false } },
        color: taskColor,
      },
    }),
  };
}

/** Mean and spread of each task's coefficients against the step. */
export function trajectoryFigure({ coefficients, trajectory }: RunReport): Figure | undefined {
  if (coefficients === undefined || trajectory.length < 2) return undefined;
  const bands = trajectory.flatMap(({ step, values }) =>
    values.map((row, k) => {
      const sorted = [...row].sort((a, b) => a - b);
      const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))] ?? 0;
      const mean = row.reduce((sum, value) => sum + value, 0) / row.length;
      return { step, task: coefficients.tasks[k], mean, low: at(0.1), high: at(0.9), least: at(0), most: at(1) };
    }),
  );
  const x = { field: "step", type: "quantitative", title: "step", axis: { tickCount: 4 } } as const;
  const area = (low: string, high: string, opacity: number) => ({
    mark: { type: "area" as const, opacity },
    encoding: {
      x,
      y: { field: low, type: "quantitative" as const, title: "lambda", scale: { zero: false } },
      y2: { field: high },
    },
  });
  const panels = (columns: number, width: number): Figure["spec"] => ({
    data: { values: bands },
    facet: { field: "task", type: "nominal", sort: [...coefficients.tasks], title: null },
    columns,
    spec: {
      width,
      height: 120,
      layer: [
        area("least", "most", 0.15),
        area("low", "high", 0.35),
        { mark: { type: "line", color: "currentColor" }, encoding: { x, y: { field: "mean", type: "quantitative" } } },
      ],
    },
  });
  return {
    name: "trajectories",
    title: "Coefficients against the step",
    caption: "Per task the mean coefficient, the range of the middle 80 % and the whole range over the groups.",
    spec: panels(4, 190),
    narrow: panels(2, 145),
  };
}
