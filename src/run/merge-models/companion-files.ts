/** Files beside the tensors that a model folder of transformers may have: they go with the merged model. */
import { copyFile, readdir } from "node:fs/promises";
import { join } from "node:path";

export const TOKENIZER_FILE =
  /^(?:tokenizer.*\.json|tokenizer\.model|.*\.tiktoken|special_tokens_map\.json|added_tokens\.json|vocab\.(?:json|txt)|merges\.txt|chat_template\.(?:jinja|json)|spiece\.model|sentencepiece.*\.model)$/;
export const MODEL_FILE = /^(?:generation_config|preprocessor_config|processor_config)\.json$/;

/** Copies the files of one folder whose names match. None where there is no folder. */
export async function copyMatching(from: string, folder: string, names: RegExp): Promise<void> {
  const entries = await readdir(from).catch(() => []);
  for (const name of entries.filter((entry) => names.test(entry))) await copyFile(join(from, name), join(folder, name));
}
