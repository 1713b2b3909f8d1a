/** Which files of a model go with a merge of it: by name for repositories and folders, by size and kind for folders. */
import { mkdir, mkdtemp, open, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { chooseCompanionNames, isTokenizerName } from "../../src/checkpoint/companion-names.js";
import { copyCompanions, findCompanions, MAX_COMPANION_BYTES } from "../../src/checkpoint/companions.js";

/** What save_pretrained, sentence-transformers and public repositories have beside the weights. */
const TOKENIZERS = [
  ...["tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json"],
  ...["vocab.json", "vocab.txt", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "spm.model", "source.spm"],
  ...["target.spm", "target_vocab.json", "normalizer.json", "tekken.json", "bpe.codes", "dict.txt", "qwen.tiktoken"],
  ...["chat_template.jinja", "chat_template.json", "additional_chat_templates/tool_use.jinja", "tokenization_qwen.py"],
];
const OTHERS = [
  ...["generation_config.json", "preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json"],
  ...["modeling_x.py", "configuration_x.py", "custom_generate/generate.py", "modules.json", "1_Pooling/config.json"],
  ...[
    "2_Dense/config.json",
    "2_Dense/model.safetensors",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
  ],
  ...[
    "LICENSE",
    "LICENSE.md",
    "NOTICE",
    "USE_POLICY.md",
    "mel_filters.npz",
    "language_model/5gram.bin",
    "alphabet.json",
  ],
  ...["model.index.txt", "feature_extractor/preprocessor_config.json", "speaker_embeddings/en_0.npy"],
];
const LEFT_OUT: readonly (readonly [string, string])[] = [
  ...["model.safetensors", "model-00001-of-00002.safetensors", "model.safetensors.index.json"].map(
    (n) => [n, "weights"] as const,
  ),
  ...["pytorch_model.bin", "pytorch_model.bin.index.json", "x.bin", "consolidated.00.pth", "voice.pt"].map(
    (n) => [n, "weights"] as const,
  ),
  ...["tf_model.h5", "flax_model.msgpack", "model-q4.gguf", "rust_model.ot", "model.onnx"].map(
    (n) => [n, "format"] as const,
  ),
  ...["onnx/", "openvino/", "original/", "coreml/"].map((n) => [n, "format"] as const),
  ...["optimizer.pt", "scheduler.pt", "rng_state_0.pth", "training_args.bin", "trainer_state.json"].map(
    (n) => [n, "training"] as const,
  ),
  ...["events.out.tfevents.1.host", "all_results.json", "zero_to_fp32.py"].map((n) => [n, "training"] as const),
  ...["checkpoint-500/", "global_step10/", "runs/", "wandb/", "__pycache__/"].map((n) => [n, "training"] as const),
  ...["README.md", "config.json", ".gitattributes", ".git/", ".cache/", "merge.yaml"].map(
    (n) => [n, "silent"] as const,
  ),
  ["mergekit_config.yml", "record"],
  ["tokenizer.pkl", "pickled"],
  ["vae/", "weights"],
  ["images/", "many"],
];

it("names are chosen by what they are not", () => {
  const left = LEFT_OUT.map(([name]) => name);
  const inside = left.flatMap((name) => (name.endsWith("/") ? [`${name}config.json`, `${name}x.safetensors`] : [name]));
  const many = Array.from({ length: 1001 }, (_, i) => `images/${i}.png`);
  const all = [...TOKENIZERS, ...OTHERS, ...inside.filter((name) => !name.startsWith("images/")), ...many];
  const { copied, leftOut } = chooseCompanionNames(all);
  expect(copied).toEqual([...TOKENIZERS, ...OTHERS].toSorted());
  expect([...leftOut].toSorted()).toEqual([...LEFT_OUT].toSorted());
});

it("a tokenizer's files are told from the model's", () => {
  expect(TOKENIZERS.filter((name) => !isTokenizerName(name))).toEqual([]);
  expect(OTHERS.filter(isTokenizerName)).toEqual([]);
});

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "companions-"));
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

const put = async (name: string, content = name) => {
  await mkdir(dirname(join(folder, "m", name)), { recursive: true });
  await writeFile(join(folder, "m", name), content);
};

it("files are copied with their folders, up to a size", async () => {
  for (const name of ["a", "b/c/d", "modules.json", "2_Dense/model.safetensors", "big"]) await put(name);
  await truncate(join(folder, "m", "big"), MAX_COMPANION_BYTES + 1);
  const { files, notices } = await findCompanions(join(folder, "m"), { own: [] });
  expect(notices).toEqual([
    `not copied from ${join(folder, "m")}: big (over 200 MB)`,
    `2_Dense/model.safetensors of ${join(folder, "m")}: weights behind the transformer are copied, not merged`,
  ]);
  await mkdir(join(folder, "out"));
  await copyCompanions(files, join(folder, "out"));
  for (const name of ["a", "b/c/d", "2_Dense/model.safetensors"])
    expect(await readFile(join(folder, "out", name), "utf8")).toBe(name);
  // Nothing that is there is written over.
  await expect(copyCompanions(files, join(folder, "out"))).rejects.toThrow("EEXIST");
});

it("names are listed up to a number, and shown safely", async () => {
  for (let i = 0; i < 10; i++) await put(`w${i}.pt`);
  await put("\u001b[31m.pkl");
  const { files, notices } = await findCompanions(join(folder, "m"), { own: [join(folder, "m", "w0.pt")] });
  expect(files).toEqual([]);
  expect(notices).toEqual([
    `not copied from ${join(folder, "m")}: w1.pt, w2.pt, w3.pt, w4.pt, w5.pt, w6.pt, w7.pt, w8.pt and 1 more (other weights); \\u001b[31m.pkl (pickled objects)`,
  ]);
});

it("an unreadable file is found before the work", async () => {
  await put("vocab.txt");
  const file = await open(join(folder, "m", "vocab.txt"));
  await file.chmod(0o000);
  await file.close();
  if (process.getuid?.() === 0) return;
  await expect(findCompanions(join(folder, "m"), { own: [] })).rejects.toThrow(/vocab\.txt: expected a readable file/);
});
