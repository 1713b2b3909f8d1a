/**
 * README.md of a merged model: YAML front matter the Hugging Face hub reads, lines that run it, the method, the
 * numbers, and on which data they were obtained, said plainly when that is the data it was fitted to; licence,
 * coefficients, and the settings that were changed.
 */
import { formatChanges } from "../config/format.js";
import { HEADS_TITLES } from "../config/heads.js";
import { PARAMETRISATION_TITLES } from "../config/parametrisation.js";
import type { RunConfig } from "../config/schema.js";
import { learnedHeads, stageConfigs } from "../config/stages.js";
import type { ExampleKind } from "../data/kind.js";
import { processingOf } from "../merge/task-vector-processings.js";
import type { PythonFeatures } from "../model/family.js";
import { objectiveFactsOf, readsLabels } from "../objective/catalog.js";
import type { CoefficientsRecord } from "../track/coefficients-file.js";
import { type CardDataset, type CardResult, cardHead } from "./card-head.js";
import { commonLicence, licenceText, type MergedModel } from "./card-licence.js";
import { codeBlock, codeSpan, markdownLine } from "./markdown.js";
import { isEntropy, type ResultRow } from "./summary.js";
import { markdownTable, markdownText } from "./table.js";
import { pythonPackages, pythonUsage, typescriptUsage, type UsageInput } from "./usage-lines.js";

export interface ModelCardInput {
  /** Title of the card. */
  readonly name: string;
  /** The base first, then the experts. */
  readonly models: readonly CardModel[];
  readonly config: RunConfig;
  /** What was adapted on and judged. */
  readonly kind: Pick<ExampleKind, "many" | "card">;
  readonly coefficients: CoefficientsRecord;
  readonly rows: readonly ResultRow[];
  /** What readers must be told besides, in sentences without a full stop; default: nothing. */
  readonly notices?: readonly string[];
  /** The row of the merged model itself, and the data sets of its tasks, for the hub's index of results. */
  readonly measured?: { readonly row: ResultRow; readonly datasets: ReadonlyMap<string, CardDataset> } | undefined;
  /** Where its heads are, and how they were made. */
  readonly heads: string;
  /** Bytes of the numbers of its heads that were learned with it; default: 0. */
  readonly headBytes?: number | undefined;
  /** What runs it; undefined where the model is not saved. */
  readonly usage?: Usage | undefined;
  /** adamerge's own version. */
  readonly version: string;
}

export interface CardModel extends MergedModel {
  /** On the Hugging Face hub, where it is from there. */
  readonly hubId?: string | undefined;
}

export interface Usage extends Omit<UsageInput, "words"> {
  /** How Python computes its features; undefined for a model that no library has. */
  readonly python: PythonFeatures | undefined;
}

const PAPER =
  "[AdaMerging: Adaptive Model Merging for Multi-Task Learning](https://arxiv.org/abs/2310.02575) (ICLR 2024)";

/** The card's text. */
export function modelCard(input: ModelCardInput): string {
  const { config, coefficients, rows, kind, models, usage, notices = [] } = input;
  const [base] = models;
  const sections = [
    headText(input),
    `# ${markdownLine(input.name)}`,
    `A merge of ${coefficients.tasks.length} models fine-tuned from ${codeSpan(base?.name ?? "")} ` +
      `(${coefficients.tasks.map(markdownLine).join(", ")}), made by adamerge ${input.version}.`,
    ...(usage === undefined ? [] : [`## Use\n\n${input.heads}\n\n${usageText(usage, kind)}`]),
    `## Method\n\n${methodText(config)}${headsText(input)}${notices.map((notice) => `\n\nNote: ${markdownLine(notice)}.`).join("")}`,
    `## Data\n\n${dataText(config, kind.many)}`,
    ...(rows.length > 0 ? [resultsText(rows, kind.many)] : []),
    `## Licence\n\n${licenceText(models)}`,
    `## Coefficients\n\n${nearestText(coefficients)}${markdownText(coefficientCells(coefficients))}`,
    `## Settings\n\nThose that are not the defaults:\n\n${codeBlock(shareableChanges(config), "yaml")}`,
  ];
  return `${sections.join("\n\n")}\n`;
}

