/** The two tables of an experiment's report: accuracies, and what each row needed to get there. */
import type { ExperimentFigureRow } from "./figures/experiment.js";
import { type Column, dataTable, differenceCell, numberCell, settingsCell, shareIn } from "./page/data-table.js";
import { fixed, grouped, NONE, settingText, signed } from "./page/numbers.js";

/** A row of an experiment's table, as far as its report shows it. */
export interface ExperimentRow extends ExperimentFigureRow {
  readonly method: string;
  readonly setting: string;
  readonly adapted: string | null;
  readonly deviation: number;
  readonly runs: number;
  readonly suites: number;
  readonly worst: number;
  /** Percent of the experts' accuracies. */
  readonly normalized: number | null;
  /** To weight averaging, in points. */
  readonly gain: { readonly points: number; readonly interval: readonly [number, number] } | null;
  readonly tasksBelow: number | null;
  readonly best: { readonly step: number; readonly average: number } | null;
  readonly reported: readonly {
    readonly by: string;
    readonly curve: readonly (readonly [number, number])[];
    readonly average?: number | null | undefined;
    readonly difference: number | null;
  }[];
  readonly averages: Readonly<Record<string, number | null>>;
  readonly rank: number | null;
  readonly labels: string;
  readonly images: number;
  readonly imagesUnique: number | null;
  readonly extraBytes: number | null;
  readonly entropy: number | null;
  readonly calibration: number | null;
  readonly seconds: number;
  readonly evaluations: number;
  readonly settings: Readonly<Record<string, unknown>>;
}

const kind = (row: ExperimentRow): "aside" | undefined => (row.class === "reference" ? "aside" : undefined);

/** Which row it is. */
const naming: Column<ExperimentRow> = { heading: "row", cell: ({ label }) => label };

/** How it was set up: after the numbers that a reader came for. */
function setupColumns(): Column<ExperimentRow>[] {
  return [
    {
      heading: "needs",
      group: "set up",
      tip: "What the row had to know; rows compete with those of the same needs",
      isChoice: true,
      cell: (row) => row.class,
    },
    {
      heading: "setting",
      group: "set up",
      tip: "published: as the method's authors have it; val: chosen on val; oracle: chosen on the judged examples",
      isChoice: true,
      cell: (row) => (row.class === "reference" ? NONE : row.setting),
    },
    {
      heading: "adapted",
      group: "set up",
      tip: "Whether the examples adapted on are those judged",
      isChoice: true,
      cell: ({ adapted }) => adapted ?? NONE,
    },
  ];
}

export function accuracyTable(rows: readonly ExperimentRow[]): string {
  const tasks = [...new Set(rows.flatMap((row) => Object.keys(row.tasks)))];
  const parts = [...new Set(rows.flatMap((row) => Object.keys(row.averages)))];
  const others = [...new Set(rows.flatMap(({ reported }) => reported.map(({ by }) => by)))];
  const share = shareIn(rows.map(({ average }) => average));
  const best = "highest" as const;
  const columns: Column<ExperimentRow>[] = [
    naming,
    {
      heading: "average",
      group: "over the tasks",
      tip: "Mean over the tasks, in percent",
      isNumber: true,
      best,
      cell: ({ average }) => numberCell(average, 1, share(average)),
    },
    {
      heading: "to averaging",
      group: "over the tasks",
      tip: "Difference to weight averaging in points, paired by example",
      isNumber: true,
      cell: ({ gain }) => differenceCell(gain?.points),
    },
    {
      heading: "% of experts",
      group: "over the tasks",
      tip: "Mean over the tasks of the accuracy as a share of the expert's",
      isNumber: true,
      best,
      cell: ({ normalized }) => numberCell(normalized),
    },
    {
      heading: "worst",
      group: "over the tasks",
      tip: "Lowest accuracy of a task",
      isNumber: true,
      best,
      cell: ({ worst }) => numberCell(worst),
    },
    {
      heading: "rank",
      group: "over the tasks",
      tip: "Among rows that need the same, on as many suites",
      isNumber: true,
      cell: ({ rank }) => numberCell(rank, 0),
    },
    ...setupColumns(),
    ...parts.map(
      (part): Column<ExperimentRow> => ({
        heading: part,
        group: "some of the tasks",
        isNumber: true,
        best,
        cell: ({ averages }) => numberCell(averages[part]),
      }),
    ),
    ...tasks.map(
      (task): Column<ExperimentRow> => ({
        heading: task,
        group: "tasks",
        isNumber: true,
        best,
        cell: (row) => numberCell(Object.hasOwn(row.tasks, task) ? row.tasks[task] : undefined),
      }),
    ),
    ...certaintyColumns(),
    ...others.flatMap((by) => reportedColumns(by)),
  ];
  return dataTable({ label: "Accuracy in percent", rows, columns, kind, contest });
}

