/**
 * Which files of a model's repository are needed: the config, the preprocessing, and the weights in one format: safetensors, single or
 * the shards that its index lists, or PyTorch's where the repository has no safetensors; of an adapter its config and its factors. Weights of
 * other frameworks stay where they are.
 */
import { CheckpointError } from "../../errors.js";
import { parseBoundedJson } from "../../runtime/bounded-json.js";
import { printable } from "../../runtime/printable.js";
import { ADAPTER_CONFIG_NAME, ADAPTER_FILES, MODEL_NAME, PYTORCH_NAME } from "../checkpoint.js";
import { chooseCompanionNames, isHeadName } from "../companion-names.js";
import { INDEX_NAME, PYTORCH_INDEX_NAME } from "../shard-index.js";
import type { ChooseFiles, FileChoice } from "./snapshot.js";

const CONFIG_NAME = "config.json";
const PREPROCESSOR_NAME = "preprocessor_config.json";
const PROCESSOR_NAME = "processor_config.json";
const CARD_NAME = "README.md";
/** One of these groups is a tokenizer; the config beside it is optional. */
const TOKENIZER_FORMS = [["tokenizer.json"], ["vocab.json", "merges.txt"]];
/** A repository with one of these may be of a model of texts, which has no preprocessing. */
const TEXT_NAMES = ["tokenizer.json", "vocab.txt", "sentencepiece.bpe.model"];
const TOKENIZER_NAMES = [...TOKENIZER_FORMS.flat(), "tokenizer_config.json"];

export interface ModelParts {
  /** Without preprocessor_config.json the model is of no use, unless it is one of texts. */
  readonly preprocessor: boolean;
  /** The text tower's. */
  readonly tokenizer: boolean;
  /** What goes along with a model that is merged from it: tokenizer, code, chat templates and the like (companion-names.ts). */
  readonly companions: boolean;
  /** The heads of a merged model. */
  readonly heads?: boolean;
  /** Its card, whose licence is told on that of a merge. */
  readonly card?: boolean;
}

/** Chooses a model's files; those of `parts` besides the weights and the config. */
export function modelFiles(parts: ModelParts): ChooseFiles {
  return async (names, read) => {
    const there = new Set(names);
    const heads = parts.heads === true ? names.filter(isHeadName) : [];
    const card = parts.card === true && there.has(CARD_NAME) ? [CARD_NAME] : [];
    const welcome = [...(parts.companions ? chooseCompanionNames(names).copied : []), ...heads, ...card];
    const adapter = parts.preprocessor ? undefined : chooseAdapter(there);
    if (adapter !== undefined) return { ...adapter, welcome, certain: adapter.certain && !parts.companions };
    const weights = await chooseWeights(there, read);
    // A CLIPProcessor of transformers 5 saves the one in the other.
    const preprocessor =
      there.has(PROCESSOR_NAME) && !there.has(PREPROCESSOR_NAME) ? PROCESSOR_NAME : PREPROCESSOR_NAME;
    // A model of images that has a tokenizer and no preprocessing is refused when it is opened, by its family.
    const needsPreprocessor = parts.preprocessor && !TEXT_NAMES.some((name) => there.has(name));
    const required = [CONFIG_NAME, ...(needsPreprocessor ? [preprocessor] : [])];
    const optional = [
      PREPROCESSOR_NAME,
      ...(parts.preprocessor ? [preprocessor] : []),
      ...(parts.tokenizer ? TOKENIZER_NAMES : []),
    ];
    const files = [...required, ...optional].filter((name) => there.has(name));
    const lacksTokenizer = parts.tokenizer && !TOKENIZER_FORMS.some((form) => form.every((name) => there.has(name)));
    return {
      files: [...new Set([...files, ...weights.files])],
      welcome,
      absent: [
        ...required.filter((name) => !there.has(name)),
        ...(lacksTokenizer ? ["a tokenizer (tokenizer.json, or vocab.json and merges.txt) for zero-shot heads"] : []),
        ...weights.absent,
      ],
      // Of a part of the files it cannot be said whether the repository has optional ones, or better weights.
      certain: weights.certain && !parts.tokenizer && !parts.companions,
    };
  };
}

/** An adapter's files, also where a model lies beside them: what is opened as an expert then is the adapter. A base never is one. */
function chooseAdapter(there: ReadonlySet<string>): FileChoice | undefined {
  const weights = ADAPTER_FILES.filter((name) => name !== ADAPTER_CONFIG_NAME);
  const found = weights.filter((name) => there.has(name));
  const [best] = found;
  if (best === undefined && !there.has(ADAPTER_CONFIG_NAME)) return undefined;
  // Of one adapter in two formats only the first is opened; a linearised one beside it is refused there.
  const wanted = found.filter((name) => name === best || name.startsWith("linearized"));
  return {
    files: [ADAPTER_CONFIG_NAME, ...wanted].filter((name) => there.has(name)),
    absent: [
      ...(there.has(ADAPTER_CONFIG_NAME) ? [] : [ADAPTER_CONFIG_NAME]),
      ...(best === undefined ? [weights.join(" or ")] : []),
    ],
    certain: best === weights[0],
  };
}

async function chooseWeights(there: ReadonlySet<string>, read: (name: string) => Promise<Buffer>): Promise<FileChoice> {
  if (there.has(MODEL_NAME)) return { files: [MODEL_NAME], absent: [], certain: true };
  if (there.has(INDEX_NAME)) return sharded(INDEX_NAME, there, await read(INDEX_NAME));
  if (there.has(PYTORCH_NAME)) return { files: [PYTORCH_NAME], absent: [], certain: false };
  if (there.has(PYTORCH_INDEX_NAME))
    return { ...sharded(PYTORCH_INDEX_NAME, there, await read(PYTORCH_INDEX_NAME)), certain: false };
  return { files: [], absent: [`${MODEL_NAME}, ${INDEX_NAME} or ${PYTORCH_NAME}`], certain: true };
}

/** The index and what it lists; how the shards fit together is checked where they are opened. */
function sharded(index: string, there: ReadonlySet<string>, content: Buffer): FileChoice {
  const shards = shardsOf(content, index);
  return {
    files: [index, ...shards.filter((name) => there.has(name))],
    absent: shards.filter((name) => !there.has(name)).map(printable),
    certain: true,
  };
}

function shardsOf(content: Buffer, index: string): readonly string[] {
  try {
    const json: unknown = parseBoundedJson(content.toString("utf8"));
    const map: unknown = typeof json === "object" && json !== null ? Reflect.get(json, "weight_map") : undefined;
    const values: readonly unknown[] = typeof map === "object" && map !== null ? Object.values(map) : [];
    const names = [...new Set(values)].filter((value) => typeof value === "string");
    if (names.length > 0) return names.toSorted();
  } catch {
    // Said below.
  }
  throw new CheckpointError(`${index}: expected the index of a sharded checkpoint, found none in it`);
}
