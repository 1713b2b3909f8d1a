/**
 * The "layers" of other tools, by position: which of our tensors stand where. FusionBench: the parameters of transformers' CLIPVisionModel in the order of
 * `named_parameters`, 199 with 12 blocks, the projection left out. The authors' code: those of open_clip 2.0.2's image encoder, 158 with 12
 * blocks, query, key and value as one, and six of the text tower that nothing is learned for (kept at the initial value).
 */

import type { Layer, LayerOrders } from "../family.js";

/** Both orders for a tower of these tensors, which say how many blocks it has. */
export function clipLayerOrders(tensors: readonly string[]): LayerOrders {
  const blocks = blocksOf(tensors);
  return { fusionBench: fusionBenchLayers(blocks), official: officialLayers(blocks) };
}

function blocksOf(tensors: Iterable<string>): number {
  let most = -1;
  for (const name of tensors) most = Math.max(most, Number(/\.encoder\.layers\.(\d+)\./.exec(name)?.[1] ?? -1));
  return most + 1;
}

const both = (name: string): string[] => [`${name}.weight`, `${name}.bias`];
const repeated = (blocks: number, of: (prefix: string) => Layer[]): Layer[] =>
  Array.from({ length: blocks }, (_, index) => of(`vision_model.encoder.layers.${index}`)).flat();
const alone = (names: readonly string[]): Layer[] => names.map((name) => [name]);

/** [L]: 7 + 16 per block. */
export function fusionBenchLayers(blocks: number): Layer[] {
  const modules = ["self_attn.k_proj", "self_attn.v_proj", "self_attn.q_proj", "self_attn.out_proj"];
  const rest = ["layer_norm1", "mlp.fc1", "mlp.fc2", "layer_norm2"];
  const embeddings = ["class_embedding", "patch_embedding.weight", "position_embedding.weight"];
  return [
    ...alone(embeddings.map((name) => `vision_model.embeddings.${name}`)),
    ...alone(both("vision_model.pre_layrnorm")),
    ...repeated(blocks, (prefix) => alone([...modules, ...rest].flatMap((name) => both(`${prefix}.${name}`)))),
    ...alone(both("vision_model.post_layernorm")),
  ];
}

/** [L]: 14 + 12 per block. */
export function officialLayers(blocks: number): Layer[] {
  const text = (count: number): Layer[] => Array.from({ length: count }, () => []);
  const embeddings = "vision_model.embeddings";
  return [
    ...text(3),
    [`${embeddings}.class_embedding`],
    [`${embeddings}.position_embedding.weight`],
    ["visual_projection.weight"],
    [`${embeddings}.patch_embedding.weight`],
    ...alone(both("vision_model.pre_layrnorm")),
    ...repeated(blocks, (prefix) => [
      ...alone(both(`${prefix}.layer_norm1`)),
      ...["weight", "bias"].map((part) => ["q", "k", "v"].map((of) => `${prefix}.self_attn.${of}_proj.${part}`)),
      ...alone(
        ["self_attn.out_proj", "layer_norm2", "mlp.fc1", "mlp.fc2"].flatMap((name) => both(`${prefix}.${name}`)),
      ),
    ]),
    ...alone(both("vision_model.post_layernorm")),
    ...text(3),
  ];
}
