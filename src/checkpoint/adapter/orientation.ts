/**
 * Whether a layer keeps its weight the other way round, [inputs, outputs], as Conv1D of transformers (GPT-2) and
 * embeddings do: the change of a LoRA pair is transposed there. What an adapter's config says (fan_in_fan_out) is that
 * of the last layer only, and peft goes by the layer's class when it loads; files have no classes, so that shapes and
 * biases tell. Source: peft, tuners/lora/layer.py (dispatch_default).
 */
import type { Factors } from "./adapter-tensors.js";

type Shapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/** Names of GPT-2's layers, which are Conv1D there; other code has some of them too, as linear layers. */
const CONV1D_LAYERS = new Set(["c_attn", "q_attn", "c_proj", "c_fc"]);

/**
 * Whether the weight called `name` in the base is [inputs, outputs]. A matrix that is not square says it by the shapes of
 * its factors; a square one by its neighbours. `isFanIn` counts where nothing else tells.
 */
export function isTransposed({ a, b, isEmbedding }: Factors, name: string, base: Shapes, isFanIn: boolean): boolean {
  if (isEmbedding) return true;
  const shape = base.get(name)?.shape ?? [];
  const [rows = 0, columns = 0] = shape;
  const [inputs, outputs] = [a.shape[1], b.shape[0]];
  if (shape.length !== 2 || a.shape.length !== 2 || b.shape.length !== 2) return false;
  if (rows !== columns) return rows === inputs && columns === outputs;
  return toldByNeighbours(name, base) ?? isFanIn;
}

/**
 * The same of a matrix whose factors are not there yet: by its own bias, or its neighbours. [outputs, inputs] where
 * nothing tells.
 */
export function keepsInputsFirst(name: string, base: Shapes): boolean {
  const [rows, columns] = base.get(name)?.shape ?? [];
  const bias = base.get(`${name.slice(0, -".weight".length)}.bias`)?.shape[0];
  if (rows !== columns && (bias === rows || bias === columns)) return bias === columns;
  return toldByNeighbours(name, base) ?? false;
}

/** The nearest tell most: a bias is as long as the outputs are many. */
function toldByNeighbours(name: string, base: Shapes): boolean | undefined {
  const parts = name.split(".");
  const layer = parts.at(-2) ?? "";
  for (let depth = parts.length - 2; depth >= 0; depth--) {
    const told = toldByBiases(parts.slice(0, depth).join("."), base);
    // Far from a layer there are others of any kind.
    if (told === "conv1d" && (depth > 0 || CONV1D_LAYERS.has(layer))) return true;
    if (told === "linear") return false;
    if (told === "both") return CONV1D_LAYERS.has(layer);
  }
  return undefined;
}

function toldByBiases(prefix: string, base: Shapes): "conv1d" | "linear" | "both" | undefined {
  let [conv1d, linear] = [false, false];
  for (const [name, { shape }] of base) {
    const [rows, columns, ...more] = shape;
    if (rows === columns || more.length > 0 || columns === undefined || !name.endsWith(".weight")) continue;
    if (prefix !== "" && !name.startsWith(`${prefix}.`)) continue;
    const bias = base.get(`${name.slice(0, -".weight".length)}.bias`)?.shape;
    if (bias?.length !== 1) continue;
    if (bias[0] === columns) conv1d = true;
    if (bias[0] === rows) linear = true;
  }
  if (conv1d && linear) return "both";
  return conv1d ? "conv1d" : linear ? "linear" : undefined;
}
