/** README.md of models merged by a merge file: YAML front matter that the Hugging Face hub reads, the models, and the file itself. */
import { basename, dirname, isAbsolute } from "node:path";
import { parseConfig } from "../../checkpoint/config-text.js";
import { parseUri } from "../../checkpoint/hub/reference.js";
import { architecturesOf } from "../../checkpoint/saved-config.js";
import type { MergeFile, MergeFileModel } from "../../config/merge-file.js";
import { locateOnHub } from "../../data/suite-paths.js";
import { mergeMethods } from "../../merge/methods/registry.js";
import { tensorMethods } from "../../merge/per-tensor/registry.js";
import { readCardFacts } from "../../report/card-facts.js";
import { cardHead } from "../../report/card-head.js";
import { commonLicence, licenceText, type MergedModel } from "../../report/card-licence.js";
import { codeBlock, codeSpan, markdownLine } from "../../report/markdown.js";
import type { MergeRest } from "./companion-files.js";
import type { MergePlan } from "./plan.js";

/** The card's text; `heads` are the names of those that are written with the model. Reads the cards of the models. */
export async function mergeCard(
  file: MergeFile,
  plan: MergePlan,
  rest: Pick<MergeRest, "config" | "files">,
  version: string,
  heads: readonly string[],
): Promise<string> {
  const { base, models, method } = file;
  const others = models.filter(({ path }) => path !== base?.path);
  const names = others.map(({ name }) => name);
  const merged = [plan.base, ...plan.models].flatMap((model) => (model === undefined ? [] : [model]));
  const licences = await Promise.all(
    merged.map(
      async ({ name, checkpoint }): Promise<MergedModel> => ({ name, facts: await readCardFacts(checkpoint.path) }),
    ),
  );
  const all = [...(base === undefined ? [] : [base]), ...others];
  const head = cardHead({
    baseModels: (await Promise.all(all.map((model) => hubId(model, file)))).filter((id) => id !== undefined),
    relation: "merge",
    licence: commonLicence(licences),
    libraryName: libraryOf(rest, file.path),
    tags: ["merge", "adamerge"],
  });
  const paper = (mergeMethods.get(method.name) ?? tensorMethods.get(method.name))?.paper ?? "";
  const definition = method.kind === "per-tensor" ? ", by mergekit's definition, each tensor by itself" : "";
  const from = base === undefined ? "" : ` fine-tuned from ${codeSpan(base.name)}`;
  const sections = [
    head,
    `# ${markdownLine(file.title ?? basename(file.path).replace(/\.ya?ml$/, ""))}`,
    `A merge of ${names.length} models${from} (${names.map(codeSpan).join(", ")}), made by adamerge ${version}.`,
    `## Method\n\n[${plan.title}](${paper})${definition}.`,
    ...(heads.length === 0
      ? []
      : [
          `## Heads\n\n\`heads/\` has what the merged models classified with, unchanged, a safetensors file each: ${heads.map(codeSpan).join(", ")}. \`adamerge predict\` labels with them.`,
        ]),
    `## Licence\n\n${licenceText(licences)}`,
    `## Configuration\n\nAs in \`merge.yaml\`:\n\n${codeBlock(withoutFolders(file, all), "yaml")}`,
  ];
  return `${sections.join("\n\n")}\n`;
}

async function hubId({ model }: MergeFileModel, file: MergeFile): Promise<string | undefined> {
  return parseUri(await locateOnHub(model.text, "model", dirname(file.path)))?.id;
}

/** What loads the folder, as far as its files say. */
function libraryOf({ config, files }: Pick<MergeRest, "config" | "files">, where: string): string | undefined {
  if (files.some(({ name }) => name === "modules.json")) return "sentence-transformers";
  const isNamed = config !== undefined && architecturesOf(parseConfig(config, where)).length > 0;
  return isNamed ? "transformers" : undefined;
}

/** The file's text without folders of this machine, which mean nothing to the reader. */
function withoutFolders({ text }: MergeFile, models: readonly MergeFileModel[]): string {
  const places = models
    .flatMap(({ model, adapter }) => [model.text, adapter?.text ?? ""])
    .filter(isAbsolute)
    .toSorted((a, b) => b.length - a.length);
  return places.reduce((shown, place) => shown.replaceAll(place, basename(place)), text);
}