function headText({ name, models, config, kind, measured, usage }: ModelCardInput): string {
  const isMeasured = measured !== undefined && measured.row.measure === undefined && config.data.eval_split !== null;
  return cardHead({
    baseModels: models.flatMap(({ hubId }) => hubId ?? []),
    relation: "merge",
    licence: commonLicence(models),
    libraryName: usage?.python?.library,
    pipelineTag: usage === undefined ? undefined : kind.card.encoding,
    tags: ["merge", "adamerge"],
    results: isMeasured ? { model: name, entries: resultEntries(measured, config, kind) } : undefined,
  });
}

function resultEntries(
  { row, datasets }: NonNullable<ModelCardInput["measured"]>,
  { data }: RunConfig,
  { card, many }: ModelCardInput["kind"],
): CardResult[] {
  const split = data.eval_split ?? "";
  // Whoever reads only the index must not take it for what it is not.
  const metric = data.adapt_split === split ? `Accuracy on the ${many} adapted on` : "Accuracy";
  return Object.entries(row.tasks).flatMap(([task, percent]) => {
    const dataset = datasets.get(task);
    if (dataset === undefined || !Number.isFinite(percent)) return [];
    const value = Number((percent / 100).toFixed(4));
    return [
      { task: card.classification, dataset: { ...dataset, split }, metric: { type: "accuracy", name: metric, value } },
    ];
  });
}

/** How the model is used: lines of Python and of TypeScript. */
export function usageText({ python, ...where }: Usage, { card }: ModelCardInput["kind"]): string {
  const place = where.folder === "." ? "this folder" : "the folder of this card";
  const given = { ...where, words: card };
  const inTypescript = `In TypeScript (${codeSpan("npm install adamerge")}):\n\n${codeBlock(typescriptUsage(given), "ts")}`;
  if (python === undefined) return inTypescript;
  const packages = codeSpan(`pip install ${pythonPackages(python, card).join(" ")}`);
  return `In Python, in ${place} (${packages}):\n\n${codeBlock(pythonUsage(python, given), "python")}\n\n${inTypescript}`;
}

/** Per task: mean, least and greatest coefficient, and the share that is exactly 0. */
export function coefficientCells({ tasks, groups, values }: CoefficientsRecord): string[][] {
  const rows = tasks.map((task, index) => {
    const row = values[index] ?? [];
    const mean = row.reduce((sum, value) => sum + value, 0) / row.length;
    const zeros = row.filter((value) => value === 0).length;
    return [
      task,
      mean.toFixed(4),
      Math.min(...row).toFixed(4),
      Math.max(...row).toFixed(4),
      `${((100 * zeros) / row.length).toFixed(1)} %`,
    ];
  });
  return [[`task (${groups.length} groups)`, "mean", "min", "max", "zero"], ...rows];
}

/** What the table of coefficients is not, where something else was learned; with the largest and mean share that it leaves out. */
function nearestText({ nearest }: CoefficientsRecord): string {
  if (nearest === undefined) return "";
  const { outside } = nearest;
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const mean = outside.reduce((sum, share) => sum + share / outside.length, 0);
  return `Other parameters were learned (\`${nearest.parametrisation}\`). These are the coefficients nearest to the result, tensor by tensor; they leave out ${percent(mean)} of a tensor's change in the mean, ${percent(Math.max(...outside))} at most.\n\n`;
}

function methodText(config: RunConfig): string {
  if (config.stages === null) return stageText(config);
  const stages = stageConfigs(config).map((stage, index) => `${index + 1}. ${stageText(stage, index > 0)}`);
  return `Learned in ${stages.length} stages, each from the weights that the former one ended with.\n\n${stages.join("\n")}`;
}

/** What learned heads ask of whoever uses the model; nothing where they are the experts' own. */
function headsText({ config, headBytes = 0, coefficients }: ModelCardInput): string {
  const learned = learnedHeads(config);
  if (learned.length === 0) return "";
  const what = learned.includes("surgery")
    ? "Each task has an adapter of its own between the features and its head, which changes them: features - up relu(down features)"
    : "The heads are not the experts' own any more, but were learned with the merged model";
  const size = `${headBytes.toLocaleString("en-US")} bytes of numbers for ${coefficients.tasks.length} tasks, beside one model`;
  return `\n\n${what}. They are ${size}, and the task of an input must be known to choose among them.`;
}

