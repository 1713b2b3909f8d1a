/** Checkpoints in the Llama layout with made values, for benchmarks of merging: a base and models that differ from it a little. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeSafetensorsStream } from "../../dist/checkpoint/safetensors.js";
import { createRng } from "../../dist/runtime/rng.js";

const HIDDEN = 2048;
const INNER = 5632;
const VOCABULARY = 32_000;

function shapesOf(layers: number): Map<string, number[]> {
  const shapes = new Map<string, number[]>([
    ["model.embed_tokens.weight", [VOCABULARY, HIDDEN]],
    ["model.norm.weight", [HIDDEN]],
    ["lm_head.weight", [VOCABULARY, HIDDEN]],
  ]);
  for (let layer = 0; layer < layers; layer++) {
    const prefix = `model.layers.${layer}.`;
    for (const name of "qkvo") shapes.set(`${prefix}self_attn.${name}_proj.weight`, [HIDDEN, HIDDEN]);
    for (const name of ["gate", "up"]) shapes.set(`${prefix}mlp.${name}_proj.weight`, [INNER, HIDDEN]);
    shapes.set(`${prefix}mlp.down_proj.weight`, [HIDDEN, INNER]);
    for (const name of ["input", "post_attention"]) shapes.set(`${prefix}${name}_layernorm.weight`, [HIDDEN]);
  }
  return shapes;
}

/** Values like those of trained models in size, with a change for each model: the base's plus a hundredth. */
export async function writeMadeModel(
  folder: string,
  { layers, dtype }: { readonly layers: number; readonly dtype: string },
  index: number,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const config = {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_size: HIDDEN,
    intermediate_size: INNER,
    num_hidden_layers: layers,
    num_attention_heads: 16,
    num_key_value_heads: 16,
    vocab_size: VOCABULARY,
    rms_norm_eps: 1e-6,
    tie_word_embeddings: false,
  };
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  const specs = [...shapesOf(layers)].map(([name, shape]) => ({ name, shape, dtype }));
  const noise = Float32Array.from(
    { length: 1 << 16 },
    (
      (rng) => () =>
        rng.nextFloat() - 0.5
    )(createRng(7)),
  );
  const data = (name: string): Float32Array => {
    const rng = createRng(1, name);
    const [start, own] = [rng.nextInt(noise.length), createRng(2, index, name).nextInt(noise.length)];
    const length = (shapesOf(layers).get(name) ?? []).reduce((a, b) => a * b, 1);
    const values = new Float32Array(length);
    const change = index === 0 ? 0 : 0.01;
    for (let i = 0; i < length; i++)
      values[i] =
        0.05 * ((noise[(start + i) % noise.length] ?? 0) + change * (noise[(own + 3 * i) % noise.length] ?? 0));
    return values;
  };
  await writeSafetensorsStream(join(folder, "model.safetensors"), specs, data, { metadata: { format: "pt" } });
}
