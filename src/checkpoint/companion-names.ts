/**
 * Which files of a model's folder (or repository) go with a model that is merged from it, by their names: all but weights, states of a training,
 * other formats, and what describes the original alone. Names, not contents: sizes and links are asked in companions.ts.
 * Source: what `save_pretrained` of transformers, `save` of sentence-transformers, its Trainer, and public repositories write.
 */

/** Why a file is not copied. Those of "silent" are written anew, or say nothing about the model. */
export type LeftOutReason = "silent" | "weights" | "training" | "format" | "record" | "pickled" | "many";

export interface ChosenNames {
  readonly copied: readonly string[];
  /** Files, and folders (with a slash behind) that are left out as a whole. */
  readonly leftOut: ReadonlyMap<string, LeftOutReason>;
}

/** Files that a folder in the model's may have: Bark has some 500 small ones of voices, what has more is data. */
export const MAX_IN_FOLDER = 1000;

/** Written anew with the merged model. The card of the original would say its numbers. */
const WRITTEN = /^(?:config\.json|readme(?:\.\w+)?|merge\.yaml)$/i;
/** Records of how the original came to be, which would be read as this one's. */
const RECORD = /^(?:mergekit_config\.ya?ml|adamerge-.*|coefficients\.json)$/i;
const TRAINING_FILE =
  /^(?:optimizer|scheduler|scaler|rng_state.*|training_args|trainer_.*|(?:all|train|eval|predict)_results|events\.out\.tfevents.*|zero_to_fp32|latest)(?:\.(?:pt|pth|bin|json|jsonl|py))?$|^events\.out\.tfevents/;
const TRAINING_FOLDER = /^(?:checkpoint[-_]\d+|global_step_?\d+|runs|logs|wandb|mlruns|lightning_logs|__pycache__)$/;
const FORMAT_FOLDER = /^(?:onnx|openvino|coreml|flax|tf|tflite|gguf|ggml|mlx|tensorrt|original)$/i;
const FORMAT_FILE =
  /\.(?:onnx(?:_data)?|onnx\.data|h5|msgpack|gguf|ggml|ot|tflite|pb|mlmodel|mlpackage|engine)$|^openvino_/i;
const WEIGHTS = /\.(?:safetensors|pt|pth|ckpt)$|(?:\.(?:safetensors|bin)\.index\.json)$/i;
/** In folders `.bin` may be something else, as the language model of a speech recogniser. */
const WEIGHTS_BIN = /(?:^|[-_])(?:model|weights|\d{5}-of-\d{5})\.bin$/i;
const PICKLED = /\.(?:pkl|pickle|joblib|dill)$/i;
/** `2_Dense`: what comes behind the transformer in a model of sentence-transformers, with weights that no merge changes. */
const MODULE_FOLDER = /^\d+_[A-Z]\w*\//;
const MODULES = "modules.json";

const TOKENIZER =
  /^(?:tokenizer.*|tokenization_.*\.py|special_tokens_map\.json|added_tokens\.json|vocab.*|[^/]*[-_.]vocab(?:\.\w+)?|merges.*|[^/]*\.(?:spm|tiktoken|bpe|model)|bpe\.codes|bpecodes|dict\..*|[^/]*sentencepiece.*|tekken\.json|normalizer\.json|chat_template\..*|additional_chat_templates\/.*|emoji\.json)$/i;

/** `heads/digits.safetensors`: a head of a merged model, which has its own place in the result. */
export function isHeadName(name: string): boolean {
  return /^heads\/[^/.][^/]*\.safetensors$/.test(name);
}

/** Whether a companion belongs to the tokenizer rather than to the model. */
export function isTokenizerName(name: string): boolean {
  return TOKENIZER.test(name);
}

/** Whether people add such a file to a model that was written for them: a card, a licence. */
export function isAddedName(name: string): boolean {
  return /^(?:README\.md|(?:LICEN[CS]E|NOTICE|CITATION)[\w.-]*)$/i.test(name);
}

/** Code that a loader runs for whoever trusts it. */
export function isCodeName(name: string): boolean {
  return /\.py$/i.test(name);
}

/** Chooses among all names of a folder, with slashes. */
export function chooseCompanionNames(names: readonly string[]): ChosenNames {
  const hasModules = names.includes(MODULES);
  const copied: string[] = [];
  const leftOut = new Map<string, LeftOutReason>();
  const folders = new Map<string, { name: string; reason: LeftOutReason | undefined }[]>();
  for (const name of names) {
    const reason = reasonOf(name, hasModules);
    const [top = "", ...below] = name.split("/");
    if (below.length > 0) folders.set(top, [...(folders.get(top) ?? []), { name, reason }]);
    else if (reason === undefined) copied.push(name);
    else leftOut.set(name, reason);
  }
  for (const [folder, files] of folders) {
    const reason = folderReason(folder, files);
    if (reason !== undefined) leftOut.set(`${folder}/`, reason);
    else
      for (const { name, reason: own } of files)
        if (own === undefined) copied.push(name);
        else leftOut.set(name, own);
  }
  return { copied: copied.toSorted(), leftOut };
}

/** Of a folder with weights of its own nothing is copied: without them, what is beside them is of no use. */
function folderReason(
  folder: string,
  files: readonly { readonly reason: LeftOutReason | undefined }[],
): LeftOutReason | undefined {
  if (folder.startsWith(".")) return "silent";
  if (TRAINING_FOLDER.test(folder)) return "training";
  if (FORMAT_FOLDER.test(folder)) return "format";
  if (files.some(({ reason }) => reason === "weights")) return "weights";
  return files.length > MAX_IN_FOLDER ? "many" : undefined;
}

function reasonOf(name: string, hasModules: boolean): LeftOutReason | undefined {
  const parts = name.split("/");
  const base = parts.at(-1) ?? "";
  const isTop = parts.length === 1;
  if (parts.some((part) => part.startsWith("."))) return "silent";
  if (isTop && WRITTEN.test(base)) return "silent";
  if (isTop && RECORD.test(base)) return "record";
  if (TRAINING_FILE.test(base)) return "training";
  if (FORMAT_FILE.test(base)) return "format";
  if (PICKLED.test(base)) return "pickled";
  if (!WEIGHTS.test(base) && !WEIGHTS_BIN.test(base) && !(isTop && /\.bin$/i.test(base))) return undefined;
  return hasModules && MODULE_FOLDER.test(name) ? undefined : "weights";
}

/** Whether it has weights that go along unmerged. */
export function isModuleWeights(name: string): boolean {
  return MODULE_FOLDER.test(name) && (WEIGHTS.test(name) || WEIGHTS_BIN.test(name));
}
