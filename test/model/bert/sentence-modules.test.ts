import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readSentenceFeatures, sentenceLimit } from "../../../src/model/bert/sentence-modules.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "adamerge-modules-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const write = async (name: string, json: unknown): Promise<void> => {
  await mkdir(join(folder, name, ".."), { recursive: true });
  await writeFile(join(folder, name), JSON.stringify(json));
};
const modules = (...types: string[]) =>
  types.map((type, idx) => ({
    idx,
    name: String(idx),
    path: idx === 0 ? "" : `${idx}_${type}`,
    type: `sentence_transformers.models.${type}`,
  }));
const sentence = async (pooling: unknown, types = ["Transformer", "Pooling", "Normalize"]): Promise<void> => {
  await write("modules.json", modules(...types));
  await write("1_Pooling/config.json", pooling);
};

describe("a sentence encoder's folder", () => {
  it("is none without modules.json", async () => expect(await readSentenceFeatures(folder)).toBeUndefined());

  it.each([
    ["of version 5", { pooling_mode_cls_token: true, pooling_mode_mean_tokens: false }, "cls"],
    ["of version 6", { embedding_dimension: 8, pooling_mode: "mean" }, "mean"],
    ["of version 6, as a list", { pooling_mode: ["cls"] }, "cls"],
    ["that says nothing", { word_embedding_dimension: 8 }, "mean"],
  ])("has a pooling %s", async (_, config, pooling) => {
    await sentence(config);
    expect(await readSentenceFeatures(folder)).toEqual({ pooling, normalized: true });
  });

  it("says where texts are cut, and that features are not normalised", async () => {
    await sentence({ pooling_mode: "mean" }, ["Transformer", "Pooling"]);
    await write("sentence_xlm-roberta_config.json", { max_seq_length: 128, do_lower_case: false });
    await write("config_sentence_transformers.json", { prompts: { query: "query: " }, default_prompt_name: null });
    expect(await readSentenceFeatures(folder)).toEqual({ pooling: "mean", normalized: false });
    expect(await sentenceLimit(folder)).toBe(128);
  });

  it("says where texts are cut also without modules, and to those who read other features of it", async () => {
    await write("sentence_bert_config.json", { max_seq_length: 64, do_lower_case: true });
    expect(await sentenceLimit(folder)).toBe(64);
    await write("sentence_bert_config.json", { max_seq_length: null });
    expect(await sentenceLimit(folder)).toBeUndefined();
    await write("sentence_bert_config.json", { max_seq_length: "long" });
    await expect(sentenceLimit(folder)).rejects.toThrow("sentence_bert_config.json: max_seq_length: ");
  });

  it.each([
    ["max", { pooling_mode_max_tokens: true }, '"max"'],
    ["two at once", { pooling_mode_cls_token: true, pooling_mode_mean_tokens: true }, '"cls" with "mean"'],
    ["the last token", { pooling_mode: "lasttoken" }, '"lasttoken"'],
    ["the model's pooler", { pooling_mode: "pooler" }, '"pooler"'],
  ])("with another pooling is refused: %s", async (_, config, shown) => {
    await sentence(config);
    await expect(readSentenceFeatures(folder)).rejects.toThrow(
      `1_Pooling/config.json: expected the pooling mode cls or mean, found ${shown}`,
    );
  });

  it("with another module is refused by its name", async () => {
    await sentence({ pooling_mode: "mean" }, ["Transformer", "Pooling", "Dense", "Normalize"]);
    await expect(readSentenceFeatures(folder)).rejects.toThrow(
      'expected the modules Transformer, Pooling and perhaps Normalize, found "Transformer", "Pooling", "Dense", "Normalize"',
    );
  });

  it("with a transformer or a pooling elsewhere is refused", async () => {
    const [transformer, pooling] = modules("Transformer", "Pooling");
    await write("modules.json", [{ ...transformer, path: "0_Transformer" }, pooling]);
    await expect(readSentenceFeatures(folder)).rejects.toThrow('found "0_Transformer"');
    await write("modules.json", [transformer, { ...pooling, path: "../../etc" }]);
    await expect(readSentenceFeatures(folder)).rejects.toThrow('a folder beside it, found "../../etc"');
  });

  it("with texts that are changed before the tokenizer is refused", async () => {
    await sentence({ pooling_mode: "mean" });
    await write("sentence_bert_config.json", { max_seq_length: 64, do_lower_case: true });
    await expect(readSentenceFeatures(folder)).rejects.toThrow("do_lower_case: expected false, found true");
    await write("sentence_bert_config.json", { max_seq_length: 64 });
    await write("config_sentence_transformers.json", { default_prompt_name: "query" });
    await expect(readSentenceFeatures(folder)).rejects.toThrow("default_prompt_name: expected none, found one");
  });
});
