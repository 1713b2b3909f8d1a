/**
 * Whether the tokenizer that a merge file asks for can be the result's: it is there, and all models have its
 * vocabulary. Where they differ, mergekit puts the rows of embeddings in a new order; that is not done here, and
 * merging rows of different tokens would be wrong.
 */
import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { MergeFile } from "../../config/merge-file.js";
import { CheckpointError, ConfigError } from "../../errors.js";
import { printable } from "../../runtime/printable.js";
import { readText } from "../../runtime/regular-file.js";

/** Those of 260,000 tokens have some 35 MB. */
const MAX_TOKENIZER_BYTES = 200_000_000;
const TOKENIZER = "tokenizer.json";
/** Files with a vocabulary, the first of which that two models have is compared. */
const VOCABULARIES = [
  TOKENIZER,
  "tokenizer.model",
  "spiece.model",
  "vocab.json",
  "vocab.txt",
  "tekken.json",
  "vocab.model",
];

/**
 * `folder` is the source's, `models` are all that are merged. Returns notices; throws ConfigError where the tokenizer
 * is not there or another.
 */
export async function checkTokenizer(
  { tokenizer }: MergeFile,
  folder: string | undefined,
  models: readonly { readonly name: string; readonly path: string }[],
): Promise<readonly string[]> {
  const asked = tokenizer?.asked;
  if (asked === undefined || folder === undefined) return [];
  const { where, text } = asked;
  const own = await vocabularyFiles(folder);
  if (own.length === 0)
    throw new ConfigError(
      `${where}: expected base or a model with a tokenizer (${VOCABULARIES.slice(0, 4).join(", ")} ...), found ${text}, and none of these in ${folder}`,
    );
  const notices: string[] = [];
  for (const { name, path } of models) {
    if (path === folder) continue;
    const files = await vocabularyFiles(path);
    const shared = own.find((file) => files.includes(file));
    if (files.length === 0) notices.push(`${name} has no tokenizer: its tokens are taken to be those of ${folder}`);
    else if (shared === undefined || (await vocabularyHash(folder, shared)) !== (await vocabularyHash(path, shared)))
      throw new ConfigError(
        `${where}: expected models with one vocabulary for ${text}, found another one in model ${name} (${shared === undefined ? files.join(", ") : shared}); joining vocabularies is not done here`,
      );
  }
  return notices;
}

async function vocabularyFiles(folder: string): Promise<readonly string[]> {
  const names: readonly string[] = await readdir(folder).catch(() => []);
  return VOCABULARIES.filter((name) => names.includes(name));
}

/** Tokens with their numbers, of tokenizer.json; other files as they are. */
async function vocabularyHash(folder: string, name: string): Promise<string> {
  const path = join(folder, name);
  const hash = createHash("sha256");
  if (name !== TOKENIZER) return hash.update(await readText(path, "a vocabulary", MAX_TOKENIZER_BYTES)).digest("hex");
  const text = await readText(path, "a tokenizer", MAX_TOKENIZER_BYTES);
  const tokens = tokensOf(parsed(text, path));
  // Of another form: it is compared as it is.
  if (tokens.length === 0) return hash.update(text).digest("hex");
  for (const [token, id] of tokens.toSorted((a, b) => a[1] - b[1])) hash.update(`${id} ${JSON.stringify(token)}\n`);
  return hash.digest("hex");
}

function parsed(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = printable(error instanceof Error ? error.message : String(error));
    throw new CheckpointError(`${path}: expected JSON, found a mistake (${reason}). Get the file again.`);
  }
}

function tokensOf(tokenizer: unknown): (readonly [token: string, id: number])[] {
  const vocabulary = fieldOf(fieldOf(tokenizer, "model"), "vocab");
  const added = fieldOf(tokenizer, "added_tokens");
  const tokens: (readonly [string, number])[] = [];
  if (Array.isArray(vocabulary))
    for (const [id, entry] of vocabulary.entries()) tokens.push([String(Array.isArray(entry) ? entry[0] : entry), id]);
  else if (typeof vocabulary === "object" && vocabulary !== null)
    for (const [token, id] of Object.entries(vocabulary)) tokens.push([token, Number(id)]);
  for (const entry of Array.isArray(added) ? added : [])
    tokens.push([String(fieldOf(entry, "content")), Number(fieldOf(entry, "id"))]);
  // Added tokens may be in the vocabulary too.
  return [...new Map(tokens.map((pair) => [pair.join("\u0000"), pair])).values()];
}

function fieldOf(object: unknown, key: string): unknown {
  return typeof object === "object" && object !== null ? Reflect.get(object, key) : undefined;
}
