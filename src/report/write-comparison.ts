/** Several runs on one page: how they end and how they got there, what each has of every task, and in which settings they differ. */
import path from "node:path";
import { flatConfig } from "../config/flat.js";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import {
  type ComparedRun,
  comparedRuns,
  differencesSection,
  reportsSection,
  reservations,
  runColumns,
  sharedBaselines,
} from "./compared-runs.js";
import { evaluationsOf } from "./evaluations.js";
import { inlineFigures } from "./figure-files.js";
import { stepsFigure, tasksFigure } from "./figures/experiment.js";
import { meanCoefficientsFigure } from "./figures/mean-coefficients.js";
import { averageBars } from "./figures/methods.js";
import { escapeHtml } from "./html.js";
import { type Card, cardList } from "./page/cards.js";
import { fixed, signed } from "./page/numbers.js";
import { page, type Section } from "./page/page.js";
import { resultsHint, resultsTable } from "./page/results-table.js";
import { rowCards } from "./run-cards.js";
import { readRunReport } from "./run-report.js";
import { isEntropy, type ResultRow } from "./summary.js";

/**
 * Writes a page that compares the runs in `folders`, finished or not, to `target`; `log` is told of what is damaged and left out.
 * @throws ConfigError when a folder holds no run
 */
export async function writeComparison(
  target: string,
  folders: readonly string[],
  log: (line: string) => void = () => {},
): Promise<string> {
  const reports = await Promise.all(folders.map((folder) => readRunReport(folder, log)));
  const runs = comparedRuns(reports);
  const rows = [...sharedBaselines(runs), ...runs.flatMap(({ row }) => row ?? [])];
  const own = new Set(runs.map(({ label }) => label));
  const isScored = rows.length > 0 && !isEntropy(rows);
  const figures = [
    ...(isScored ? [averageBars(rows, own), alongFigure(runs), tasksFigure(labelled(rows), "row")] : []),
    meanCoefficientsFigure(runs.map(({ label, report }) => ({ label, coefficients: report.coefficients }))),
  ];
  const sections = [
    ...(await inlineFigures(figures)),
    ...tableSection(rows, runs, own),
    differencesSection(runs.map(({ label, report }) => ({ label, settings: flatConfig(report.config) }))),
    reportsSection(runs, path.dirname(target)),
  ];
  const doubts = reservations(runs);
  const warning = doubts.length === 0 ? "" : `<p class="warning">${escapeHtml(doubts.join(" "))}</p>\n`;
  const names = escapeHtml(runs.map(({ label }) => label).join(", "));
  const lead = `<p class="lead">${names}</p>\n${warning}${cardList(isScored ? comparisonCards(runs, rows) : [])}`;
  const head = { title: `${runs.length} runs compared`, kind: "Comparison", lead };
  await writeFileAtomic(target, page(head, sections, "adamerge report"));
  return target;
}

/** Rows as figures have them. */
export function labelled(rows: readonly ResultRow[]) {
  return rows.map(({ method, tasks }) => ({ label: method, tasks }));
}

/** The averages along the fits. */
export function alongFigure(runs: readonly ComparedRun[]) {
  const rows = runs.map(({ label, report }) => ({ label, curve: evaluationsOf(report), reported: [] }));
  return stepsFigure(rows, "Average accuracy on the judged examples against the step.");
}

function comparisonCards(runs: readonly ComparedRun[], rows: readonly ResultRow[]): Card[] {
  const [first, ...others] = runs.flatMap(({ row }) => row ?? []);
  if (first === undefined) return [];
  const best = others.reduce((top, row) => (row.average > top.average ? row : top), first);
  const least = others.reduce((low, row) => (row.average < low.average ? row : low), first);
  return [
    {
      label: "best average",
      value: `${fixed(best.average, 1)} %`,
      note: best.method,
      tip: "The run with the highest mean accuracy over the tasks",
      isMain: true,
    },
    ...rowCards(best, rows),
    { label: "over the lowest", value: signed(best.average - least.average), note: `points; ${least.method}` },
    { label: "runs", value: String(runs.length) },
  ];
}

function tableSection(rows: readonly ResultRow[], runs: readonly ComparedRun[], own: ReadonlySet<string>): Section[] {
  if (rows.length === 0) return [];
  const table = resultsTable({ heading: "run", rows, own, extra: runColumns(runs) });
  return [{ id: "table", title: "Results", body: `${table}\n<p class="hint">${escapeHtml(resultsHint(rows))}</p>` }];
}
