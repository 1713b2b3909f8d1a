/** Figures of an experiment's table: averages with their intervals, every task, and averages along the fits. */
import type { Figure } from "../plot.js";
import { WIDTH } from "./curves.js";

/** A row of the table as figures see it. */
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

const ROW_HEIGHT = 17;
/** Rows have long names. */
const LONG_LABELS = { axis: { labelLimit: 340 }, legend: { labelLimit: 340 } } as const;

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
  const y = { field: "label", type: "nominal", sort: null, title: null } as const;
  const color = { field: "needs", type: "nominal", title: "needs", sort: null } as const;
  return {
    name: "averages",
    title: "Average accuracy",
    caption: `Mean over the tasks in percent, with the 95 % bootstrap interval over ${examples}. Colours are classes of equal needs: only rows of one colour compete.`,
    spec: {
      config: LONG_LABELS,
      width: WIDTH - 160,
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
          mark: { type: "point", filled: true, size: 50, opacity: 1 },
          encoding: { y, x: { field: "average", type: "quantitative" }, color },
        },
      ],
    },
  };
}

/** Rows by tasks, coloured by accuracy. */
export function tasksFigure(rows: readonly ExperimentFigureRow[]): Figure | undefined {
  if (rows.length < 2) return undefined;
  const values = rows.flatMap(({ label, tasks }) =>
    Object.entries(tasks).map(([task, accuracy]) => ({ label, task, accuracy, text: accuracy.toFixed(0) })),
  );
  const x = {
    field: "task",
    type: "nominal",
    sort: null,
    title: null,
    axis: { orient: "top", labelAngle: -35 },
  } as const;
  const y = { field: "label", type: "nominal", sort: null, title: null } as const;
  return {
    name: "tasks",
    title: "Every task",
    caption: "Accuracy in percent of every row on every task.",
    spec: {
      config: LONG_LABELS,
      width: WIDTH - 200,
      height: { step: ROW_HEIGHT },
      data: { values },
      layer: [
        {
          mark: "rect",
          encoding: {
            x,
            y,
            color: { field: "accuracy", type: "quantitative", scale: { scheme: "viridis" }, title: "%" },
          },
        },
        {
          mark: { type: "text", fontSize: 10 },
          encoding: {
            x,
            y,
            text: { field: "text" },
            color: { condition: { test: "datum.accuracy > 60", value: "#111" }, value: "#eee" },
          },
        },
      ],
    },
  };
}

/** The average against the step, a line for every row that fits, and dashed what others report for it. */
export function stepsFigure(rows: readonly ExperimentFigureRow[], examples: string): Figure | undefined {
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
    caption:
      `Average accuracy on the judged ${examples} against the step, as the mean over suites and seeds. Nothing was chosen by these curves.` +
      (theirs.length > 0 ? ` Dashed: as others report it, on their checkpoints and ${examples}.` : ""),
    spec: {
      config: LONG_LABELS,
      width: WIDTH,
      height: 320,
      data: { values: [...ours, ...theirs] },
      mark: { type: "line", point: { size: 18 }, strokeWidth: 1.5 },
      encoding: {
        x: { field: "step", type: "quantitative", title: "step" },
        y: { field: "average", type: "quantitative", scale: { zero: false }, title: "average accuracy (%)" },
        color: { field: "label", type: "nominal", title: null, sort: null },
        ...(theirs.length > 0 ? { strokeDash } : {}),
      },
    },
  };
}
