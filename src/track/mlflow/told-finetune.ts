/** What a server is told of a fine-tuning. */
import path from "node:path";
import { FINETUNE_EXPERIMENT, type FinetuneConfig, finetuneKeys } from "../../config/finetune.js";
import { readJsonFileIfThere } from "../../runtime/json-file.js";
import { type FinetuneSummary, finetuneSummaryKind, HELD_ACCURACY, HELD_LOSS } from "../finetune-events.js";
import type { FinetuneRun } from "../read-run.js";
import { examplesOf } from "../run-folder.js";
import type { MlflowMetric } from "./client.js";
import { text } from "./description.js";
import { datasetsOf, paramsOf } from "./run-data.js";
import type { PointPlace, ResultPoints, ToldKind } from "./told-run.js";

/** Throws ConfigError for a summary that is damaged. */
export async function toldFinetune(
  folder: string,
  run: FinetuneRun,
  environment: Readonly<Record<string, unknown>>,
): Promise<ToldKind> {
  const { config } = run;
  const summary = await readJsonFileIfThere(path.join(folder, "summary.json"), finetuneSummaryKind);
  const held = datasetsOf(environment).find(({ context }) => context === "validation")?.name;
  return {
    experiment: FINETUNE_EXPERIMENT,
    // What the config calls it, or what is chosen where that says nothing: either way the folder's.
    name: path.basename(folder),
    params: paramsOf(config, finetuneKeys),
    tags: [
      { key: "adamerge.kind", value: "finetune" },
      { key: "adamerge.base", value: path.basename(config.base) },
      { key: "adamerge.trained", value: trainedText(config) },
    ],
    description: descriptionOf(run, summary, environment),
    results: summary && ((at) => resultPoints(summary, at)),
    isMeasuredOn: (metric, dataset) => (metric === HELD_ACCURACY || metric === HELD_LOSS) && dataset === held,
    model: { type: "fine-tuned encoder", isWanted: config.log_model, register: config.register_model },
  };
}

function trainedText({ lora }: Pick<FinetuneConfig, "lora">): string {
  return lora.rank === 0 ? "all weights" : `LoRA of rank ${lora.rank}`;
}

function resultPoints({ accuracyPercent, seconds }: FinetuneSummary, at: PointPlace): ResultPoints {
  const { before, held, test } = accuracyPercent;
  const point = (key: string, value: number | undefined): MlflowMetric[] =>
    value === undefined ? [] : [{ key, value, ...at }];
  const gain = before === undefined || held === undefined ? undefined : held - before;
  const model = [...point("saved/acc", held), ...point("saved/test_acc", test), ...point("gain/acc", gain)];
  return { run: [...model, ...point("time/seconds", seconds)], model };
}

function descriptionOf(
  { config, status }: FinetuneRun,
  summary: FinetuneSummary | undefined,
  environment: Readonly<Record<string, unknown>>,
): string {
  if (status.state === "failed")
    return `**Failed** after step ${status.step}: ${text(status.error ?? "no reason is known")}`;
  if (status.state === "interrupted")
    return `**Stopped** after step ${status.step}. \`adamerge finetune --resume\` takes it up again.`;
  const what = `${text(path.basename(config.base))} fine-tuned (${trainedText(config)})`;
  if (summary === undefined) return `${what}.`;
  const { task, classes, step, steps, accuracyPercent } = summary;
  const examples = examplesOf(environment);
  const { before, held, test } = accuracyPercent;
  const since = before === undefined ? "" : `, ${before.toFixed(2)} % before the training`;
  return [
    ...(held === undefined ? [] : [`**${held.toFixed(2)} %** accuracy on the ${examples} held out${since}.`]),
    ...(test === undefined ? [] : [`**${test.toFixed(2)} %** on its test split, which nothing was chosen on.`]),
    `${what} on ${text(task)}, ${classes.length} classes; saved are the weights of step ${step} of ${steps}. Figures are in report.html (Artifacts).`,
  ].join("\n\n");
}
