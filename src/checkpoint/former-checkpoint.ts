/**
 * Recognises folders of merged models that versions before the manifest wrote, so that they can still be replaced: by our model card, and only as
 * long as nothing lies in them but the files that those versions wrote. This list is history: what is written today is in the manifest.
 */
import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../errors.js";
import type { Recognise } from "../runtime/own-files.js";
import { readText } from "../runtime/regular-file.js";

/** A card with all coefficients of hundreds of tasks is well below this. */
const MAX_CARD_BYTES = 16 * 1024 * 1024;
const CARD = /^---\n[\s\S]*?^ {2}- adamerge\n[\s\S]*?^---\n[\s\S]* made by adamerge \S/m;
const FILES =
  /^(?:README\.md|config\.json|(?:generation_config|preprocessor_config|processor_config)\.json|model(?:-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json|tokenizer.*\.json|tokenizer\.model|.*\.tiktoken|special_tokens_map\.json|added_tokens\.json|vocab\.(?:json|txt)|merges\.txt|chat_template\.(?:jinja|json)|spiece\.model|sentencepiece.*\.model)$/;
const MERGE_FILE = "merge.yaml";

/** Which files of `folder` a former version wrote; undefined when nothing says that it wrote any. */
export async function formerCheckpoint(folder: string): Promise<Recognise | undefined> {
  const card = await textOf(join(folder, "README.md"));
  if (card === undefined || !CARD.test(card)) return undefined;
  // The card of a merge file repeats the file.
  const file = await textOf(join(folder, MERGE_FILE));
  const isOfCard = file !== undefined && card.includes(file.trimEnd());
  return (name) => (name === MERGE_FILE ? isOfCard : FILES.test(name));
}

async function textOf(path: string): Promise<string | undefined> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isFile() !== true) return undefined;
  return readText(path, "text", MAX_CARD_BYTES, UserError).catch(() => undefined);
}
