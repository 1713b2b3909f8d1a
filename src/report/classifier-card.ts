/** README.md of a model that was written as a classifier of transformers: what it is, and the lines that run it. */
import type { CardWords } from "../data/kind.js";
import type { CardFacts } from "./card-facts.js";
import { cardHead } from "./card-head.js";
import { codeBlock, codeSpan, markdownLine } from "./markdown.js";

export interface ClassifierCardInput {
  readonly name: string;
  /** The class of transformers. */
  readonly architecture: string;
  readonly words: CardWords;
  readonly classes: readonly string[];
  /** Whose head it has; of several the mean. */
  readonly tasks: readonly string[];
  /** Of the model that it was made of. */
  readonly facts: CardFacts;
  /** adamerge's own version. */
  readonly version: string;
}

/** Classes that are named; all of them are in config.json. */
const SHOWN = 20;

/** The card's text. */
export function classifierCard(input: ClassifierCardInput): string {
  const { name, architecture, words, classes, tasks, facts, version } = input;
  const { licence, baseModels, relation } = facts;
  const head = cardHead({
    ...{ licence, baseModels, relation },
    ...{ libraryName: "transformers", pipelineTag: words.classification, tags: ["merge", "adamerge"] },
  });
  const heads = tasks.length > 1 ? `the mean of the heads ${tasks.map(codeSpan).join(", ")}` : "its head";
  const shown = classes.slice(0, SHOWN).map(markdownLine).join(", ");
  const more = classes.length > SHOWN ? ` and ${classes.length - SHOWN} more` : "";
  const { python, classification } = words;
  const given = [JSON.stringify(classification), '"."', ...python.pipelineOptions].join(", ");
  const lines = [
    ...python.imports,
    "from transformers import pipeline",
    "",
    python.line,
    `for labels in pipeline(${given})(${python.variable}, top_k=3):`,
    "    print(labels)",
  ];
  const sections = [
    head,
    `# ${markdownLine(name)}`,
    `A merged model with ${heads} as a ${codeSpan(architecture)}, written by adamerge ${version}.`,
    `## Classes\n\n${shown}${more}.`,
    `## Use\n\nIn this folder:\n\n${codeBlock(lines.join("\n"), "python")}`,
    ...(licence === undefined ? ["## Licence\n\nNot stated: the model that this was made of does not say it."] : []),
  ];
  return `${sections.join("\n\n")}\n`;
}
