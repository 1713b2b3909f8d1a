/** Several fine-tunings on one page: how they end and how they got there, and in which settings they differ. */
import path from "node:path";
import { finetuneKeys } from "../config/finetune.js";
import { flatSettings } from "../config/flat.js";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import { HELD_ACCURACY, HELD_LOSS } from "../track/finetune-events.js";
import { differencesSection, reportsSection } from "./compared-runs.js";
import { inlineFigures } from "./figure-files.js";
import { heldOutOfRuns } from "./figures/finetune-curves.js";
import { type FinetuneReport, readFinetuneReport } from "./finetune-report.js";
import { escapeHtml } from "./html.js";
import { type Card, cardList } from "./page/cards.js";
import { type Column, dataTable, numberCell } from "./page/data-table.js";
import { duration, fixed, NONE } from "./page/numbers.js";
import { page, type Section } from "./page/page.js";

/** A fine-tuning among those compared. */
export interface ComparedFinetune {
  /** Its own among them. */
  readonly label: string;
  readonly report: FinetuneReport;
}

/**
 * Writes a page that compares the fine-tunings in `folders`, finished or not, to `target`; `log` is told of what is
 * damaged and left out. Throws ConfigError when a folder holds none.
 */
export async function compareFinetunes(
  target: string,
  folders: readonly string[],
  log: (line: string) => void,
): Promise<string> {
  const reports = await Promise.all(folders.map((folder) => readFinetuneReport(folder, log)));
  const names = reports.map(({ folder }) => path.basename(folder));
  const areUnique = new Set(names).size === names.length;
  const runs = reports.map((report, index) => ({
    label: areUnique ? (names[index] ?? report.folder) : report.folder,
    report,
  }));
  const sections = [
    ...(await inlineFigures([heldOutOfRuns(runs)])),
    resultsSection(runs),
    differencesSection(
      runs.map(({ label, report }) => ({ label, settings: flatSettings(report.config, finetuneKeys) })),
    ),
    reportsSection(runs, path.dirname(target)),
  ];
  const doubts = reservations(reports);
  const warning = doubts.length === 0 ? "" : `<p class="warning">${escapeHtml(doubts.join(" "))}</p>\n`;
  const lead = `<p class="lead">${escapeHtml(runs.map(({ label }) => label).join(", "))}</p>\n${warning}${cardList(cards(runs))}`;
  const head = { title: `${runs.length} fine-tunings compared`, kind: "Comparison", lead };
  await writeFileAtomic(target, page(head, sections, "adamerge report"));
  return target;
}

/** Why their numbers may not be held against each other, in sentences. */
function reservations(reports: readonly FinetuneReport[]): string[] {
  const differs = (of: (report: FinetuneReport) => unknown) => new Set(reports.map(of)).size > 1;
  return [
    ...(differs(({ config }) => config.data) ? ["They are trained on different data."] : []),
    ...(differs(
      ({
        config: {
          eval: { split, share },
          seed,
        },
      }) => JSON.stringify([split, share, seed]),
    )
      ? ["Different examples may be held out of them."]
      : []),
    ...(reports.some(({ status }) => status.state !== "finished") ? ["Not all have finished."] : []),
  ];
}

/** On what is held out: of the saved model, or at the last evaluation. */
function heldOf({ summary, metrics }: FinetuneReport): number | undefined {
  return (
    summary?.accuracyPercent.held ?? metrics.findLast((line) => line[HELD_ACCURACY] !== undefined)?.[HELD_ACCURACY]
  );
}

function cards(runs: readonly ComparedFinetune[]): Card[] {
  const known = runs.flatMap(({ label, report }) => {
    const held = heldOf(report);
    return held === undefined ? [] : [{ label, held }];
  });
  const [first, ...others] = known;
  if (first === undefined) return [];
  const best = others.reduce((top, each) => (each.held > top.held ? each : top), first);
  return [
    {
      label: "best, held out",
      value: `${fixed(best.held, 1)} %`,
      note: best.label,
      tip: "The run with the highest accuracy on what is held out",
      isMain: true,
    },
    { label: "runs", value: String(runs.length) },
  ];
}

function resultsSection(runs: readonly ComparedFinetune[]): Section {
  const accuracy = (
    heading: string,
    tip: string,
    of: (report: FinetuneReport) => number | undefined,
  ): Column<ComparedFinetune> => ({
    ...{ heading, tip, isNumber: true, best: "highest" },
    cell: ({ report }) => numberCell(of(report), 2),
  });
  const columns: readonly Column<ComparedFinetune>[] = [
    { heading: "run", cell: ({ label }) => label },
    {
      ...{ heading: "before %", tip: "Held out, before the training", isNumber: true },
      cell: ({ report }) => numberCell(report.metrics.find((line) => line.step === 0)?.[HELD_ACCURACY], 2),
    },
    accuracy("held out %", "Of the saved model", heldOf),
    accuracy(
      "test %",
      "Of the saved model, on the data's own test split",
      ({ summary }) => summary?.accuracyPercent.test,
    ),
    {
      ...{ heading: "loss", tip: "Held out, at the last evaluation, in nats", isNumber: true, best: "lowest" },
      cell: ({ report }) =>
        numberCell(report.metrics.findLast((line) => line[HELD_LOSS] !== undefined)?.[HELD_LOSS], 3),
    },
    { heading: "steps", isNumber: true, cell: ({ report }) => numberCell(report.status.step, 0) },
    {
      ...{ heading: "time", tip: "All steps, without evaluations", isNumber: true },
      cell: ({ report: { summary } }) =>
        summary === undefined ? NONE : { text: duration(summary.seconds), value: summary.seconds },
    },
  ];
  const table = dataTable({ label: "Results", rows: runs, columns, contest: () => "all" });
  return { id: "table", title: "Results", body: table };
}
