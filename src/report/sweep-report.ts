/** report.html of a sweep: the ranked table, its figures, the sweep file. */
import path from "node:path";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import { makeFolder } from "../runtime/make-folder.js";
import { figureSections } from "./figure-files.js";
import { parametersFigure, pathsFigure, type SweepFigureData } from "./figures/sweep.js";
import { escapeHtml, htmlTable, page } from "./html.js";
import type { Cells } from "./table.js";

export interface SweepReport {
  readonly name: string;
  readonly figures: SweepFigureData;
  /** Best first, the first row its heading. */
  readonly table: Cells;
  /** Text of the sweep file. */
  readonly file: string;
  /** One sentence on how it stands. */
  readonly state: string;
}

/** Writes `report.html` and `figures/` into the directory of a sweep; returns the page's path. */
export async function writeSweepReport(directory: string, report: SweepReport): Promise<string> {
  const figures = [pathsFigure(report.figures), parametersFigure(report.figures)];
  await makeFolder(path.join(directory, "figures"));
  const sections = [
    { id: "table", title: "Trials, best first", body: htmlTable(report.table, 0) },
    ...(await figureSections(path.join(directory, "figures"), figures)),
    { id: "sweep", title: "Sweep file", body: `<pre>${escapeHtml(report.file)}</pre>` },
  ];
  const target = path.join(directory, "report.html");
  const lead = `<p class="lead">${escapeHtml(report.state)}</p>`;
  await writeFileAtomic(target, page(report.name, lead, sections, "adamerge sweep"));
  return target;
}
