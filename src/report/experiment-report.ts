/** report.html of an experiment: its tables, figures and file. */
import path from "node:path";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import { makeFolder } from "../runtime/make-folder.js";
import { figureSections } from "./figure-files.js";
import { averagesFigure, type ExperimentFigureRow, stepsFigure, tasksFigure } from "./figures/experiment.js";
import { type CurvePoint, settingsCurves } from "./figures/settings-curves.js";
import { escapeHtml, htmlTable, page } from "./html.js";
import type { Cells } from "./table.js";

export interface ExperimentReport {
  readonly title: string;
  readonly rows: readonly ExperimentFigureRow[];
  /** Of rows that vary; shown in these figures instead of a line each in the others. */
  readonly points: readonly CurvePoint[];
  /** The first row of each is its heading. */
  readonly table: Cells;
  readonly needs: Cells;
  /** How to read the columns. */
  readonly legend: string;
  /** What was judged: "images", "texts". */
  readonly examples: string;
  /** Text of the experiment file. */
  readonly file: string;
}

/** Writes `report.html` and `figures/` into the directory of an experiment's results; returns the page's path. */
export async function writeExperimentReport(directory: string, report: ExperimentReport): Promise<string> {
  const figures = path.join(directory, "figures");
  await makeFolder(figures);
  const legend = `<p class="lead">${escapeHtml(report.legend)}</p>`;
  const { examples } = report;
  const ofTable = [averagesFigure(report.rows, examples), tasksFigure(report.rows), stepsFigure(report.rows, examples)];
  const drawn = [...settingsCurves(report.points, examples), ...ofTable];
  const sections = [
    { id: "table", title: "Accuracy in percent", body: `${htmlTable(report.table)}\n${legend}` },
    ...(await figureSections(figures, drawn)),
    { id: "needs", title: "What each row needed", body: htmlTable(report.needs) },
    { id: "experiment", title: "Experiment file", body: `<pre>${escapeHtml(report.file)}</pre>` },
  ];
  const target = path.join(directory, "report.html");
  await writeFileAtomic(target, page(report.title, "", sections, "adamerge reproduce"));
  return target;
}
