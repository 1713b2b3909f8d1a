/** report.html of a quickstart: every method on the suite, what the learned ones have over weight averaging, and what the best gained and lost. */
import path from "node:path";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import { type ChangedExamples, examplesSection } from "./changed-examples.js";
import { comparedRuns, runColumns } from "./compared-runs.js";
import { figureSections } from "./figure-files.js";
import { tasksFigure } from "./figures/experiment.js";
import { averageBars, gainsFigure } from "./figures/methods.js";
import { escapeHtml } from "./html.js";
import type { LearnedGain } from "./learned-gain.js";
import { type Card, cardList } from "./page/cards.js";
import { duration, fixed } from "./page/numbers.js";
import { page } from "./page/page.js";
import { resultsHint, resultsTable } from "./page/results-table.js";
import { rowCards } from "./run-cards.js";
import { readRunReport } from "./run-report.js";
import { AVERAGING, isEntropy, type Summary } from "./summary.js";
import { alongFigure, labelled } from "./write-comparison.js";

export interface QuickstartReport {
  readonly summary: Summary;
  readonly gains: readonly LearnedGain[];
  /** What the last fit gained and lost. */
  readonly changed: ChangedExamples | undefined;
  /** Folders of the fits, named as their rows; the last one has a report of its own. */
  readonly fits: readonly string[];
}

/** Writes `report.html` and `figures/` into the quickstart's directory; returns the page's path. */
export async function writeQuickstartReport(directory: string, report: QuickstartReport): Promise<string> {
  const { summary, gains, changed, fits } = report;
  const { rows, suite, engine, device } = summary;
  const runs = comparedRuns(await Promise.all(fits.map((folder) => readRunReport(folder, () => {}))));
  const learned = new Set(runs.map(({ label }) => label));
  const examples = runs[0]?.report.examples ?? "examples";
  const figures = isEntropy(rows)
    ? []
    : [
        averageBars(rows, learned),
        gainsFigure(gains.filter(({ over }) => over === AVERAGING)),
        alongFigure(runs),
        tasksFigure(labelled(rows), "method"),
      ];
  const table = resultsTable({ heading: "method", rows, own: learned, extra: runColumns(runs) });
  const sections = [
    ...(await figureSections(directory, figures)),
    { id: "table", title: "All methods", body: `${table}\n<p class="hint">${escapeHtml(resultsHint(rows))}</p>` },
    ...examplesSection(changed, examples),
    { id: "next", title: "What to look at next", body: nextSteps(fits, directory) },
  ];
  const lead = `<p class="lead">${escapeHtml(`${rows.length} models on the suite ${suite}: the pretrained one, the experts, merges without learning, and ${fits.length} that learned how much of each expert goes in, from ${examples} without labels. Engine ${engine} on ${device}.`)}</p>`;
  const head = {
    title: `Quickstart on ${suite}`,
    kind: "Quickstart",
    lead: `${lead}\n${cardList(cardsOf(report, learned))}`,
  };
  const target = path.join(directory, "report.html");
  await writeFileAtomic(target, page(head, sections, "adamerge quickstart"));
  return target;
}

function cardsOf({ summary }: QuickstartReport, learned: ReadonlySet<string>): Card[] {
  const { rows, seconds } = summary;
  const time = { label: "time", value: duration(seconds), note: "of everything on this page" };
  const [first, ...others] = rows.filter(({ method }) => learned.has(method));
  if (first === undefined || isEntropy(rows)) return [time];
  const best = others.reduce((top, row) => (row.average > top.average ? row : top), first);
  const main = {
    label: "best merged model",
    value: `${fixed(best.average, 1)} %`,
    note: best.method,
    tip: "The highest mean accuracy over the tasks among the models that were learned",
    isMain: true,
  };
  return [main, ...rowCards(best, rows), time];
}

function nextSteps(fits: readonly string[], directory: string): string {
  // As it is seen from where the quickstart usually runs.
  const shown = [path.basename(path.dirname(directory)), path.basename(directory)].join("/");
  const items = fits.map((folder, index) => {
    const name = path.relative(directory, folder).split(path.sep).join("/");
    const address = `${name.split("/").map(encodeURIComponent).join("/")}/report.html`;
    // The others' reports are made when asked for.
    return index === fits.length - 1
      ? `<li><a href="${escapeHtml(address)}">${escapeHtml(name)}</a>: its coefficients, layer by layer, and its course; the merged model is in <code>${escapeHtml(`${name}/model`)}</code></li>`
      : `<li><code>adamerge report ${escapeHtml(`${shown}/${name}`)}</code> makes the report of this fit</li>`;
  });
  return `<ul>\n${items.join("\n")}\n</ul>`;
}
