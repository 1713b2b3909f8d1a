/** A CLIP text tower of any feature size with random weights, and the tokenizer of the conformance fixture, as a model's directory. */
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeSafetensors } from "../../src/checkpoint/safetensors-writer.js";
import { parseClipTextConfig } from "../../src/model/clip/config.js";
import { clipTextTensors, tokenTable } from "../../src/model/clip/text.js";
import { ROOT } from "./cli.js";
import { randomArray } from "./random.js";

export const TINY_CLIP = join(ROOT, "test", "conformance", "clip");

/** Of the fixture's tokenizer. */
const CONFIG = {
  model_type: "clip_text_model",
  hidden_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 32,
  vocab_size: 591,
  max_position_embeddings: 16,
  eos_token_id: 590,
};

export interface TextModelOptions {
  readonly features: number;
  /** Names as transformers 5 writes a tower alone: without `text_model.`. */
  readonly withoutPrefix?: boolean;
  readonly withoutScale?: boolean;
  /** Left out. */
  readonly without?: string;
}

export async function writeTextModel(folder: string, options: TextModelOptions): Promise<void> {
  const json = { ...CONFIG, projection_dim: options.features };
  const config = parseClipTextConfig(json, folder);
  await mkdir(folder, { recursive: true });
  const named = (name: string) => (options.withoutPrefix === true ? name.replace(/^text_model\./, "") : name);
  const tensors = [tokenTable(config), ...clipTextTensors(config)].map(({ name, shape }, seed) => ({
    name: named(name),
    dtype: "F32",
    shape,
    data: randomArray(
      shape.reduce((a, b) => a * b),
      seed + 1,
    ),
  }));
  const scale = { name: "logit_scale", dtype: "F32", shape: [], data: Float32Array.of(Math.log(20)) };
  await writeSafetensors(
    join(folder, "model.safetensors"),
    [...tensors, ...(options.withoutScale === true ? [] : [scale])].filter(({ name }) => name !== options.without),
  );
  await writeFile(join(folder, "config.json"), JSON.stringify(json));
  for (const file of ["tokenizer.json", "tokenizer_config.json"]) await cp(join(TINY_CLIP, file), join(folder, file));
}
