/**
 * CLIP's text tower in the layout of OpenAI's code and open_clip, by the names of transformers: what is copied beside a merged vision tower. Nothing
 * is read or copied here. Source: open_clip's model.py and transformer.py (state dict names), and transformers' conversion script of CLIP.
 */
import { itemBytes, rowsOf, type StoredTensor, transposed } from "../../checkpoint/stored-tensor.js";

const TABLE = "token_embedding.weight";
/** What else tells the layout, beside the table of tokens; a text tower of another kind has other names. */
const SIGNS = ["positional_embedding", "ln_final.weight", "transformer.resblocks.0.attn.in_proj_weight"];
/** A text tower as a module of its own. */
const MODULE = "text.";
const LOGIT_SCALE = "logit_scale";

const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^token_embedding\.weight$/, "embeddings.token_embedding.weight"],
  [/^positional_embedding$/, "embeddings.position_embedding.weight"],
  [/^ln_final\.(weight|bias)$/, "final_layer_norm.$1"],
  [/^transformer\.resblocks\.(\d+)\.ln_([12])\.(weight|bias)$/, "encoder.layers.$1.layer_norm$2.$3"],
  [/^transformer\.resblocks\.(\d+)\.attn\.out_proj\.(weight|bias)$/, "encoder.layers.$1.self_attn.out_proj.$2"],
  [/^transformer\.resblocks\.(\d+)\.mlp\.c_fc\.(weight|bias)$/, "encoder.layers.$1.mlp.fc1.$2"],
  [/^transformer\.resblocks\.(\d+)\.mlp\.c_proj\.(weight|bias)$/, "encoder.layers.$1.mlp.fc2.$2"],
];
const FUSED = /^transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)$/;

/** Tensors of the tower, its projection and the logit scale, by transformers' names; none where the file has another layout. */
export function openClipTextTensors(tensors: ReadonlyMap<string, StoredTensor>): ReadonlyMap<string, StoredTensor> {
  const found = new Map<string, StoredTensor>();
  const prefix = prefixOf(tensors);
  if (prefix === undefined) return found;
  for (const [name, stored] of tensors) {
    if (!name.startsWith(prefix)) continue;
    for (const [own, tensor] of textTensors(name.slice(prefix.length), stored)) found.set(own, tensor);
  }
  const outer = prefix.endsWith(MODULE) ? prefix.slice(0, -MODULE.length) : prefix;
  const scale = tensors.get(outer + LOGIT_SCALE);
  if (scale !== undefined) found.set(LOGIT_SCALE, scale);
  return found;
}

function prefixOf(tensors: ReadonlyMap<string, unknown>): string | undefined {
  for (const name of tensors.keys()) {
    const prefix = name.endsWith(TABLE) ? name.slice(0, -TABLE.length) : undefined;
    if (prefix !== undefined && SIGNS.every((sign) => tensors.has(prefix + sign))) return prefix;
  }
  return undefined;
}

function textTensors(name: string, stored: StoredTensor): (readonly [string, StoredTensor])[] {
  // As a parameter it is the other way round; as a linear layer of its own it is not.
  if (name === "text_projection") return stored.shape.length === 2 ? [[`${name}.weight`, transposed(stored)]] : [];
  if (name === "text_projection.weight") return [[name, stored]];
  const rows = (stored.shape[0] ?? 0) / 3;
  const [, block, kind] = FUSED.exec(name) ?? [];
  if (block !== undefined && Number.isInteger(rows) && Number.isInteger(itemBytes(stored.dtype)))
    return ["q", "k", "v"].map((part, i) => [
      `text_model.encoder.layers.${block}.self_attn.${part}_proj.${kind}`,
      rowsOf(stored, i * rows, (i + 1) * rows),
    ]);
  const entry = NAMES.find(([from]) => from.test(name));
  return entry === undefined ? [] : [[`text_model.${name.replace(entry[0], entry[1])}`, stored]];
}
