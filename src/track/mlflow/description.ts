/** The description of a run on its page: how good the merged model is, beside what, and on which examples. Markdown, short enough for every server. */
import type { RunConfig } from "../../config/schema.js";
import { stageConfigs, stageTitle } from "../../config/stages.js";
import { shownLine } from "../../runtime/printable.js";
import { signed } from "../../runtime/signed.js";
import { AVERAGING, START } from "../result-rows.js";
import { examplesOf, type RunStatus } from "../run-folder.js";
import { learnedOf, type Results, type ResultsRow } from "./results.js";

/** MLflow before 2.8 takes 5000; longer ones are cut at whole rows. */
const MOST_CHARACTERS = 5000;
/** Columns of the table: more do not fit on a page of 1280 px beside what MLflow has there. */
const MOST_METHODS = 7;
/** In front of a cell: MLflow's pages set the columns of a table side by side without a gap. */
const GAP = "&emsp;";

export interface DescribedRun {
  readonly config: RunConfig;
  readonly status: RunStatus;
  readonly environment: Readonly<Record<string, unknown>>;
  /** Of a run that has finished. */
  readonly results: Results | undefined;
}

export function descriptionOf(run: DescribedRun): string {
  const { results, status, config } = run;
  if (status.state === "failed")
    return `**Failed** after step ${status.step} of ${config.steps}: ${text(status.error ?? "no reason is known")}`;
  if (status.state === "interrupted")
    return `**Stopped** after step ${status.step} of ${config.steps}. \`adamerge fit --resume\` takes it up again.`;
  const learned = results && learnedOf(results).learned;
  if (results === undefined || learned === undefined) return settings(run);
  const [before, after] = [headline(results, learned), `${judged(run, learned)}\n\n${settings(run)}`];
  const rows = table(results);
  const size = (lines: readonly string[]) => before.length + after.length + lines.join("\n").length + 8;
  let kept = rows;
  while (size(kept) > MOST_CHARACTERS && kept.length > 0) kept = kept.slice(0, -1);
  const cut = kept.length < rows.length ? "\n\nThe other tasks are in README.md." : "";
  return `${before}\n\n${kept.join("\n")}${cut}\n\n${after}`;
}

function headline(results: Results, learned: ResultsRow): string {
  const count = Object.keys(learned.tasks).length;
  const what = `one model for the ${count} task${count === 1 ? "" : "s"} of ${text(results.suite)}`;
  if (learned.measure !== undefined)
    return `**${learned.average.toFixed(3)} nats** mean entropy of the predictions of ${what}; no accuracy, since nothing is labelled.`;
  const average = learnedOf(results).others.find(({ method }) => method === AVERAGING)?.average;
  const gain = average === undefined ? undefined : learned.average - average;
  const compared =
    gain === undefined
      ? ""
      : `, **${Math.abs(gain).toFixed(2)} points ${gain < 0 ? "below" : "above"}** weight averaging${intervalText(results)}`;
  return `**${learned.average.toFixed(2)} %** average accuracy of ${what}${compared}.`;
}

/** Runs of earlier versions have none. */
function intervalText({ gains = [] }: Results): string {
  const interval = (over: string): string | undefined => {
    const gain = gains.find((each) => each.over === over);
    return gain && `${signed(gain.interval[0], 1)} to ${signed(gain.interval[1], 1)}`;
  };
  const [averaging, start] = [AVERAGING, START].map(interval);
  if (averaging === undefined) return "";
  const overStart = start === undefined ? "" : `; over the model it started from: ${start}`;
  return ` (95 % interval of the difference: ${averaging}, paired by example${overStart})`;
}

/** Tasks down, methods across, the average first; of accuracies the best is bold. */
function table(results: Results): string[] {
  const { rows } = results;
  const shown = rows.length > MOST_METHODS ? [...rows.slice(0, 1), ...rows.slice(1 - MOST_METHODS)] : rows;
  const isAccuracy = shown.every(({ measure }) => measure === undefined);
  const row = (cells: readonly string[]) => `| ${cells.join(` | ${GAP}`)} |`;
  const line = (name: string, values: readonly number[]): string => {
    const best = Math.max(...values.filter(Number.isFinite));
    const cells = values.map((value) => {
      if (!Number.isFinite(value)) return "-";
      const digits = value.toFixed(isAccuracy ? 2 : 3);
      return isAccuracy && value === best ? `**${digits}**` : digits;
    });
    return row([name, ...cells]);
  };
  const tasks = Object.keys(shown.at(-1)?.tasks ?? {});
  return [
    row(["", ...shown.map(({ method }) => text(method))]),
    `|:--|${shown.map(() => "--:").join("|")}|`,
    line(
      "**average**",
      shown.map(({ average }) => average),
    ),
    ...tasks.map((task) =>
      line(
        text(task),
        shown.map((row) => row.tasks[task] ?? Number.NaN),
      ),
    ),
  ];
}

function judged({ config, environment }: DescribedRun, { measure }: ResultsRow): string {
  const examples = examplesOf(environment);
  const { adapt_split, eval_split } = config.data;
  if (measure !== undefined) return `Mean entropy in nats, on the ${examples} adapted on.`;
  const used = `Accuracy in percent on the ${examples} of \`${text(eval_split ?? adapt_split)}\``;
  if (!adaptationOf(config, environment).startsWith("transductive"))
    return `${used}; adapted on those of \`${text(adapt_split)}\`.`;
  return `${used}, **which the coefficients were adapted on**: not to be compared with models that never saw them.`;
}

function settings({ config, environment, results }: DescribedRun): string {
  const { engine, device } = environment;
  const where = typeof engine === "string" ? ` on ${text(engine)} (${text(String(device))})` : "";
  const time = results === undefined ? "" : `, ${Math.round(results.seconds)} s`;
  const stages = stageConfigs(config).map((stage) => {
    const { granularity, parametrisation, objective, steps, optimizer } = stage;
    const learned = stageTitle(stage, parametrisation === "scalar" ? `${granularity} coefficients` : undefined);
    return `${learned}, ${objective.name}, ${steps} steps of ${optimizer.name} at ${optimizer.learning_rate}`;
  });
  return `${stages.join("; then ")}${where}${time}. Figures are in report.html (Artifacts).`;
}

/** Whether what is judged was adapted on. */
export function adaptationOf({ data }: RunConfig, environment: Readonly<Record<string, unknown>>): string {
  if (data.eval_split === null) return "not judged: no labels";
  if (data.adapt_split !== data.eval_split) return "inductive";
  return `transductive: adapted on the ${examplesOf(environment)} it is judged on`;
}

/** A name as text of a table in Markdown. */
export function text(name: string): string {
  return shownLine(name).replace(/[|\\`*<>[\]]/g, "\\$&");
}
