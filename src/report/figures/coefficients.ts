/** Figures of the coefficients: heat map, mean by block, trajectories. K tasks, L groups. */
import { blockIndex } from "../../merge/depth.js";
import type { Figure } from "../plot.js";
import type { RunReport } from "../run-report.js";
import { taskColor, WIDTH } from "./curves.js";

const CELL = 18;
/** Groups need at least this much width each for their names to be legible. */
const NAMED_CELL = 12;
const COLORS = { scheme: "viridis" } as const;

/** Every coefficient: tasks against groups in the model's order. */
export function heatMapFigure({ coefficients, examples }: RunReport): Figure | undefined {
  if (coefficients === undefined || coefficients.groups.length < 2) return undefined;
  const { tasks, groups, values } = coefficients;
  const cells = values.flatMap((row, k) =>
    row.map((value, l) => ({ task: tasks[k], group: shortName(groups[l] ?? ""), coefficient: value })),
  );
  return {
    name: "coefficients",
    title: "Coefficients",
    caption: `How much of each task vector goes into each of the ${groups.length} groups, in the model's order from the ${examples} to the features.`,
    spec: {
      width: { step: Math.max(NAMED_CELL, WIDTH / groups.length) },
      height: { step: CELL },
      data: { values: cells },
      mark: { type: "rect" },
      encoding: {
        x: {
          field: "group",
          type: "ordinal",
          sort: null,
          title: null,
          axis: { labelFontSize: 8, labelAngle: -90, labelLimit: 300 },
        },
        y: { field: "task", type: "ordinal", sort: null, title: null },
        color: { field: "coefficient", type: "quantitative", scale: COLORS, title: "lambda" },
      },
    },
  };
}

/** A tensor's name without what all names of a tower share. */
function shortName(group: string): string {
  return group.replace(/^\w*model\./, "").replace(/^encoder\.layers?\./, "");
}

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
    spec: {
      width: WIDTH,
      height: 280,
      data: { values: [...sums.values()].map(({ part, task, total, count }) => ({ part, task, mean: total / count })) },
      mark: { type: "line", point: true },
      encoding: {
        x: { field: "part", type: "ordinal", sort: order, title: null, axis: { labelAngle: -45 } },
        y: { field: "mean", type: "quantitative", title: "mean lambda", scale: { zero: false } },
        color: taskColor,
      },
    },
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
  const x = { field: "step", type: "quantitative", title: "step" } as const;
  const area = (low: string, high: string, opacity: number) => ({
    mark: { type: "area" as const, opacity },
    encoding: { x, y: { field: low, type: "quantitative" as const, title: "lambda" }, y2: { field: high } },
  });
  return {
    name: "trajectories",
    title: "Coefficients against the step",
    caption: "Per task the mean coefficient, the range of the middle 80 % and the whole range over the groups.",
    spec: {
      data: { values: bands },
      facet: { field: "task", type: "nominal", sort: [...coefficients.tasks], title: null },
      columns: 4,
      spec: {
        width: 150,
        height: 110,
        layer: [
          area("least", "most", 0.15),
          area("low", "high", 0.35),
          {
            mark: { type: "line", color: "currentColor" },
            encoding: { x, y: { field: "mean", type: "quantitative" } },
          },
        ],
      },
    },
  };
}