const contest = (row: ExperimentRow): string | undefined => (row.class === "reference" ? undefined : row.class);

function certaintyColumns(): Column<ExperimentRow>[] {
  const group = "certainty";
  return [
    {
      heading: "95 %",
      group,
      tip: "Bootstrap interval of the average",
      isNumber: true,
      cell: ({ interval: [low, high] }) => ({ text: `${low.toFixed(1)} to ${high.toFixed(1)}`, value: low }),
    },
    {
      heading: "of the difference",
      group,
      tip: "95 % interval of the difference to weight averaging, in points",
      isNumber: true,
      cell: ({ gain }) =>
        gain === null
          ? NONE
          : { text: `${signed(gain.interval[0])} to ${signed(gain.interval[1])}`, value: gain.interval[0] },
    },
    {
      heading: "sd",
      group,
      tip: "Standard deviation over suites and seeds, in points",
      isNumber: true,
      cell: ({ runs, deviation }) => (runs > 1 ? numberCell(deviation) : NONE),
    },
    {
      heading: "tasks below",
      group,
      tip: "Tasks on which weight averaging is better",
      isNumber: true,
      cell: ({ tasksBelow }) => numberCell(tasksBelow, 0),
    },
    {
      heading: "best step",
      group,
      tip: "Of the mean curve, with its average: chosen on the judged examples, so an oracle's",
      isNumber: true,
      cell: ({ best }) =>
        best === null ? NONE : { text: `${best.step}: ${best.average.toFixed(1)}`, value: best.step },
    },
  ];
}

function reportedColumns(by: string): Column<ExperimentRow>[] {
  const theirs = ({ reported }: ExperimentRow) => reported.find((entry) => entry.by === by);
  return [
    {
      heading: by,
      group: "as others report",
      tip: "The average that they report for the row",
      isNumber: true,
      cell: (row) => numberCell(theirs(row)?.average),
    },
    {
      heading: "ours less theirs",
      group: "as others report",
      isNumber: true,
      cell: (row) => differenceCell(theirs(row)?.difference),
    },
  ];
}

export function needsTable(rows: readonly ExperimentRow[], examples: string): string {
  const group = { labels: "labels", shown: examples, model: "the model", work: "work" } as const;
  const columns: Column<ExperimentRow>[] = [
    naming,
    ...setupColumns(),
    {
      heading: "for",
      group: group.labels,
      tip: "What labels were used for",
      isChoice: true,
      cell: ({ labels }) => labels,
    },
    {
      heading: "judgements",
      group: group.labels,
      tip: "Settings that were judged on labelled examples to choose these",
      isNumber: true,
      cell: ({ evaluations }) => wholeCell(evaluations),
    },
    {
      heading: "shown",
      group: group.shown,
      tip: `Unlabelled ${examples} given to the objective, per run`,
      isNumber: true,
      cell: ({ images }) => wholeCell(images),
    },
    {
      heading: "different",
      group: group.shown,
      tip: "How many of them are not the same",
      isNumber: true,
      cell: ({ imagesUnique }) => wholeCell(imagesUnique),
    },
    {
      heading: "extra KB",
      group: group.model,
      tip: "Stored beside one model",
      isNumber: true,
      cell: ({ extraBytes }) => wholeCell(extraBytes === null ? null : extraBytes / 1000),
    },
    {
      heading: "entropy",
      group: group.model,
      tip: "Mean entropy of its predictions, in nats",
      isNumber: true,
      cell: ({ entropy }) => numberCell(entropy, 3),
    },
    {
      heading: "calibration error",
      group: group.model,
      tip: "How far its certainty is from its accuracy, in percent (expected calibration error)",
      isNumber: true,
      best: "lowest",
      cell: ({ calibration }) => numberCell(calibration),
    },
    {
      heading: "runs",
      group: group.work,
      tip: "Over suites and seeds",
      isNumber: true,
      cell: ({ runs }) => wholeCell(runs),
    },
    {
      heading: "seconds",
      group: group.work,
      tip: "Of all runs of the row together",
      isNumber: true,
      cell: ({ seconds }) => wholeCell(seconds),
    },
    {
      heading: "settings",
      name: "settings",
      group: "settings",
      cell: ({ settings }) => settingsCell(textsOf(settings)),
    },
  ];
  return dataTable({ label: "What each row needed", rows, columns, kind, contest });
}

function wholeCell(value: number | null) {
  return value === null ? NONE : { text: grouped(Number(fixed(value, 0))), value };
}

/** By the last part of the key, which is what a reader knows a setting by. */
function textsOf(settings: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [key.replace(/^settings\./, ""), settingText(value)]),
  );
}