/** What one stage, or the whole fit, learned. A later one begins where the former ended. */
function stageText(config: RunConfig, isLater = false): string {
  const processing = processingOf(config.task_vectors);
  const processed = processing === undefined ? "" : ` (${processing.title(config.task_vectors)})`;
  const origin = config.task_vectors.origin === "average" ? "mean of the experts" : "base";
  const { heads } = config;
  if (config.parametrisation === "none" && heads !== "frozen") {
    const weights = isLater
      ? "the weights of the former stage"
      : `${origin} + ${config.coefficients.initial} x sum of the task vectors${processed}`;
    const own = config.heads_learning_rate;
    return `The ${HEADS_TITLES[heads]} (\`heads: ${heads}\`) ${fittedText(config, own)} The weights stay ${weights}.`;
  }
  const fitted = `${fittedText(config)}${heads === "frozen" ? "" : ` With them ${HEADS_TITLES[heads]} were learned (\`heads: ${heads}\`, learning rate ${config.heads_learning_rate}).`}`;
  if (config.parametrisation !== "scalar") {
    const start = isLater
      ? "change the weights of the former stage"
      : `start as the sum of the task vectors times ${config.coefficients.initial}`;
    return `The ${PARAMETRISATION_TITLES[config.parametrisation]} (\`parametrisation: ${config.parametrisation}\`) of ${origin} and task vectors${processed}, which ${start}, ${fitted}`;
  }
  const range =
    config.coefficients.constraint === "clamp"
      ? `clamped to ${config.coefficients.min}..${config.coefficients.max}`
      : config.coefficients.constraint === "softmax"
        ? "positive, summing to 1 over the tasks"
        : "unconstrained";
  return (
    `${PAPER}: ${origin} + sum over tasks of coefficient x task vector${processed}, ${config.granularity} ` +
    `coefficients, ${range}. They start ${isLater ? "at those of the former stage" : `at ${config.coefficients.initial}`} and ${fitted}`
  );
}

function fittedText({ steps, optimizer, objective }: RunConfig, learningRate = optimizer.learning_rate): string {
  const title = lowerFirst(objectiveFactsOf(objective.name).title);
  return `were fitted for ${steps} steps of ${optimizer.name} (learning rate ${learningRate}) to minimise: ${title}.`;
}

function resultsText(rows: readonly ResultRow[], examples: string): string {
  if (!isEntropy(rows)) return `## Accuracy\n\nIn percent.\n\n${markdownTable(rows)}`;
  const what = `Mean entropy of the predictions in nats, on the ${examples} adapted on. Lower is surer, which need not be better.`;
  return `## Entropy\n\n${what}\n\n${markdownTable(rows)}`;
}

/** Which split the coefficients saw and which one judged them; they must not be mistaken for one another. */
export function dataText(config: RunConfig, examples: string): string {
  const { data } = config;
  const labels = readsLabels(config) ? "with their labels" : "no labels";
  const { adapt_limit, adapt_per_class } = data;
  const [number, whole] = adapt_per_class === null ? [adapt_limit, "task"] : [adapt_per_class, "class"];
  const most = number === null ? "" : `at most ${number} per ${whole}, `;
  const adapted = `Adapted on the ${examples} (${most}${labels}) of the ${codeSpan(data.adapt_split)} split`;
  if (data.eval_split === null)
    return `${adapted}. **Its accuracy was not measured**: no labelled ${examples} were given.`;
  const used = `${adapted}; accuracy measured on the ${codeSpan(data.eval_split)} split.`;
  if (data.adapt_split !== data.eval_split) return used;
  const how = readsLabels(config)
    ? "with their labels: these numbers are an upper bound, not a result"
    : "test-time adaptation, as in the paper; no labels were used";
  return (
    `${used}\n\n**The coefficients were fitted to the very ${examples} they are judged on** (${how}). ` +
    `Do not compare these numbers with those of models that never saw the test ${examples}.`
  );
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);

/** What was set, without the paths of the machine it ran on, which mean nothing to the reader. */
function shareableChanges(config: RunConfig): string {
  const suite = config.suite.split(/[\\/]/).filter(Boolean).at(-1) ?? "suite";
  return formatChanges({ ...config, suite });
}
