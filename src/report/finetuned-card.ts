/** README.md of a model that `adamerge finetune` made: what it is of, how it was trained, what was measured, how it is used. */
import type { ExampleKind } from "../data/kind.js";
import { cardHead } from "./card-head.js";
import { licenceText, type MergedModel } from "./card-licence.js";
import { codeBlock, codeSpan, markdownLine } from "./markdown.js";
import { type Usage, usageText } from "./model-card.js";
import { markdownText } from "./table.js";

export interface FinetunedCardInput {
  readonly name: string;
  readonly base: MergedModel;
  readonly hubId: string | undefined;
  readonly kind: Pick<ExampleKind, "many" | "card">;
  readonly classes: readonly string[];
  /** What it was trained on, in a sentence without its end. */
  readonly trainedOn: string;
  /** Rows of accuracies: heading first. */
  readonly accuracies: readonly (readonly string[])[];
  /** YAML. */
  readonly settings: string;
  /** Undefined where the card is that of an adapter. */
  readonly usage: Usage | undefined;
  readonly version: string;
}

/** Classes that are named; all of them are in the head's file. */
const SHOWN = 20;

/** The card's text. */
export function finetunedCard(input: FinetunedCardInput): string {
  const { name, base, hubId, kind, classes, trainedOn, accuracies, settings, usage, version } = input;
  const isAdapter = usage === undefined;
  const head = cardHead({
    baseModels: hubId === undefined ? [] : [hubId],
    relation: isAdapter ? "adapter" : "finetune",
    licence: base.facts.licence,
    libraryName: isAdapter ? "peft" : usage.python?.library,
    pipelineTag: kind.card.encoding,
    tags: ["adamerge"],
  });
  const shown = classes.slice(0, SHOWN).map(markdownLine).join(", ");
  const more = classes.length > SHOWN ? ` and ${classes.length - SHOWN} more` : "";
  const sections = [
    head,
    `# ${markdownLine(name)}`,
    `${codeSpan(base.name)} fine-tuned on ${kind.many} of ${classes.length} classes, made by adamerge ${version}.`,
    `## Classes\n\n${shown}${more}.`,
    ...(usage === undefined ? [] : [`## Use\n\n${usageText(usage, kind)}`]),
    `## Data\n\n${markdownLine(trainedOn)}.`,
    ...(accuracies.length > 1 ? [`## Accuracy\n\n${markdownText(accuracies)}`] : []),
    `## Licence\n\n${licenceText([base])}`,
    `## Settings\n\n${codeBlock(settings, "yaml")}`,
  ];
  return `${sections.join("\n\n")}\n`;
}
