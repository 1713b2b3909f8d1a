/** report.html of a fine-tuning, and its figures beside it, from what is in the run's folder. */
import path from "node:path";
import { type FinetuneConfig, finetuneKeys, finetuneSchema } from "../config/finetune.js";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import { readJsonFileIfThere } from "../runtime/json-file.js";
import { type FinetuneSummary, finetuneSummaryKind } from "../track/finetune-events.js";
import { type FinetuneRun, readFinetuneRun } from "../track/read-run.js";
import { environmentKind, examplesOf } from "../track/run-folder.js";
import { figureSections } from "./figure-files.js";
import { heldOutFigure, learningRateFigure, lossFigure } from "./figures/finetune-curves.js";
import { escapeHtml } from "./html.js";
import {
  classesSection,
  confusionFigure,
  JUDGED_FILE,
  type JudgedExamples,
  judgedKind,
  mistakesSection,
} from "./judged-examples.js";
import { type Card, cardList, toneOf } from "./page/cards.js";
import { settingsSection } from "./page/config-section.js";
import { costTable, machineRows } from "./page/cost-section.js";
import { duration, fixed, grouped, signed } from "./page/numbers.js";
import { page, type Section } from "./page/page.js";
import { metricsLines } from "./run-report.js";

export interface FinetuneReport extends Pick<FinetuneRun, "config" | "status"> {
  readonly folder: string;
  readonly environment: Readonly<Record<string, unknown>>;
  /** What it learns from: "images", "texts". */
  readonly examples: string;
  /** Only of a run that has finished. */
  readonly summary: FinetuneSummary | undefined;
  /** metrics.jsonl, one entry per line, without what is not finite. */
  readonly metrics: readonly Readonly<Record<string, number>>[];
  readonly judged: JudgedExamples | undefined;
}

/** Reads one, finished or not. Throws ConfigError when the folder holds none. */
export async function readFinetuneReport(folder: string, log: (line: string) => void): Promise<FinetuneReport> {
  const { config, status } = await readFinetuneRun(folder);
  const file = (name: string) => path.join(folder, name);
  const environment = (await readJsonFileIfThere(file("environment.json"), environmentKind)) ?? {};
  return {
    ...{ folder, config, status, environment },
    examples: examplesOf(environment),
    summary: await readJsonFileIfThere(file("summary.json"), finetuneSummaryKind),
    metrics: await metricsLines(folder, log),
    judged: await readJsonFileIfThere(file(JUDGED_FILE), judgedKind),
  };
}

/**
 * Writes `report.html`, `figures/<name>.svg` and `.png` into the folder of a fine-tuning; of one that goes on, what
 * there is so far. Returns the page's path; `log` is told of what is damaged and left out. Throws ConfigError when the
 * folder holds none.
 */
export async function writeFinetuneReport(folder: string, log: (line: string) => void = () => {}): Promise<string> {
  const report = await readFinetuneReport(folder, log);
  const { config, status, judged, examples } = report;
  const sections = [
    ...(await figureSections(folder, [
      ...[heldOutFigure(report), lossFigure(report), learningRateFigure(report)],
      confusionFigure(judged),
    ])),
    ...classesSection(judged, examples),
    ...mistakesSection(judged, examples),
    costSection(report),
    settingsSection(config, finetuneSchema.parse({ base: "-", data: "-" }), finetuneKeys, ["base", "data"]),
  ];
  const head = {
    title: path.basename(folder),
    kind: "Fine-tuning",
    state: status.state,
    lead: `${lead(report)}\n${cardList(cards(report))}`,
  };
  const target = path.join(folder, "report.html");
  await writeFileAtomic(target, page(head, sections, `adamerge; begun ${status.started}.`));
  return target;
}

function lead({ config, status, summary }: FinetuneReport): string {
  const name = path.basename(config.base);
  const classes = summary === undefined ? "" : `, ${summary.classes.length} classes`;
  const steps = summary === undefined ? "" : ` of ${summary.steps}`;
  const error = status.error === undefined ? "" : `: ${status.error}`;
  const task = summary?.task ?? config.task ?? path.basename(config.data);
  return `<p class="lead">${escapeHtml(`${name} fine-tuned on ${task}${classes}: ${trained(config)}, ${headOf(config)}, ${status.step}${steps} steps${error}`)}</p>`;
}

function trained({ lora }: Pick<FinetuneConfig, "lora">): string {
  return lora.rank === 0 ? "all weights" : `LoRA of rank ${lora.rank}`;
}

function headOf({ head }: Pick<FinetuneConfig, "head">): string {
  return head.kind === "linear" ? "a linear head" : "a frozen head of the classes' names";
}

function cards(report: FinetuneReport): Card[] {
  const { summary, status, examples } = report;
  if (summary === undefined) return [{ label: "steps", value: grouped(status.step), note: status.state, isMain: true }];
  const { accuracyPercent, step, steps, seconds, lossNats } = summary;
  const { before, held, test } = accuracyPercent;
  const gain = held === undefined || before === undefined ? undefined : held - before;
  return [
    ...accuracyCard("held out", held, {
      note: gain === undefined ? undefined : `${signed(gain)} since step 0`,
      tip: `Accuracy of the saved model on the ${examples} held out`,
      tone: toneOf(gain),
      isMain: true,
    }),
    ...accuracyCard("test", test, {
      note: "nothing was chosen on it",
      tip: `Accuracy of the saved model on the data's own test split`,
      isMain: held === undefined,
    }),
    {
      label: "loss",
      value: fixed(lossNats, 3),
      note: "nats, at the end",
      tip: "Of the batches, over about fifty steps",
    },
    { label: "saved", value: grouped(step), note: `step, of ${grouped(steps)}` },
    { label: "time", value: duration(seconds), note: "all steps, without evaluations" },
  ];
}

function accuracyCard(label: string, value: number | undefined, more: Omit<Card, "label" | "value">): Card[] {
  return value === undefined ? [] : [{ label, value: `${fixed(value, 1)} %`, ...more }];
}

function costSection({ config, metrics, summary, environment, examples }: FinetuneReport): Section {
  const times = metrics.flatMap((line) => line["time/step_seconds"] ?? []).sort((a, b) => a - b);
  const median = times[Math.floor(times.length / 2)];
  return costTable([
    ...(summary === undefined ? [] : [["all steps", duration(summary.seconds)] as const]),
    ["steps", String(times.length)],
    [`${examples} per step`, String(config.batch_size)],
    ...(median === undefined ? [] : [["step, median", `${fixed(median, 3)} s`] as const]),
    ...machineRows(environment),
  ]);
}
