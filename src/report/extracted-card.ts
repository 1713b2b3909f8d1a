/** README.md of an adapter that was extracted from a model: of what, of which base and rank. */
import { cardHead } from "./card-head.js";
import { licenceText, type MergedModel } from "./card-licence.js";
import { codeSpan, markdownLine } from "./markdown.js";

export interface ExtractedCardInput {
  readonly name: string;
  readonly base: MergedModel;
  /** The name of the model that it was extracted from. */
  readonly model: string;
  readonly rank: number;
  readonly version: string;
}

/** The card's text. */
export function extractedCard({ name, base, model, rank, version }: ExtractedCardInput): string {
  const head = cardHead({
    ...{ baseModels: [], libraryName: "peft", licence: base.facts.licence, tags: ["adamerge", "lora"] },
  });
  const sections = [
    head,
    `# ${markdownLine(name)}`,
    `The difference of ${codeSpan(model)} from its base ${codeSpan(base.name)} as a LoRA adapter of rank ${rank}, made by adamerge ${version}: matrices truncated by singular values, other tensors that changed in full.`,
    `## Licence\n\n${licenceText([base])}`,
  ];
  return `${sections.join("\n\n")}\n`;
}
