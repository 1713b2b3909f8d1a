/**
 * README.md of a merged model: YAML front matter the Hugging Face hub reads, the method, the coefficients,
 * the numbers, and on which data they were obtained, said plainly when that is the data it was fitted to.
 */
import { stringify } from "yaml";
import { formatConfig } from "../config/format.js";
import type { RunConfig } from "../config/schema.js";
import { processingOf } from "../merge/task-vector-processings.js";
import { objectiveFactsOf, readsLabels } from "../objective/catalog.js";
import { shownLine } from "../runtime/printable.js";
import type { CoefficientsRecord } from "../track/coefficients-file.js";
import { codeBlock, codeSpan, markdownLine } from "./markdown.js";
import { isEntropy, type ResultRow } from "./summary.js";
import { markdownTable, markdownText } from "./table.js";

export interface ModelCardInput {
  /** Title of the card. */
  readonly name: string;
  /** Hub ids or names of the base and of the experts, as the suite knows them. */
  readonly base: string;
  readonly experts: readonly string[];
  readonly config: RunConfig;
  /** What was adapted on and judged: "images", "texts". */
  readonly examples: string;
  readonly coefficients: CoefficientsRecord;
  readonly rows: readonly ResultRow[];
  /** How heads were made from labels, if some were. */
  readonly heads?: string | undefined;
  /** adamerge's own version. */
  readonly version: string;
}

const PAPER =
  "[AdaMerging: Adaptive Model Merging for Multi-Task Learning](https://arxiv.org/abs/2310.02575) (ICLR 2024)";

/** The card's text. */
export function modelCard(input: ModelCardInput): string {
  const { config, coefficients, rows, examples } = input;
  const frontMatter = stringify({
    base_model: [input.base, ...input.experts].map(shownLine),
    base_model_relation: "merge",
    tags: ["merge", "adamerge"],
  });
  const sections = [
    `---\n${frontMatter}---`,
    `# ${markdownLine(input.name)}`,
    `A merge of ${coefficients.tasks.length} models fine-tuned from ${codeSpan(input.base)} ` +
      `(${coefficients.tasks.map(markdownLine).join(", ")}), made by adamerge ${input.version}.`,
    `## Method\n\n${methodText(config)}`,
    `## Data\n\n${dataText(config, examples)}${input.heads === undefined ? "" : `\n\n${input.heads}`}`,
    ...(rows.length > 0 ? [resultsText(rows, examples)] : []),
    `## Coefficients\n\n${markdownText(coefficientCells(coefficients))}\n\n` +
      "All of them are in `coefficients.json`.",
    `## Configuration\n\n${codeBlock(shareableConfig(config), "yaml")}`,
  ];
  return `${sections.join("\n\n")}\n`;
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

function methodText(config: RunConfig): string {
  const processing = processingOf(config.task_vectors);
  const processed = processing === undefined ? "" : ` (${processing.title(config.task_vectors)})`;
  const range =
    config.coefficients.constraint === "clamp"
      ? `clamped to ${config.coefficients.min}..${config.coefficients.max}`
      : config.coefficients.constraint === "softmax"
        ? "positive, summing to 1 over the tasks"
        : "unconstrained";
  return (
    `${PAPER}: base + sum over tasks of coefficient x task vector${processed}, ${config.granularity} ` +
    `coefficients, ${range}. They start at ${config.coefficients.initial} and were fitted for ${config.steps} steps of ` +
    `${config.optimizer.name} (learning rate ${config.optimizer.learning_rate}) to minimise: ${lowerFirst(objectiveFactsOf(config.objective.name).title)}.`
  );
}

function resultsText(rows: readonly ResultRow[], examples: string): string {
  if (!isEntropy(rows)) return `## Accuracy\n\nIn percent.\n\n${markdownTable(rows)}`;
  const what = `Mean entropy of the predictions in nats, on the ${examples} adapted on. Lower is surer, which need not be better.`;
  return `## Entropy\n\n${what}\n\n${markdownTable(rows)}`;
}

/** Which split the coefficients saw and which one judged them; they must not be mistaken for one another. */
export function dataText({ data, objective }: Pick<RunConfig, "data" | "objective">, examples: string): string {
  const labels = readsLabels(objective.name) ? "with their labels" : "no labels";
  const most = data.adapt_limit === null ? "" : `at most ${data.adapt_limit} per task, `;
  const adapted = `Adapted on the ${examples} (${most}${labels}) of the ${codeSpan(data.adapt_split)} split`;
  if (data.eval_split === null)
    return `${adapted}. **Its accuracy was not measured**: no labelled ${examples} were given.`;
  const used = `${adapted}; accuracy measured on the ${codeSpan(data.eval_split)} split.`;
  if (data.adapt_split !== data.eval_split) return used;
  const how = readsLabels(objective.name)
    ? "with their labels: these numbers are an upper bound, not a result"
    : "test-time adaptation, as in the paper; no labels were used";
  return (
    `${used}\n\n**The coefficients were fitted to the very ${examples} they are judged on** (${how}). ` +
    `Do not compare these numbers with those of models that never saw the test ${examples}.`
  );
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);

/** The configuration without the paths of the machine it ran on, which mean nothing to the reader. */
function shareableConfig(config: RunConfig): string {
  const suite = config.suite.split(/[\\/]/).filter(Boolean).at(-1) ?? "suite";
  return formatConfig({ ...config, suite, output: "runs" });
}
