/**
 * A base and a model that differs from it, in the Llama layout with made values, for comparisons of what is done with a
 * difference. The change of every matrix is a sum of products each nine tenths of the size of the one before, and some noise: its singular values
 * fall off as those of trained models do.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeSafetensorsStream } from "../../dist/checkpoint/safetensors.js";
import { createRng } from "../../dist/runtime/rng.js";

const [HIDDEN, INNER, VOCABULARY, LAYERS] = [256, 704, 512, 2];
const CONFIG = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: HIDDEN,
  intermediate_size: INNER,
  num_hidden_layers: LAYERS,
  num_attention_heads: 4,
  num_key_value_heads: 4,
  vocab_size: VOCABULARY,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-6,
  tie_word_embeddings: false,
};
/** Products of a change, the first the largest. */
const PRODUCTS = 40;
const FALL = 0.9;
const NOISE = 2e-5;

const shapes = new Map<string, readonly number[]>([
  ["model.embed_tokens.weight", [VOCABULARY, HIDDEN]],
  ...Array.from({ length: LAYERS }, (_, layer) => {
    const prefix = `model.layers.${layer}.`;
    return [
      ...[..."qkvo"].map((name) => [`${prefix}self_attn.${name}_proj.weight`, [HIDDEN, HIDDEN]] as const),
      ...["gate", "up"].map((name) => [`${prefix}mlp.${name}_proj.weight`, [INNER, HIDDEN]] as const),
      [`${prefix}mlp.down_proj.weight`, [HIDDEN, INNER]] as const,
      ...["input", "post_attention"].map((name) => [`${prefix}${name}_layernorm.weight`, [HIDDEN]] as const),
    ];
  }).flat(),
  ["model.norm.weight", [HIDDEN]],
  ["lm_head.weight", [VOCABULARY, HIDDEN]],
]);

/** Writes `base` and `model` into the folder; returns both. */
export async function writeDecayingPair(folder: string): Promise<readonly [base: string, model: string]> {
  const places = [join(folder, "base"), join(folder, "model")] as const;
  for (const [index, place] of places.entries()) {
    await mkdir(place);
    await writeFile(join(place, "config.json"), JSON.stringify(CONFIG));
    const specs = [...shapes].map(([name, shape]) => ({ name, shape, dtype: "F32" }));
    await writeSafetensorsStream(join(place, "model.safetensors"), specs, (name) => values(name, index > 0), {
      metadata: { format: "pt" },
    });
  }
  return places;
}

function values(name: string, isChanged: boolean): Float32Array {
  const [rows = 1, columns = 1] = shapes.get(name) ?? [];
  const own = normals(rows * columns, 0.05, name);
  const isLayer = name.includes("_proj");
  if (!isChanged || !isLayer) return own;
  const noise = normals(own.length, NOISE, `${name} noise`);
  for (let index = 0; index < own.length; index++) own[index] = (own[index] ?? 0) + (noise[index] ?? 0);
  for (let product = 0; product < PRODUCTS; product++) {
    const left = normals(rows, 0.002 * FALL ** product, `${name} left ${product}`);
    const right = normals(columns, 1, `${name} right ${product}`);
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) {
        const at = row * columns + column;
        own[at] = (own[at] ?? 0) + (left[row] ?? 0) * (right[column] ?? 0);
      }
  }
  return own;
}

function normals(count: number, scale: number, label: string): Float32Array {
  const rng = createRng("made pair", label);
  return Float32Array.from({ length: count }, () => scale * rng.nextNormal());
}
