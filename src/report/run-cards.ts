/** The headline numbers of a run. */
import { readsLabels } from "../objective/catalog.js";
import { changesOf, evaluationsOf } from "./evaluations.js";
import type { LearnedGain } from "./learned-gain.js";
import { type Card, toneOf } from "./page/cards.js";
import { duration, fixed, grouped, NONE, signed } from "./page/numbers.js";
import type { RunReport } from "./run-report.js";
import { AVERAGING, EXPERTS, isEntropy, type ResultRow, rowOf, START, shareOfExperts, worstTask } from "./summary.js";

/** Cards of the learned model; of a run that goes on, what is known. */
export function runCards(report: RunReport): Card[] {
  const { summary } = report;
  const own = summary?.rows.at(-1);
  if (summary === undefined || own === undefined)
    return [...progressCards(report), stepsCard(report), costCard(report)];
  const scores = isEntropy(summary.rows) ? [entropyCard(own)] : scoreCards(report, own, summary.rows);
  return [...scores, timeCard(report, summary.seconds), costCard(report)];
}

function scoreCards(report: RunReport, own: ResultRow, rows: readonly ResultRow[]): Card[] {
  const [change] = changesOf(report);
  const since = change === undefined ? undefined : change.after - change.before;
  const examples = report.examples;
  return [
    {
      label: "average accuracy",
      value: `${fixed(own.average, 1)} %`,
      note: since === undefined ? `of ${Object.keys(own.tasks).length} tasks` : `${signed(since)} since step 0`,
      tip: `Mean over the tasks of the accuracy on the judged ${examples}`,
      isMain: true,
    },
    ...startCards(own, rows, report.summary?.gains),
    ...rowCards(own, rows, gainOver(AVERAGING, report.summary?.gains)),
  ];
}

const gainOver = (row: string, gains: readonly LearnedGain[] = []): LearnedGain | undefined =>
  gains.find(({ over }) => over === row);

/** What the steps brought, apart from what the start has over averaging. */
function startCards(own: ResultRow, rows: readonly ResultRow[], gains?: readonly LearnedGain[]): Card[] {
  const start = rowOf(rows, START);
  if (start === undefined) return [];
  const gain = own.average - start.average;
  return [
    {
      label: "to its start",
      value: signed(gain),
      note: `points${intervalNote(gainOver(START, gains))}; before the first step ${fixed(start.average, 1)} %`,
      tip: "The average less that of the merge with every coefficient at its initial value: what learning itself brought",
      tone: toneOf(gain),
    },
  ];
}

function intervalNote(paired: LearnedGain | undefined): string {
  return paired === undefined ? "" : ` (95 %: ${signed(paired.interval[0])} to ${signed(paired.interval[1])})`;
}

/** Of one model among others: the difference to averaging, the share of the experts, the worst task. */
export function rowCards(own: ResultRow, rows: readonly ResultRow[], paired?: LearnedGain): Card[] {
  const averaging = rowOf(rows, AVERAGING);
  const experts = rowOf(rows, EXPERTS);
  const gain = averaging === undefined ? undefined : own.average - averaging.average;
  const kept = shareOfExperts(own, rows);
  const worst = worstTask(own);
  const cards: Card[] = [];
  if (averaging !== undefined)
    cards.push({
      label: "to weight averaging",
      value: signed(gain),
      note: `points${intervalNote(paired)}; averaging has ${fixed(averaging.average, 1)} %`,
      tip: "The average less that of the plain mean of the experts' weights",
      tone: toneOf(gain),
    });
  if (kept !== undefined)
    cards.push({
      label: "of the experts",
      value: `${kept.toFixed(1)} %`,
      note: `kept; each on its own task: ${fixed(experts?.average, 1)} %`,
      tip: "Mean over the tasks of the accuracy as a share of the expert's of that task",
    });
  if (worst !== undefined) {
    const tasks = averaging?.tasks ?? {};
    const other = Object.hasOwn(tasks, worst.task) ? tasks[worst.task] : undefined;
    const beside = other === undefined ? "" : `, ${signed(worst.value - other)} to averaging`;
    cards.push({
      label: "worst task",
      value: `${fixed(worst.value, 1)} %`,
      note: `${worst.task}${beside}`,
      tip: "The task with the lowest accuracy",
    });
  }
  return cards;
}

function entropyCard(own: ResultRow): Card {
  return {
    label: "mean entropy",
    value: `${fixed(own.average, 3)}`,
    note: "nats; no accuracy without labels",
    tip: "Of the predictions on the examples adapted on: lower is surer, which need not be better",
    isMain: true,
  };
}

/** Of a run that has not finished. */
function progressCards(report: RunReport): Card[] {
  const last = evaluationsOf(report).at(-1);
  if (last === undefined) return [];
  const [change] = changesOf(report);
  const since = change === undefined ? "" : `, ${signed(change.after - change.before)} since step 0`;
  return [
    {
      label: "average accuracy",
      value: `${fixed(last.average, 1)} %`,
      note: `at step ${last.step}${since}`,
      isMain: true,
    },
  ];
}

function stepsCard({ config, status }: RunReport): Card {
  return { label: "steps", value: `${grouped(status.step)} / ${grouped(config.steps)}`, note: status.state };
}

function timeCard({ config }: RunReport, seconds: number): Card {
  return {
    label: "time",
    value: duration(seconds),
    note: `${grouped(config.steps)} steps, evaluations included`,
    tip: "Wall-clock time of the whole run",
  };
}

function costCard(report: RunReport): Card {
  const { config, examples, status, metrics } = report;
  const tasks = new Set(metrics.flatMap((line) => Object.keys(line).filter((key) => key.startsWith("lambda/mean/"))));
  const perStep = config.data.batch_size * config.data.batches_per_task * tasks.size;
  return {
    label: `${examples} shown`,
    value: perStep === 0 ? NONE : grouped(perStep * status.step),
    note: readsLabels(config) ? "with their labels" : "without labels",
    tip: `${examples} that the objective was given, over all steps and tasks; the same one may be among them more than once`,
  };
}
