/**
 * The files of a folder's tokenizer: tokenizer.json with tokenizer_config.json; of older models, which have none, vocab.txt (BERT) or vocab.json and
 * merges.txt (RoBERTa), as transformers' converters make a fast tokenizer of them. Only for the thread of `tokenizer-worker.ts`.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { CheckpointError } from "../../../errors.js";
import { parseBoundedJson } from "../../../runtime/bounded-json.js";
import { quote } from "../../../runtime/printable.js";
import { readTextIfThere } from "../../../runtime/regular-file.js";
import type { TokenizerFiles } from "./folder-tokenizer.js";

/** The largest published ones have some 30 MB. */
const MAX_BYTES = 100_000_000;
const SENTENCEPIECE = ["spiece.model", "sentencepiece.bpe.model", "sentencepiece.model", "tokenizer.model"];
/** Files that take part; what they have together bounds how long reading may take. */
export const TOKENIZER_FILES = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "vocab.txt",
  "vocab.json",
  "merges.txt",
];
const CONVERT = 'write it there with transformers: AutoTokenizer.from_pretrained("FOLDER").save_pretrained("FOLDER")';

export const vocabularySchema = z.record(z.string(), z.int().min(0));
const anyObject = z.record(z.string(), z.unknown());
const tokenSchema = z.union([z.string(), z.looseObject({ content: z.string() }).transform(({ content }) => content)]);

/** Texts of files, and a digest of all that were read. */
export interface FolderReader {
  readonly text: (name: string) => Promise<string | undefined>;
  readonly object: (name: string) => Promise<Readonly<Record<string, unknown>> | undefined>;
  readonly fingerprint: () => string;
}

export function folderReader(folder: string): FolderReader {
  const hash = createHash("sha256");
  const text = async (name: string): Promise<string | undefined> => {
    const found = await readTextIfThere(join(folder, name), "a file of a tokenizer", MAX_BYTES);
    if (found !== undefined) hash.update(JSON.stringify([name, found.length])).update(found);
    return found;
  };
  const object = async (name: string): Promise<Readonly<Record<string, unknown>> | undefined> => {
    const found = await text(name);
    return found === undefined ? undefined : jsonObject(found, join(folder, name));
  };
  return { text, object, fingerprint: () => hash.copy().digest("hex") };
}

function jsonObject(text: string, path: string): Readonly<Record<string, unknown>> {
  let json: unknown;
  try {
    json = parseBoundedJson(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError(`${path}: expected JSON (${reason}); get the file again`, { cause });
  }
  const parsed = anyObject.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new CheckpointError(
    `${path}: expected a JSON object, found something else (${parsed.error.issues[0]?.message}); get the file again`,
  );
}

/** Throws CheckpointError when there is no tokenizer that is read, or a file of it is damaged. */
export async function readTokenizerFiles(folder: string): Promise<TokenizerFiles> {
  const reader = folderReader(folder);
  const settings = {
    ...(await reader.object("special_tokens_map.json")),
    ...(await reader.object("tokenizer_config.json")),
  };
  const json = await reader.object("tokenizer.json");
  if (json !== undefined)
    return { json, settings, where: join(folder, "tokenizer.json"), fingerprint: reader.fingerprint() };
  const older = (await fromVocabularyText(folder, reader, settings)) ?? (await fromMerges(folder, reader, settings));
  if (older === undefined) throw await nothingRead(folder, reader);
  if ((await reader.text("added_tokens.json")) !== undefined)
    throw new CheckpointError(
      `${folder}: expected tokenizer.json, since added_tokens.json has tokens besides the vocabulary, found none; ${CONVERT}`,
    );
  return { ...older, settings, fingerprint: reader.fingerprint() };
}

async function nothingRead(folder: string, reader: FolderReader): Promise<CheckpointError> {
  for (const name of SENTENCEPIECE) {
    if (existsSync(join(folder, name)))
      return new CheckpointError(
        `${folder}: expected tokenizer.json, found ${name} alone, which only sentencepiece reads; ${CONVERT} (it needs \`pip install sentencepiece\` once)`,
      );
  }
  const has = (await reader.text("vocab.json")) !== undefined ? ", though vocab.json is there" : "";
  return new CheckpointError(
    `${folder}: expected tokenizer.json, vocab.txt, or vocab.json and merges.txt, found none of them${has}; copy the tokenizer files of the model there`,
  );
}

type Older = Pick<TokenizerFiles, "json" | "where">;
type Settings = Readonly<Record<string, unknown>>;

/** The content of a special token that the files name, or what it is by default. */
function special(settings: Settings, key: string, otherwise: string): string {
  return tokenSchema.safeParse(settings[key] ?? otherwise).data ?? otherwise;
}

function flag(settings: Settings, key: string, otherwise: boolean): boolean {
  const value = settings[key];
  return typeof value === "boolean" ? value : otherwise;
}

/** Source: transformers 4, convert_slow_tokenizer.py, BertConverter. */
async function fromVocabularyText(
  folder: string,
  reader: FolderReader,
  settings: Settings,
): Promise<Older | undefined> {
  const text = await reader.text("vocab.txt");
  if (text === undefined) return undefined;
  const where = join(folder, "vocab.txt");
  const lines = text.split(/\r\n|\r|\n/);
  if (lines.at(-1) === "") lines.pop();
  const vocabulary = new Map(lines.map((token, id) => [token, id]));
  const names = {
    unk: special(settings, "unk_token", "[UNK]"),
    sep: special(settings, "sep_token", "[SEP]"),
    pad: special(settings, "pad_token", "[PAD]"),
    cls: special(settings, "cls_token", "[CLS]"),
    mask: special(settings, "mask_token", "[MASK]"),
  };
  const { cls, sep, unk } = names;
  for (const token of [cls, sep, unk])
    if (!vocabulary.has(token) || cls === "<s>")
      throw new CheckpointError(
        `${where}: expected the vocabulary of a BERT model, with ${[cls, sep, unk].map(quote).join(", ")} around its texts, found another; ${CONVERT}`,
      );
  const strip = settings.strip_accents;
  const part = (token: string, type_id: number) => ({ SpecialToken: { id: token, type_id } });
  const sequence = (id: string, type_id: number) => ({ Sequence: { id, type_id } });
  const single = [part(cls, 0), sequence("A", 0), part(sep, 0)];
  const json = {
    added_tokens: addedTokens(Object.values(names), vocabulary),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: flag(settings, "tokenize_chinese_chars", true),
      strip_accents: typeof strip === "boolean" ? strip : null,
      lowercase: flag(settings, "do_lower_case", true),
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single,
      pair: [...single, sequence("B", 1), part(sep, 1)],
      special_tokens: Object.fromEntries([cls, sep].map((token) => [token, { ids: [vocabulary.get(token)] }])),
    },
    model: { type: "WordPiece", vocab: Object.fromEntries(vocabulary), unk_token: unk },
  };
  return { json, where };
}

