/** report.html of a run, and its figures as SVG and PNG beside it. */

import path from "node:path";
import { formatConfig } from "../config/format.js";
import { readsLabels } from "../objective/catalog.js";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import { makeFolder } from "../runtime/make-folder.js";
import { examplesSection } from "./changed-examples.js";
import { figureSections } from "./figure-files.js";
import { depthFigure, heatMapFigure, trajectoryFigure } from "./figures/coefficients.js";
import { accuracyFigure, objectiveFigure } from "./figures/curves.js";
import { entropyAndLossFigure } from "./figures/entropy-and-loss.js";
import { gradientCosineFigure } from "./figures/gradient-cosine.js";
import { taskVectorsFigure } from "./figures/task-vectors.js";
import { escapeHtml, htmlTable, page, type Section } from "./html.js";
import type { Figure } from "./plot.js";
import { type RunReport, readRunReport } from "./run-report.js";
import { isEntropy } from "./summary.js";
import { type Cells, resultCells } from "./table.js";

/** One line per figure; each returns undefined where the run has nothing to draw. */
const FIGURES: readonly ((report: RunReport) => Figure | undefined)[] = [
  accuracyFigure,
  objectiveFigure,
  entropyAndLossFigure,
  gradientCosineFigure,
  heatMapFigure,
  depthFigure,
  trajectoryFigure,
  taskVectorsFigure,
];

/**
 * Writes `report.html`, `figures/<name>.svg` and `.png` into a run folder, from what is in it; of a run that goes on, what there is so
 * far. Returns the page's path; `log` is told of what is damaged and left out. @throws ConfigError when the folder holds no run
 */
export async function writeRunReport(folder: string, log: (line: string) => void = () => {}): Promise<string> {
  const report = await readRunReport(folder, log);
  const figures = path.join(folder, "figures");
  await makeFolder(figures);
  const sections = await figureSections(
    figures,
    FIGURES.map((figureOf) => figureOf(report)),
  );
  const target = path.join(folder, "report.html");
  const examples = examplesSection(report.changed, report.examples);
  const all = [...tableSection(report), ...sections, ...examples, costSection(report), configSection(report)];
  const { config, status } = report;
  await writeFileAtomic(
    target,
    page(`${config.experiment} / ${config.name}`, lead(report), all, footer(status.started)),
  );
  return target;
}

function lead({ config, status, summary, examples: given }: RunReport): string {
  const { adapt_split, eval_split, adapt_limit } = config.data;
  const examples = escapeHtml(given);
  const labels = readsLabels(config.objective.name) ? "with their labels" : "without their labels";
  const most = adapt_limit === null ? "" : `at most ${adapt_limit} ${examples} per task of `;
  const what =
    `${config.granularity} coefficients, ${config.objective.name.replaceAll("_", " ")}, ${status.step} of ${config.steps} steps` +
    `${summary === undefined ? "" : ` on ${summary.suite}`}; ${status.state}${status.error === undefined ? "" : `: ${status.error}`}`;
  const learned = `Learned on ${most}<code>${escapeHtml(adapt_split)}</code>, ${labels}`;
  const adapted =
    eval_split === null
      ? `<p class="warning">${learned}. Nothing was judged: without labels there are entropies, and no accuracies.</p>`
      : adapt_split === eval_split
        ? `<p class="warning">Transductive: the coefficients were learned on ${most || `the ${examples} of `}<code>${escapeHtml(eval_split)}</code> that they are judged on, ${labels}${readsLabels(config.objective.name) ? ": an upper bound" : ", as the paper does"}.</p>`
        : `<p>${learned}, judged on <code>${escapeHtml(eval_split)}</code>.</p>`;
  return `<p class="lead">${escapeHtml(what)}</p>\n${adapted}`;
}

function tableSection({ summary }: RunReport): Section[] {
  if (summary === undefined) return [];
  const title = isEntropy(summary.rows) ? "Mean entropy of the predictions in nats" : "Accuracy in percent";
  return [{ id: "table", title, body: htmlTable(resultCells(summary.rows), summary.rows.length - 1) }];
}

function costSection({ config, summary, metrics, environment, examples }: RunReport): Section {
  const speeds = metrics.flatMap((line) => line["time/images_per_second"] ?? []).sort((a, b) => a - b);
  const steps = speeds.length;
  const { batch_size, batches_per_task } = config.data;
  const cells: Cells = [
    ["quantity", "value"],
    ...(summary === undefined ? [] : [["wall time, evaluations included", `${summary.seconds.toFixed(1)} s`]]),
    ["steps", String(steps)],
    [`${examples} per task and step`, String(batch_size * batches_per_task)],
    [`${examples} per second, median`, (speeds[Math.floor(steps / 2)] ?? Number.NaN).toFixed(0)],
    ...["engine", "device", "cpu", "os", "node"].flatMap((key) => {
      const value = environment[key];
      return typeof value === "string" ? [[key, value]] : [];
    }),
  ];
  return { id: "cost", title: "Cost", body: htmlTable(cells) };
}

function configSection({ config }: RunReport): Section {
  return { id: "config", title: "Configuration", body: `<pre>${escapeHtml(formatConfig(config))}</pre>` };
}

const footer = (started: string): string => `adamerge; begun ${started}.`;
