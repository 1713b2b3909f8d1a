/** Models by tasks: the average first, beside weight averaging and the experts, then every task; the best in bold. */
import {
  AVERAGING,
  EXPERTS,
  isEntropy,
  isReference,
  type ResultRow,
  rowOf,
  shareOfExperts,
  worstTask,
} from "../summary.js";
import { type Column, dataTable, differenceCell, numberCell, shareIn } from "./data-table.js";

const DECIMALS = 2;
/** Of entropies in nats. */
const ENTROPY_DECIMALS = 3;

export interface ResultsTable {
  /** What the rows are: "method", "run". */
  readonly heading: string;
  readonly rows: readonly ResultRow[];
  /** The rows that the report is about. */
  readonly own: ReadonlySet<string>;
  /** Further columns, before the tasks'. */
  readonly extra?: readonly Column<ResultRow>[];
}

export function resultsTable({ heading, rows, own, extra = [] }: ResultsTable): string {
  const naming: Column<ResultRow> = { heading, cell: ({ method }) => method };
  const [averages, decimals] = isEntropy(rows)
    ? [entropyColumns(), ENTROPY_DECIMALS]
    : [accuracyColumns(rows), DECIMALS];
  const best = isEntropy(rows) ? {} : ({ best: "highest" } as const);
  const tasks = tasksOf(rows).map((task) => ({ ...taskColumn(task, decimals), ...best }));
  const columns = [naming, ...averages, ...extra, ...tasks];
  return dataTable({
    label: isEntropy(rows) ? "Mean entropies" : "Accuracies in percent",
    columns,
    rows,
    contest: ({ method }) => (isReference(method) ? undefined : ""),
    kind: ({ method }) => (own.has(method) ? "own" : isReference(method) ? "aside" : undefined),
  });
}

/** How to read it. */
export function resultsHint(rows: readonly ResultRow[]): string {
  if (isEntropy(rows)) return "In nats. Lower is surer, which need not be better.";
  return "In percent. Bold: the best merged model; the pretrained model, the experts and a multi-task model do not compete.";
}

function entropyColumns(): Column<ResultRow>[] {
  return [
    {
      heading: "average",
      group: "entropy (nats)",
      isNumber: true,
      cell: ({ average }) => numberCell(average, ENTROPY_DECIMALS),
    },
  ];
}

function accuracyColumns(rows: readonly ResultRow[]): Column<ResultRow>[] {
  const share = shareIn(rows.map(({ average }) => average));
  const averaging = rowOf(rows, AVERAGING);
  const best = "highest" as const;
  const columns: Column<ResultRow>[] = [
    {
      heading: "average",
      group: "over the tasks",
      tip: "Mean accuracy over the tasks, in percent",
      isNumber: true,
      best,
      cell: ({ average }) => numberCell(average, DECIMALS, share(average)),
    },
  ];
  if (averaging !== undefined)
    columns.push({
      heading: "to averaging",
      group: "over the tasks",
      tip: "Difference of the average to weight averaging's, in points",
      isNumber: true,
      cell: ({ average }) => differenceCell(average - averaging.average),
    });
  if (rowOf(rows, EXPERTS) !== undefined)
    columns.push({
      heading: "% of experts",
      group: "over the tasks",
      tip: "Mean over the tasks of the accuracy as a share of the expert's",
      isNumber: true,
      best,
      cell: (row) => numberCell(shareOfExperts(row, rows), 1),
    });
  columns.push({
    heading: "worst",
    group: "over the tasks",
    tip: "Lowest accuracy of a task",
    isNumber: true,
    best,
    cell: (row) => numberCell(worstTask(row)?.value, DECIMALS),
  });
  return columns;
}

function tasksOf(rows: readonly ResultRow[]): string[] {
  return [...new Set(rows.flatMap(({ tasks }) => Object.keys(tasks)))];
}

function taskColumn(task: string, decimals: number): Column<ResultRow> {
  return {
    heading: task,
    group: "tasks",
    isNumber: true,
    cell: ({ tasks }) => numberCell(Object.hasOwn(tasks, task) ? tasks[task] : undefined, decimals),
  };
}
