/**
 * The files of CLIP's tokenizer: tokenizer.json, or vocab.json and merges.txt, which old repositories have instead and of which transformers'
 * CLIPTokenizer makes the same.
 */
import { join } from "node:path";
import type { TokenizerFiles } from "../../data/text/tokenizer/folder-tokenizer.js";
import { folderReader, mergeLines, tokenNumbers } from "../../data/text/tokenizer/tokenizer-files.js";
import { CheckpointError } from "../../errors.js";

export const CLIP_ADVICE = "take the tokenizer files of the text tower's model";
const END = "<|endoftext|>";
const START = "<|startoftext|>";
/** Words as CLIP cuts them. Source: transformers, models/clip/tokenization_clip.py. */
const WORDS = String.raw`<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`;

/** Throws CheckpointError when the files are missing or damaged. */
export async function readClipTokenizerFiles(directory: string): Promise<TokenizerFiles> {
  const reader = folderReader(directory);
  const settings = (await reader.object("tokenizer_config.json")) ?? {};
  const json = await reader.object("tokenizer.json");
  if (json !== undefined)
    return { json, settings, where: join(directory, "tokenizer.json"), fingerprint: reader.fingerprint() };
  const vocabulary = await reader.object("vocab.json");
  const merges = await reader.text("merges.txt");
  if (vocabulary === undefined || merges === undefined)
    throw new CheckpointError(
      `${directory}: expected tokenizer.json, or vocab.json and merges.txt, of the text tower's model, found neither; copy them there from that model`,
    );
  const where = join(directory, "vocab.json");
  const made = fromVocabulary(tokenNumbers(vocabulary, where), mergeLines(merges), where);
  return { json: made, settings, where, fingerprint: reader.fingerprint() };
}

/** What transformers' CLIPTokenizer makes of a vocabulary and its merges. */
function fromVocabulary(
  vocab: Readonly<Record<string, number>>,
  merges: readonly string[],
  where: string,
): Readonly<Record<string, unknown>> {
  const special = (content: string) => {
    const id = Object.hasOwn(vocab, content) ? vocab[content] : undefined;
    if (id === undefined)
      throw new CheckpointError(`${where}: expected a token ${content}, found none; take the file of a CLIP model`);
    return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  };
  const [start, end] = [special(START), special(END)];
  return {
    added_tokens: [start, end],
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "NFC" },
        { type: "Replace", pattern: { Regex: "\\s+" }, content: " " },
        { type: "Lowercase" },
      ],
    },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: WORDS }, behavior: "Removed", invert: true },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true },
      ],
    },
    post_processor: {
      type: "RobertaProcessing",
      sep: [END, end.id],
      cls: [START, start.id],
      trim_offsets: false,
      add_prefix_space: false,
    },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: END,
      continuing_subword_prefix: "",
      end_of_word_suffix: "</w>",
      fuse_unk: false,
      vocab,
      merges,
    },
  };
}
