/** report.html of a sweep: the best trial, how the settings do, the ranked table, the sweep file. */
import path from "node:path";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import { makeFolder } from "../runtime/make-folder.js";
import { figureSections } from "./figure-files.js";
import { parametersFigure, pathsFigure, type SweepFigureData } from "./figures/sweep.js";
import { escapeHtml } from "./html.js";
import { type Card, cardList } from "./page/cards.js";
import { type Column, dataTable, numberCell, shareIn } from "./page/data-table.js";
import { duration, fixed, NONE, settingText, signed } from "./page/numbers.js";
import { page } from "./page/page.js";

/** A trial as the table has it. */
export interface TrialRow {
  readonly trial: string;
  readonly state: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly step: number;
  readonly value: number | null;
  /** The last evaluation. */
  readonly metrics: Readonly<Record<string, unknown>>;
  readonly seconds: number | null;
  readonly error: string | null;
}

export interface SweepReport {
  readonly name: string;
  readonly figures: SweepFigureData;
  /** Best first. */
  readonly trials: readonly TrialRow[];
  /** Text of the sweep file. */
  readonly file: string;
  /** One sentence on how it stands. */
  readonly state: string;
}

/** Writes `report.html` and `figures/` into the directory of a sweep; returns the page's path. */
export async function writeSweepReport(directory: string, report: SweepReport): Promise<string> {
  const { name, figures, file, state } = report;
  await makeFolder(directory);
  const sections = [
    ...(await figureSections(directory, [pathsFigure(figures), parametersFigure(figures)])),
    { id: "table", title: "Trials, best first", body: trialsTable(report) },
    {
      id: "sweep",
      title: "Sweep file",
      body: `<details><summary>Show the file</summary>\n<pre>${escapeHtml(file)}</pre></details>`,
    },
  ];
  const lead = `<p class="lead">${escapeHtml(state)}</p>\n${cardList(sweepCards(report))}`;
  const target = path.join(directory, "report.html");
  await writeFileAtomic(target, page({ title: name, kind: "Sweep", lead }, sections, "adamerge sweep"));
  return target;
}

function sweepCards({ trials, figures: { metric } }: SweepReport): Card[] {
  const judged = trials.flatMap(({ value }) => value ?? []).sort((a, b) => a - b);
  const best = trials.find(({ value }) => value !== null);
  const median = judged[Math.floor(judged.length / 2)];
  const failed = trials.filter(({ state }) => state === "failed").length;
  const seconds = trials.reduce((sum, trial) => sum + (trial.seconds ?? 0), 0);
  const cards: Card[] = [];
  if (best !== undefined && best.value !== null && median !== undefined) {
    const settings = Object.entries(best.parameters).map(([key, value]) => `${lastPart(key)} ${settingText(value)}`);
    cards.push(
      { label: `best ${metric}`, value: fixed(best.value, 2), note: `of ${judged.length} judged trials`, isMain: true },
      { label: "best trial", value: best.trial, note: settings.join(", ") },
      {
        label: "over the median",
        value: signed(best.value - median, 2),
        note: `the median trial has ${fixed(median, 2)}`,
        tip: "How much the choice of settings matters here",
      },
    );
    const worst = worstOf(best);
    if (worst !== undefined)
      cards.push({ label: "its worst task", value: `${fixed(worst.value, 1)} %`, note: worst.task });
  }
  cards.push({
    label: "trials",
    value: String(trials.length),
    note: failed === 0 ? "none failed" : `${failed} failed`,
    tone: failed === 0 ? undefined : "bad",
  });
  if (seconds > 0) cards.push({ label: "time", value: duration(seconds), note: "of all trials together" });
  return cards;
}

const ACCURACY = "eval/acc/";

function worstOf({ metrics }: TrialRow): { readonly task: string; readonly value: number } | undefined {
  const tasks = accuraciesOf({ metrics });
  return [...tasks].map(([task, value]) => ({ task, value })).sort((a, b) => a.value - b.value)[0];
}

function accuraciesOf({ metrics }: Pick<TrialRow, "metrics">): Map<string, number> {
  return new Map(
    Object.entries(metrics).flatMap(([key, value]): [string, number][] =>
      key.startsWith(ACCURACY) && typeof value === "number" ? [[key.slice(ACCURACY.length), value]] : [],
    ),
  );
}

const lastPart = (key: string): string => key.slice(key.lastIndexOf(".") + 1);

function trialsTable({ trials, figures: { metric, goal } }: SweepReport): string {
  const keys = [...new Set(trials.flatMap(({ parameters }) => Object.keys(parameters)))];
  // Settings of one section stand together.
  const sections = [...new Set(keys.map(sectionOf))];
  const settings = sections.flatMap((section) =>
    keys.filter((key) => sectionOf(key) === section).map((key) => settingColumn(key, trials)),
  );
  const tasks = [...new Set(trials.flatMap((trial) => [...accuraciesOf(trial).keys()]))];
  const share = shareIn(trials.flatMap(({ value }) => value ?? []));
  const columns: Column<TrialRow>[] = [
    { heading: "trial", cell: ({ trial }) => trial },
    {
      heading: metric,
      group: "result",
      tip: "By which the trials are ranked, at the highest step reached",
      isNumber: true,
      best: goal === "maximize" ? "highest" : "lowest",
      cell: ({ value }) => numberCell(value, 2, value === null ? undefined : share(value)),
    },
    ...settings,
    { heading: "step", group: "how it went", isNumber: true, cell: ({ step }) => numberCell(step, 0) },
    {
      heading: "state",
      group: "how it went",
      isChoice: true,
      cell: ({ state, error }) => (error === null ? state : { text: `${state}: ${error}`, tone: "bad" }),
    },
    {
      heading: "time",
      group: "how it went",
      isNumber: true,
      cell: ({ seconds }) => (seconds === null ? NONE : { text: duration(seconds), value: seconds }),
    },
    ...tasks.map(
      (task): Column<TrialRow> => ({
        heading: task,
        group: "tasks",
        isNumber: true,
        best: "highest",
        cell: (trial) => numberCell(accuraciesOf(trial).get(task), 1),
      }),
    ),
  ];
  return dataTable({ label: "Trials, best first", rows: trials, columns });
}

const sectionOf = (key: string): string => (key.includes(".") ? key.slice(0, key.lastIndexOf(".")) : "settings");

function settingColumn(key: string, trials: readonly TrialRow[]): Column<TrialRow> {
  return {
    heading: lastPart(key),
    group: sectionOf(key),
    tip: key,
    isNumber: trials.every(({ parameters }) => typeof parameters[key] === "number"),
    isChoice: true,
    cell: ({ parameters }) => {
      const value = parameters[key];
      return typeof value === "number" ? { text: settingText(value), value } : settingText(value);
    },
  };
}
