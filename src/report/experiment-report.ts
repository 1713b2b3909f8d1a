/** report.html of an experiment: the best of every class of needs, its figures, its tables and file. */
import path from "node:path";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import { makeFolder } from "../runtime/make-folder.js";
import { accuracyTable, type ExperimentRow, needsTable } from "./experiment-tables.js";
import { figureSections } from "./figure-files.js";
import { averagesFigure, stepsFigure, tasksFigure } from "./figures/experiment.js";
import { type CurvePoint, settingsCurves } from "./figures/settings-curves.js";
import { escapeHtml } from "./html.js";
import { type Card, cardList } from "./page/cards.js";
import { duration, fixed, signed } from "./page/numbers.js";
import { page } from "./page/page.js";
import { AVERAGING, EXPERTS } from "./summary.js";

export interface ExperimentReport {
  readonly title: string;
  readonly rows: readonly ExperimentRow[];
  /** Of rows that vary; shown in figures of their own. */
  readonly points: readonly CurvePoint[];
  /** What else the table says, in a sentence; may be empty. */
  readonly note: string;
  /** What was judged: "images", "texts". */
  readonly examples: string;
  /** Text of the experiment file. */
  readonly file: string;
}

/** Writes `report.html` and `figures/` into the directory of an experiment's results; returns the page's path. */
export async function writeExperimentReport(directory: string, report: ExperimentReport): Promise<string> {
  const { title, rows, points, note, examples, file } = report;
  await makeFolder(directory);
  const along = `Average accuracy on the judged ${examples} against the step, as the mean over suites and seeds. Nothing was chosen by these curves.`;
  const figures = [
    ...settingsCurves(points, examples),
    averagesFigure(rows, examples),
    tasksFigure(rows),
    stepsFigure(rows, along),
  ];
  const hint = `<p class="hint">${escapeHtml(`Bold: the best among rows with the same needs. ${note}`.trimEnd())}</p>`;
  const sections = [
    ...(await figureSections(directory, figures)),
    { id: "table", title: "Accuracy in percent", body: `${accuracyTable(rows)}\n${hint}` },
    { id: "needs", title: "What each row needed", body: needsTable(rows, examples) },
    {
      id: "experiment",
      title: "Experiment file",
      body: `<details><summary>Show the file</summary>\n<pre>${escapeHtml(file)}</pre></details>`,
    },
  ];
  const target = path.join(directory, "report.html");
  const head = { title, kind: "Experiment", lead: cardList(experimentCards(rows)) };
  await writeFileAtomic(target, page(head, sections, "adamerge reproduce"));
  return target;
}

/** Classes whose rows are no results, or are chosen on the judged examples. */
const BESIDE: ReadonlySet<string> = new Set(["reference", "oracle"]);

/** The best of each class that competes, what the experts have, and what all took. */
function experimentCards(rows: readonly ExperimentRow[]): Card[] {
  const classes = [...new Set(rows.map((row) => row.class))].filter((name) => !BESIDE.has(name));
  const best = classes.flatMap((name) => {
    const [first, ...others] = rows.filter((row) => row.class === name && row.method !== AVERAGING);
    return first === undefined ? [] : [others.reduce((top, row) => (row.average > top.average ? row : top), first)];
  });
  const unlabelled = best.filter((row) => row.class.startsWith("unlabelled"));
  const highest = Math.max(...unlabelled.map(({ average }) => average));
  const cards = best.map((row): Card => {
    const gain = row.gain === null ? "" : `, ${signed(row.gain.points)} to averaging`;
    const kept = row.normalized === null ? "" : `, ${row.normalized.toFixed(0)} % of the experts`;
    return {
      label: `best with ${row.class}`,
      value: `${fixed(row.average, 1)} %`,
      note: `${row.label}${gain}${kept}; worst task ${fixed(row.worst, 1)} %`,
      tip: "The highest average among the rows with these needs; rows of other needs do not compete with it",
      isMain: row.average === highest && unlabelled.includes(row),
    };
  });
  const reference = (method: string, label: string): Card[] => {
    const row = rows.find((each) => each.method === method && each.class !== "oracle");
    return row === undefined
      ? []
      : [{ label, value: `${fixed(row.average, 1)} %`, note: `worst task ${fixed(row.worst, 1)} %` }];
  };
  const seconds = rows.reduce((sum, row) => sum + row.seconds, 0);
  return [
    ...cards,
    ...reference(AVERAGING, "weight averaging"),
    ...reference(EXPERTS, "each expert on its task"),
    { label: "time", value: duration(seconds), note: `of ${rows.length} rows together` },
  ];
}
