/**
 * What goes with the tensors of a merge into the result, found before the work: the pattern's config.json, its other files, and the tokenizer's
 * from the model that the merge file names.
 */
import { join } from "node:path";
import { isTokenizerName } from "../../checkpoint/companion-names.js";
import { type Companion, type Companions, findCompanions } from "../../checkpoint/companions.js";
import { type ConfigChange, configTextAt, editConfig } from "../../checkpoint/config-text.js";
import { modelFolder, readModelText, statingDtype } from "../../checkpoint/saved-config.js";
import { HEADS_FOLDER, listHeads } from "../heads/heads-folder.js";
import type { MergePlan } from "./plan.js";

const PART = "text_config";

export interface MergeRest {
  /** The text of config.json; undefined where the pattern has none. */
  readonly config: string | undefined;
  readonly files: readonly Companion[];
  /** What a person should know. */
  readonly notices: readonly string[];
}

/** Throws CheckpointError for files that cannot be copied. `dtype`: that which the merge file states, if it does. */
export async function planRest(plan: MergePlan, dtype: string | undefined): Promise<MergeRest> {
  const { pattern, tokenizer } = plan;
  const folder = await modelFolder(pattern.path);
  const from = tokenizer === undefined ? folder : await modelFolder(tokenizer);
  // What becomes of heads is said where they are planned (expert-heads.ts).
  const hasHeads = folder !== undefined && (await listHeads(folder)).size > 0;
  const heads = hasHeads ? [join(folder, `${HEADS_FOLDER}/`)] : [];
  const own = [...[...pattern.tensors.values()].map(({ file }) => file.path), ...heads];
  const isOne = from === folder;
  const found: Companions[] = [];
  if (folder !== undefined)
    found.push(await findCompanions(folder, { own, wanted: (name) => isOne || !isTokenizerName(name) }));
  if (from !== undefined && !isOne) found.push(await findCompanions(from, { own: [], wanted: isTokenizerName }));
  const text = folder === undefined ? undefined : await readModelText(folder, "config.json");
  const notices = found.flatMap((companions) => companions.notices);
  if (folder === undefined)
    notices.push(`${pattern.path}: of a model that is one file only the tensors are known; no config.json is written`);
  else if (text === undefined) notices.push(`${folder}: there is no config.json; none is written`);
  return {
    config: text === undefined ? undefined : changedConfig(text, plan, dtype, join(folder ?? "", "config.json")),
    files: found.flatMap((companions) => companions.files),
    notices,
  };
}

/** The pattern's config with what would be wrong about the result put right, also where the settings of a language model are a part of it. */
function changedConfig(
  text: string,
  { jobs, specs, configChanges }: MergePlan,
  dtype: string | undefined,
  where: string,
) {
  const copies = new Set(jobs.flatMap(({ name, work }) => (work.kind === "copy" ? [name] : [])));
  const dtypes = specs.filter(({ name }) => !copies.has(name)).map((spec) => spec.dtype);
  const changes = Object.entries(configChanges).flatMap(([key, value]): ConfigChange[] => {
    const isInPart = configTextAt(text, [PART, key], where) !== undefined;
    return [{ path: [key], value }, ...(isInPart ? [{ path: [PART, key], value }] : [])];
  });
  return editConfig(statingDtype(text, dtypes, { isAdded: dtype !== undefined }, where), changes, where);
}
