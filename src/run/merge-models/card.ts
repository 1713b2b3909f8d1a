/** README.md of models merged by a merge file: YAML front matter that the Hugging Face hub reads, the models, and the file itself. */
import { basename } from "node:path";
import { stringify } from "yaml";
import type { MergeFile } from "../../config/merge-file.js";
import { mergeMethods } from "../../merge/methods/registry.js";
import { tensorMethods } from "../../merge/per-tensor/registry.js";
import { codeBlock, codeSpan, markdownLine } from "../../report/markdown.js";
import { shownLine } from "../../runtime/printable.js";
import type { MergePlan } from "./plan.js";

/** The card's text; `heads` are the names of those that are written with the model. */
export function mergeCard(file: MergeFile, plan: MergePlan, version: string, heads: readonly string[]): string {
  const { base, models, method } = file;
  const names = models.filter(({ path }) => path !== base?.path).map(({ name }) => name);
  const frontMatter = stringify({
    base_model: [...(base === undefined ? [] : [base.name]), ...names].map(shownLine),
    base_model_relation: "merge",
    tags: ["merge", "adamerge"],
  });
  const paper = (mergeMethods.get(method.name) ?? tensorMethods.get(method.name))?.paper ?? "";
  const definition = method.kind === "per-tensor" ? ", by mergekit's definition, each tensor by itself" : "";
  const from = base === undefined ? "" : ` fine-tuned from ${codeSpan(base.name)}`;
  const sections = [
    `---\n${frontMatter}---`,
    `# ${markdownLine(file.title ?? basename(file.path).replace(/\.ya?ml$/, ""))}`,
    `A merge of ${names.length} models${from} (${names.map(codeSpan).join(", ")}), made by adamerge ${version}.`,
    `## Method\n\n[${plan.title}](${paper})${definition}.`,
    ...(heads.length === 0
      ? []
      : [
          `## Heads\n\n\`heads/\` has what the merged models classified with, unchanged, a safetensors file each: ${heads.map(codeSpan).join(", ")}. \`adamerge predict\` labels with them.`,
        ]),
    `## Configuration\n\nAs in \`merge.yaml\`:\n\n${codeBlock(file.text, "yaml")}`,
  ];
  return `${sections.join("\n\n")}\n`;
}
