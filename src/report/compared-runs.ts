/** Runs as a comparison sees them: a name of its own for each, its row of a table, its course, and the settings in which they differ. */
import path from "node:path";
import { changesOf, evaluationsOf } from "./evaluations.js";
import { escapeHtml } from "./html.js";
import { type Column, dataTable, differenceCell } from "./page/data-table.js";
import { duration, NONE } from "./page/numbers.js";
import type { Section } from "./page/page.js";
import type { RunReport } from "./run-report.js";
import { isEntropy, type ResultRow } from "./summary.js";

export interface ComparedRun {
  /** Unique among the runs compared. */
  readonly label: string;
  readonly report: RunReport;
  /** Of the learned model under the run's label; undefined before a first evaluation. */
  readonly row: ResultRow | undefined;
}

/** By the runs' names, with as much of where they lie as tells them apart. */
export function comparedRuns(reports: readonly RunReport[]): ComparedRun[] {
  const names = [
    ({ config }: RunReport) => config.name,
    ({ config }: RunReport) => `${config.experiment}/${config.name}`,
    ({ folder }: RunReport) => path.resolve(folder),
  ];
  const nameOf = names.find((name) => new Set(reports.map(name)).size === reports.length) ?? names[0];
  return reports.map((report) => {
    const label = nameOf?.(report) ?? report.folder;
    return { label, report, row: rowOfRun(report, label) };
  });
}

function rowOfRun(report: RunReport, label: string): ResultRow | undefined {
  const own = report.summary?.rows.at(-1);
  if (own !== undefined) return { ...own, method: label };
  const last = evaluationsOf(report).at(-1);
  return last && { method: label, average: last.average, tasks: Object.fromEntries(last.tasks) };
}

/** What the runs were read against, where all have the same. */
export function sharedBaselines(runs: readonly ComparedRun[]): readonly ResultRow[] {
  const baselines = runs.map(({ report }) => report.summary?.rows.slice(0, -1) ?? []);
  const [first = [], ...others] = baselines;
  const isShared = others.every((rows) => JSON.stringify(rows) === JSON.stringify(first));
  return isShared ? first : [];
}

/** Why their numbers may not be held against each other, in sentences; none where they may. */
export function reservations(runs: readonly ComparedRun[]): string[] {
  const differs = (of: (run: ComparedRun) => unknown) => new Set(runs.map((run) => JSON.stringify(of(run)))).size > 1;
  const data = (run: ComparedRun) => run.report.config.data;
  return [
    ...(differs(({ report }) => report.config.suite) ? ["They are of different suites."] : []),
    ...(differs((run) => [data(run).eval_split, data(run).eval_limit, data(run).eval_tasks])
      ? ["They are judged on different examples."]
      : []),
    ...(differs((run) => [data(run).corruption, data(run).corruption_severity])
      ? ["Their examples are corrupted differently."]
      : []),
    ...(differs(({ row }) => row !== undefined && isEntropy([row]))
      ? ["Some have no labels, and entropies for accuracies."]
      : []),
    ...(runs.some(({ report }) => report.status.state !== "finished") ? ["Not all have finished."] : []),
  ];
}

/** What a table of results has of runs beside their accuracies. */
export function runColumns(runs: readonly ComparedRun[]): Column<ResultRow>[] {
  const byLabel = new Map(runs.map(({ label, report }) => [label, report]));
  const sinceStart: Column<ResultRow> = {
    heading: "since step 0",
    group: "the fit",
    tip: "Change of the average since step 0, in points",
    isNumber: true,
    cell: ({ method }) => {
      const report = byLabel.get(method);
      const [change] = report === undefined ? [] : changesOf(report);
      return change === undefined ? NONE : differenceCell(change.after - change.before);
    },
  };
  return [
    ...(runs.some(({ report }) => changesOf(report).length > 0) ? [sinceStart] : []),
    {
      heading: "steps",
      group: "the fit",
      isNumber: true,
      cell: ({ method }) => {
        const step = byLabel.get(method)?.status.step;
        return step === undefined ? NONE : { text: String(step), value: step };
      },
    },
    {
      heading: "time",
      group: "the fit",
      tip: "Wall-clock time of the whole run",
      isNumber: true,
      cell: ({ method }) => {
        const seconds = byLabel.get(method)?.summary?.seconds;
        return seconds === undefined ? NONE : { text: duration(seconds), value: seconds };
      },
    },
  ];
}

/** A run by its settings, flat. */
export interface LabelledSettings {
  readonly label: string;
  readonly settings: ReadonlyMap<string, string>;
}

/** The settings in which the runs differ, a column each, those of a section together; a sentence where they have the same. */
export function differencesSection(runs: readonly LabelledSettings[]): Section {
  const table = differencesTable(runs) ?? "<p>The runs have the same settings.</p>";
  return { id: "settings", title: "Settings that differ", body: table };
}

function differencesTable(runs: readonly LabelledSettings[]): string | undefined {
  const keys = [...(runs[0]?.settings.keys() ?? [])];
  const differing = keys.filter((key) => new Set(runs.map(({ settings }) => settings.get(key))).size > 1);
  if (differing.length === 0) return undefined;
  const textOf = ({ settings }: LabelledSettings, key: string) => settings.get(key) ?? NONE;
  const columns = differing.map((key): Column<LabelledSettings> => {
    const cut = key.lastIndexOf(".");
    const isNumber = runs.every((run) => Number.isFinite(Number(textOf(run, key))));
    return {
      heading: key.slice(cut + 1),
      group: cut < 0 ? "run" : key.slice(0, cut),
      isNumber,
      isChoice: true,
      cell: (run) => textOf(run, key),
    };
  });
  const grouped = [...columns].sort((a, b) => groupIndex(columns, a) - groupIndex(columns, b));
  const naming: Column<LabelledSettings> = { heading: "run", cell: ({ label }) => label };
  return dataTable({ label: "Settings that differ", rows: runs, columns: [naming, ...grouped] });
}

/** The runs' own reports, beside a page in `directory`. */
export function reportsSection(
  runs: readonly { readonly label: string; readonly report: Pick<RunReport, "folder" | "status"> }[],
  directory: string,
): Section {
  const items = runs.map(({ label, report }) => {
    const relative = path.relative(directory, path.join(report.folder, "report.html"));
    const address = relative.split(path.sep).map(encodeURIComponent).join("/");
    return `<li><a href="${escapeHtml(address)}">${escapeHtml(label)}</a>: ${escapeHtml(report.status.state)}</li>`;
  });
  return { id: "runs", title: "Reports of the runs", body: `<ul>\n${items.join("\n")}\n</ul>` };
}

function groupIndex<Row>(columns: readonly Column<Row>[], { group }: Column<Row>): number {
  return columns.findIndex((column) => column.group === group);
}
