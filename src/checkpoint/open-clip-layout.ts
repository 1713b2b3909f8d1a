/**
 * CLIP vision transformers in the layout of OpenAI's code and open_clip, as a checkpoint of the canonical names (names.ts): query, key and value
 * are rows of one tensor there, and the projection is the other way round. Nothing is copied: slices and transposes are ranges of the same file.
 * The text tower is left out. Source: open_clip's model.py and transformer.py (state dict names), and transformers' conversion script of CLIP.
 */
import { CheckpointError } from "../errors.js";
import { quote } from "../runtime/printable.js";
import { checkpointOf, type StoredCheckpoint } from "./checkpoint.js";
import { itemBytes, rowsOf, type StoredTensor, transposed } from "./stored-tensor.js";

/** What tells the layout, after whatever prefix a wrapping module adds; a ResNet of CLIP has the first and not the others. */
const SIGN = "conv1.weight";
const OTHER_SIGNS = ["class_embedding", "transformer.resblocks.0.attn.in_proj_weight"];
/** Of the vision tower in a whole model; a bare tower has none. */
const VISUAL = "visual.";
/** The rest of a whole model: the text tower, the scale, and integers that OpenAI's files carry. */
const NOT_VISUAL =
  /^(?:positional_embedding|text_projection(?:\.\w+)?|logit_scale|logit_bias|token_embedding\.weight|ln_final\.\w+|transformer\..+|text\..+|attn_mask|input_resolution|context_length|vocab_size)$/;

const PARTS: ReadonlyMap<string, string> = new Map([
  ["class_embedding", "vision_model.embeddings.class_embedding"],
  ["positional_embedding", "vision_model.embeddings.position_embedding.weight"],
  ["conv1.weight", "vision_model.embeddings.patch_embedding.weight"],
  ["ln_pre.weight", "vision_model.pre_layrnorm.weight"],
  ["ln_pre.bias", "vision_model.pre_layrnorm.bias"],
  ["ln_post.weight", "vision_model.post_layernorm.weight"],
  ["ln_post.bias", "vision_model.post_layernorm.bias"],
]);
const PROJECTION = "proj";
const BLOCK = /^transformer\.resblocks\.(\d+)\.(.+)\.(weight|bias)$/;
const BLOCK_PARTS: ReadonlyMap<string, string> = new Map([
  ["ln_1", "layer_norm1"],
  ["attn.out_proj", "self_attn.out_proj"],
  ["ln_2", "layer_norm2"],
  ["mlp.c_fc", "mlp.fc1"],
  ["mlp.c_proj", "mlp.fc2"],
]);
const FUSED = /^transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)$/;
const FUSED_PARTS = ["q_proj", "k_proj", "v_proj"];

/** The checkpoint itself, unless it has this layout. Tensors that the layout does not know keep their names, so that a comparison reports them. */
export function fromOpenClip(checkpoint: StoredCheckpoint): StoredCheckpoint {
  const prefix = prefixOf(checkpoint.tensors);
  if (prefix === undefined) return checkpoint;
  const outer = prefix.endsWith(VISUAL) ? prefix.slice(0, -VISUAL.length) : undefined;
  const tensors = new Map<string, StoredTensor>();
  const put = (name: string, stored: StoredTensor): void => {
    const other = tensors.get(name);
    if (other !== undefined)
      throw new CheckpointError(
        `${checkpoint.path}: expected one tensor for ${quote(name)}, found two: ${quote(other.name)} and ${quote(stored.name)}. Remove one of them.`,
      );
    tensors.set(name, stored);
  };
  for (const [name, stored] of checkpoint.tensors) {
    if (name.startsWith(prefix)) {
      for (const [canonical, tensor] of visualTensors(name.slice(prefix.length), stored) ?? [[name, stored] as const])
        put(canonical, tensor);
    } else if (outer === undefined || !name.startsWith(outer) || !NOT_VISUAL.test(name.slice(outer.length)))
      put(name, stored);
  }
  return checkpointOf(checkpoint.path, checkpoint.config, { tensors, format: checkpoint.format });
}

/** What is in front of the tower's names; undefined where there is no such tower. */
function prefixOf(tensors: ReadonlyMap<string, unknown>): string | undefined {
  for (const name of tensors.keys()) {
    const prefix = name.endsWith(SIGN) ? name.slice(0, -SIGN.length) : undefined;
    if (prefix !== undefined && OTHER_SIGNS.every((sign) => tensors.has(prefix + sign))) return prefix;
  }
  return undefined;
}

/** Canonical tensors of one of the layout; undefined for one that it does not have. */
function visualTensors(name: string, stored: StoredTensor): (readonly [string, StoredTensor])[] | undefined {
  const part = PARTS.get(name);
  if (part !== undefined) return [[part, stored]];
  if (name === PROJECTION && stored.shape.length === 2) return [["visual_projection.weight", transposed(stored)]];
  const [, block, inner = "", kind] = BLOCK.exec(name) ?? [];
  const own = BLOCK_PARTS.get(inner);
  if (own !== undefined) return [[`vision_model.encoder.layers.${block}.${own}.${kind}`, stored]];
  const [, fusedBlock, fusedKind] = FUSED.exec(name) ?? [];
  const rows = (stored.shape[0] ?? 0) / FUSED_PARTS.length;
  if (fusedBlock === undefined || !Number.isInteger(rows) || !Number.isInteger(itemBytes(stored.dtype)))
    return undefined;
  return FUSED_PARTS.map((fused, i) => [
    `vision_model.encoder.layers.${fusedBlock}.self_attn.${fused}.${fusedKind}`,
    rowsOf(stored, i * rows, (i + 1) * rows),
  ]);
}
