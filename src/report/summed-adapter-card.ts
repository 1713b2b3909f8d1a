/** README.md of an adapter that was merged of others: of which, how, and of which base. */
import { cardHead } from "./card-head.js";
import { commonLicence, licenceText, type MergedModel } from "./card-licence.js";
import { codeSpan, markdownLine } from "./markdown.js";

export interface SummedAdapterCardInput {
  readonly name: string;
  readonly base: MergedModel;
  readonly experts: readonly MergedModel[];
  /** The method, in a sentence. */
  readonly how: string;
  /** That matrices were truncated to; undefined where nothing was left out. */
  readonly rank: number | undefined;
  readonly version: string;
}

/** The card's text. */
export function summedAdapterCard({ name, base, experts, how, rank, version }: SummedAdapterCardInput): string {
  const models = [base, ...experts];
  const head = cardHead({
    ...{ baseModels: [], libraryName: "peft", licence: commonLicence(models), tags: ["merge", "adamerge", "lora"] },
  });
  const names = experts.map((expert) => codeSpan(expert.name)).join(", ");
  const stacked =
    rank === undefined
      ? "The factors of all of them stand side by side, scaled by their weights, so that nothing is left out."
      : `Matrices of a higher rank are truncated to rank ${rank} by singular values.`;
  const sections = [
    head,
    `# ${markdownLine(name)}`,
    `A merge of ${experts.length} LoRA adapters of ${codeSpan(base.name)} (${names}) as one adapter of it, made by adamerge ${version}. ${stacked}`,
    `## Method\n\n${how}`,
    `## Licence\n\n${licenceText(models)}`,
  ];
  return `${sections.join("\n\n")}\n`;
}
