/** Figures of rows of models: averages with their intervals, every task, and averages along the fits. */
import type { Figure } from "../plot.js";
import { bothSizes } from "./figure-size.js";
import { namesAxis, taskGrid } from "./named-rows.js";

/** A row of a table as figures see it. */
export interface ExperimentFigureRow {
  /** Unique. */
  readonly label: string;
  /** What the row needed; rows of one class may be compared. */
  readonly class: string;
  /** Percent. */
  readonly average: number;
  readonly interval: readonly [number, number];
  readonly tasks: Readonly<Record<string, number>>;
  /** Mean average along the fits of the row; none of rows that do not fit. */
  readonly curve: readonly { readonly step: number; readonly average: number }[];
  /** What others report for the row; theirs along the fit, if they do, as pairs of step and average. */
  readonly reported: readonly { readonly by: string; readonly curve: readonly (readonly [number, number])[] }[];
}

const ROW_HEIGHT = 18;
/** Rows have long names; on narrow screens they are cut, and shown whole when pointed at. */
const LABELS = 290;
const NARROW_LABELS = 140;
/** Of the range of accuracies, above which the colour of a cell is light. */
const LIGHT_FROM = 0.6;
/** A cell with a number needs this much. */
const NUMBER_CELL = 20;

/** A dot with its interval for every row, in the order of the table. */
export function averagesFigure(rows: readonly ExperimentFigureRow[], examples: string): Figure | undefined {
  if (rows.length < 2) return undefined;
  const values = rows.map(({ label, class: needs, average, interval: [low, high] }) => ({
    label,
    needs,
    average,
    low,
    high,
  }));
  const color = { field: "needs", type: "nominal", title: "needs", sort: null } as const;
  const sized = (labels: number) => {
    const y = namesAxis("label", labels);
    return bothSizes(
      {
        height: { step: ROW_HEIGHT },
        data: { values },
        layer: [
          {
            mark: { type: "rule", strokeWidth: 2 },
            encoding: {
              y,
              x: { field: "low", type: "quantitative", scale: { zero: false }, title: "average accuracy (%)" },
              x2: { field: "high" },
              color,
            },
          },
          {
            mark: { type: "point", filled: true, size: 55, opacity: 1 },
            encoding: { y, x: { field: "average", type: "quantitative" }, color },
          },
        ],
      },
      { columns: 1, labelLimit: LABELS },
    );
  };
  return {
    name: "averages",
    title: "Average accuracy",
    caption: `Mean over the tasks in percent, with the 95 % bootstrap interval over ${examples}. Colours are classes of equal needs: only rows of one colour compete.`,
    spec: sized(LABELS).spec,
    narrow: sized(NARROW_LABELS).narrow,
  };
}

/** Rows by tasks, coloured by accuracy. */
export function tasksFigure(
  rows: readonly Pick<ExperimentFigureRow, "label" | "tasks">[],
  what = "row",
): Figure | undefined {
  if (rows.length < 2) return undefined;
  const all = rows.flatMap(({ tasks }) => Object.values(tasks)).filter(Number.isFinite);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const values = rows.flatMap(({ label, tasks }) =>
    Object.entries(tasks).map(([task, accuracy]) => ({
      label,
      task,
      accuracy,
      text: accuracy.toFixed(0),
      isLight: accuracy > low + LIGHT_FROM * (high - low),
    })),
  );
  return {
    name: "tasks",
    title: "Every task",
    caption: `Accuracy in percent of every ${what} on every task.`,
    ...taskGrid({
      ...{ values, rows: rows.length, rowHeight: ROW_HEIGHT, field: "accuracy", title: "%" },
      ...{ cell: { type: "rect" }, labels: [LABELS, NARROW_LABELS], taskLimit: 90, numberCell: NUMBER_CELL },
      numbers: [
        { mark: { type: "text" }, color: { condition: { test: "datum.isLight", value: "#111" }, value: "#eee" } },
      ],
    }),
  };
}

/** The average against the step, a line for every row that fits, and dashed what others report for it. */
export function stepsFigure(
  rows: readonly Pick<ExperimentFigureRow, "label" | "curve" | "reported">[],
  caption: string,
): Figure | undefined {
  const fitted = rows.filter(({ curve }) => curve.length > 1);
  if (fitted.length === 0) return undefined;
  const ours = fitted.flatMap(({ label, curve }) => curve.map((point) => ({ label, of: "here", ...point })));
  const theirs = fitted.flatMap(({ label, reported }) =>
    reported.flatMap(({ by, curve }) => curve.map(([step, average]) => ({ label, of: by, step, average }))),
  );
  const strokeDash = {
    field: "of",
    type: "nominal",
    sort: null,
    title: null,
    legend: { symbolType: "stroke" },
  } as const;
  return {
    name: "steps",
    title: "Along the fits",
    caption: caption + (theirs.length > 0 ? " Dashed: as others report it, on their own checkpoints." : ""),
    ...bothSizes(
      {
        height: 360,
        data: { values: [...ours, ...theirs] },
        mark: { type: "line", point: { size: 18 }, strokeWidth: 1.5 },
        encoding: {
          x: { field: "step", type: "quantitative", title: "step" },
          y: { field: "average", type: "quantitative", scale: { zero: false }, title: "average accuracy (%)" },
          color: { field: "label", type: "nominal", title: null, sort: null },
          ...(theirs.length > 0 ? { strokeDash } : {}),
        },
      },
      { columns: 1, labelLimit: LABELS },
    ),
  };
}
