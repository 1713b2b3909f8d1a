/** Every coefficient as a coloured cell: tasks against groups in the model's order; on narrow screens the groups go down. K tasks, L groups. */
import type { Figure } from "../plot.js";
import type { RunReport } from "../run-report.js";
import { NARROW, WIDE } from "./figure-size.js";

const CELL = 20;
/** Width in px that a group's name needs; groups of less are named by their blocks. */
const NAMED_CELL = 10;
const NARROW_NAMED_CELL = 11;
const NARROW_CELL = 6;
/** What names of tasks and groups may take of the width. */
const LABELS = 110;
const COLORS = { scheme: "viridis" } as const;
/** Blocks that are named when not all are. */
const MOST_NAMED_BLOCKS = 13;

export function heatMapFigure({ coefficients, examples }: RunReport): Figure | undefined {
  if (coefficients === undefined || coefficients.groups.length < 2) return undefined;
  const { tasks, groups, values } = coefficients;
  const cells = values.flatMap((row, k) =>
    row.map((value, l) => ({ task: tasks[k], group: shortName(groups[l] ?? ""), coefficient: value })),
  );
  const names = groups.map(shortName);
  const width = WIDE - LABELS - 60;
  const wideAxis =
    width / groups.length >= NAMED_CELL
      ? ({ labelFontSize: 9, labelAngle: -90, labelLimit: 220, labelOverlap: false } as const)
      : blockAxis(names);
  const narrowCell = groups.length <= 60 ? NARROW_NAMED_CELL : NARROW_CELL;
  const narrowAxis =
    narrowCell === NARROW_NAMED_CELL
      ? ({ labelFontSize: 9, labelLimit: LABELS + 50, labelOverlap: false } as const)
      : blockAxis(names);
  const group = { field: "group", type: "ordinal", sort: null, title: null } as const;
  const task = { field: "task", type: "ordinal", sort: null, title: null } as const;
  const color = { field: "coefficient", type: "quantitative", scale: COLORS, title: "lambda" } as const;
  return {
    name: "coefficients",
    title: "Coefficients",
    caption: `How much of each task vector goes into each of the ${groups.length} groups, in the model's order from the ${examples} to the features.`,
    spec: {
      width,
      height: { step: CELL },
      data: { values: cells },
      mark: { type: "rect" },
      encoding: { x: { ...group, axis: wideAxis }, y: task, color },
    },
    narrow: {
      width: NARROW - LABELS - 60,
      height: { step: narrowCell },
      data: { values: cells },
      mark: { type: "rect" },
      encoding: {
        y: { ...group, axis: narrowAxis },
        x: { ...task, axis: { orient: "top", labelAngle: -60, labelLimit: LABELS } },
        color: { ...color, legend: { orient: "bottom", gradientLength: NARROW - LABELS - 60 } },
      },
    },
  };
}

/** A tensor's name without what all names of a tower share. */
function shortName(group: string): string {
  return group.replace(/^\w*model\./, "").replace(/^encoder\.layers?\./, "");
}

/** An axis that names the first group of each block, where names begin with the block's number; else one without names. */
function blockAxis(names: readonly string[]) {
  const blocks = names.map((name) => /^\d+(?=\.)/.exec(name)?.[0]);
  const firsts = names.filter((_, index) => blocks[index] !== undefined && blocks[index] !== blocks[index - 1]);
  const every = Math.ceil(firsts.length / MOST_NAMED_BLOCKS);
  return {
    values: firsts.filter((_, index) => index % every === 0),
    labelExpr: "'block ' + split(datum.value, '.')[0]",
    labelAngle: 0,
    labelOverlap: false,
  } as const;
}
