/** report.html of a run, and its figures as SVG and PNG beside it. */

import path from "node:path";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import { examplesSection } from "./changed-examples.js";
import { changesOf } from "./evaluations.js";
import { figureSections } from "./figure-files.js";
import { type Change, changeFigure } from "./figures/change.js";
import { depthFigure, trajectoryFigure } from "./figures/coefficients.js";
import { accuracyFigure, objectiveFigure } from "./figures/curves.js";
import { entropyAndLossFigure } from "./figures/entropy-and-loss.js";
import { gradientCosineFigure } from "./figures/gradient-cosine.js";
import { heatMapFigure } from "./figures/heat-map.js";
import { taskVectorsFigure } from "./figures/task-vectors.js";
import { escapeHtml } from "./html.js";
import { lead } from "./lead.js";
import { cardList } from "./page/cards.js";
import { configSection } from "./page/config-section.js";
import { costTable, machineRows } from "./page/cost-section.js";
import { dataTable, differenceCell, numberCell } from "./page/data-table.js";
import { duration } from "./page/numbers.js";
import { page, type Section } from "./page/page.js";
import { resultsHint, resultsTable } from "./page/results-table.js";
import type { Figure } from "./plot.js";
import { runCards } from "./run-cards.js";
import { type RunReport, readRunReport } from "./run-report.js";
import { isEntropy } from "./summary.js";

type FigureOf = (report: RunReport) => Figure | undefined;

/** One line per figure; each returns undefined where the run has nothing to draw. These come before the table, */
const FIRST_FIGURES: readonly FigureOf[] = [(report) => changeFigure(changesOf(report)), accuracyFigure];
/** and these after it. */
const FIGURES: readonly FigureOf[] = [
  heatMapFigure,
  depthFigure,
  trajectoryFigure,
  objectiveFigure,
  entropyAndLossFigure,
  gradientCosineFigure,
  taskVectorsFigure,
];

/**
 * Writes `report.html`, `figures/<name>.svg` and `.png` into a run folder, from what is in it; of a run that goes on, what there is so
 * far. Returns the page's path; `log` is told of what is damaged and left out. @throws ConfigError when the folder holds no run
 */
export async function writeRunReport(folder: string, log: (line: string) => void = () => {}): Promise<string> {
  const report = await readRunReport(folder, log);
  const { config, status } = report;
  const drawn = async (figures: readonly FigureOf[]) =>
    figureSections(
      folder,
      figures.map((figureOf) => figureOf(report)),
    );
  const sections = [
    ...(await drawn(FIRST_FIGURES)).map((section) => (section.id === "change" ? withTable(section, report) : section)),
    ...tableSection(report),
    ...(await drawn(FIGURES)),
    ...examplesSection(report.changed, report.examples),
    costSection(report),
    configSection(config),
  ];
  const head = {
    title: `${config.experiment} / ${config.name}`,
    kind: "Run",
    state: status.state,
    lead: `${lead(report)}\n${cardList(runCards(report))}`,
  };
  const target = path.join(folder, "report.html");
  await writeFileAtomic(target, page(head, sections, `adamerge; begun ${status.started}.`));
  return target;
}

/** The figure of the changes with its numbers, folded. */
function withTable(section: Section, report: RunReport): Section {
  const rows = changesOf(report);
  const hasAveraging = rows.some(({ averaging }) => averaging !== undefined);
  const table = dataTable<Change>({
    label: "Change since step 0",
    rows,
    columns: [
      { heading: "task", cell: ({ task }) => task },
      { heading: "step 0", isNumber: true, cell: ({ before }) => numberCell(before, 2) },
      { heading: "now", isNumber: true, tip: "At the last evaluation", cell: ({ after }) => numberCell(after, 2) },
      {
        heading: "change",
        isNumber: true,
        tip: "In points",
        cell: ({ before, after }) => differenceCell(after - before),
      },
      ...(hasAveraging
        ? [
            {
              heading: "averaging",
              isNumber: true,
              tip: "Of weight averaging",
              cell: ({ averaging }: Change) => numberCell(averaging, 2),
            },
          ]
        : []),
    ],
  });
  return { ...section, body: `${section.body}\n<details><summary>As a table</summary>\n${table}</details>` };
}

function tableSection({ summary }: RunReport): Section[] {
  if (summary === undefined) return [];
  const { rows } = summary;
  const title = isEntropy(rows) ? "Mean entropy of the predictions" : "Accuracy by method";
  const own = new Set(rows.slice(-1).map(({ method }) => method));
  const table = resultsTable({ heading: "method", rows, own });
  return [{ id: "table", title, body: `${table}\n<p class="hint">${escapeHtml(resultsHint(rows))}</p>` }];
}

function costSection({ config, summary, metrics, environment, examples }: RunReport): Section {
  const speeds = metrics.flatMap((line) => line["time/images_per_second"] ?? []).sort((a, b) => a - b);
  const steps = speeds.length;
  const { batch_size, batches_per_task } = config.data;
  return costTable([
    ...(summary === undefined ? [] : [["wall time, evaluations included", duration(summary.seconds)] as const]),
    ["steps", String(steps)],
    [`${examples} per task and step`, String(batch_size * batches_per_task)],
    [`${examples} per second, median`, (speeds[Math.floor(steps / 2)] ?? Number.NaN).toFixed(0)],
    ...machineRows(environment),
  ]);
}