/** Source: transformers 4, convert_slow_tokenizer.py, RobertaConverter. */
async function fromMerges(folder: string, reader: FolderReader, settings: Settings): Promise<Older | undefined> {
  const merges = await reader.text("merges.txt");
  const vocab = merges === undefined ? undefined : await reader.object("vocab.json");
  if (merges === undefined || vocab === undefined) return undefined;
  const where = join(folder, "vocab.json");
  const vocabulary = new Map(Object.entries(tokenNumbers(vocab, where)));
  const names = { cls: special(settings, "cls_token", "<s>"), sep: special(settings, "sep_token", "</s>") };
  const end = (token: string): [string, number] => {
    const id = vocabulary.get(token);
    if (id !== undefined) return [token, id];
    throw new CheckpointError(
      `${where}: expected the vocabulary of a RoBERTa model, with ${quote(token)}, found none; ${CONVERT}`,
    );
  };
  const others = ["pad", "unk"].map((name) => special(settings, `${name}_token`, `<${name}>`));
  const mask = special(settings, "mask_token", "<mask>");
  const json = {
    added_tokens: [
      ...addedTokens([names.cls, names.sep, ...others], vocabulary),
      ...addedTokens([mask], vocabulary).map((token) => ({ ...token, lstrip: true })),
    ],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: flag(settings, "add_prefix_space", false) },
    post_processor: { type: "RobertaProcessing", cls: end(names.cls), sep: end(names.sep) },
    model: { type: "BPE", vocab: Object.fromEntries(vocabulary), merges: mergeLines(merges) },
  };
  return { json, where };
}

/** The lines of merges.txt but the first, which says its version. */
export function mergeLines(text: string): readonly string[] {
  return text.split(/\r?\n/).filter((line, index) => line !== "" && !(index === 0 && line.startsWith("#version")));
}

/** vocab.json, checked. */
export function tokenNumbers(json: unknown, where: string): Readonly<Record<string, number>> {
  const parsed = vocabularySchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new CheckpointError(
    `${where}: expected numbers of tokens, found something else (${parsed.error.issues[0]?.message}); get the file again`,
  );
}

function addedTokens(contents: readonly string[], vocabulary: ReadonlyMap<string, number>) {
  return [...new Set(contents)].flatMap((content) => {
    const id = vocabulary.get(content);
    return id === undefined ? [] : [{ id, content, normalized: false, special: true }];
  });
}
