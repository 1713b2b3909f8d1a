/**
 * The pre-LN transformer block of which both towers of CLIP are made, and its tensors' names: only what stands in front of
 * "layers.0" differs. Parity: transformers, models/clip/modeling_clip.py (CLIPEncoderLayer). B batch, T tokens, Q asking tokens, D width,
 * N heads.
 */
import { type Activation, activate } from "../engine/ops/activation.js";
import { attention } from "../engine/ops/attention.js";
import { layerNorm } from "../engine/ops/layer-norm.js";
import { linear } from "../engine/ops/linear.js";
import { type Tensor, tf } from "../engine/tf.js";
import { assert } from "../errors.js";
import type { ModelTensor, ModelWatch, NamedShape } from "./family.js";

export interface BlockConfig {
  readonly hiddenSize: number;
  readonly heads: number;
  readonly intermediateSize: number;
  readonly activation: Activation;
  readonly layerNormEpsilon: number;
}

/** Layers of a tower, by the prefix of their tensors' names. */
export interface TowerLayers {
  readonly config: BlockConfig;
  readonly norm: (name: string, x: Tensor) => Tensor;
  readonly dense: (name: string, x: Tensor, scale?: number) => Tensor;
  readonly observe: (part: string, values: Tensor) => void;
}

export interface BlockOptions {
  /** The tokens that leave the block, [B, T, D] -> [B, Q, D]; the others are keys and values and nothing else. All where it is absent. */
  readonly going?: ((xBTD: Tensor) => Tensor) | undefined;
  /** Added to the scores [B, N, Q, T]. */
  readonly mask?: Tensor | undefined;
}

export function normTensors(name: string, width: number): NamedShape[] {
  return [
    { name: `${name}.weight`, shape: [width] },
    { name: `${name}.bias`, shape: [width] },
  ];
}

/** The tensors of block number `block`, in forward order. */
export function blockTensors(
  prefix: string,
  block: number,
  { hiddenSize: width, intermediateSize: inner }: BlockConfig,
): ModelTensor[] {
  const attention = `${prefix}.self_attn`;
  const dense = (name: string, outputs: number, inputs: number, more: LinearRole = {}): RoleInBlock[] => [
    {
      name: `${name}.weight`,
      shape: [outputs, inputs],
      sharesInput: `${more.input ?? name}.weight`,
      ...fused(more, "weight"),
    },
    { name: `${name}.bias`, shape: [outputs], ...fused(more, "bias") },
  ];
  const asking = { input: `${attention}.q_proj`, fusedAs: `${attention}.qkv_proj` };
  const tensors = [
    ...normTensors(`${prefix}.layer_norm1`, width),
    ...["q_proj", "k_proj", "v_proj"].flatMap((part) => dense(`${attention}.${part}`, width, width, asking)),
    ...dense(`${attention}.out_proj`, width, width),
    ...normTensors(`${prefix}.layer_norm2`, width),
    ...dense(`${prefix}.mlp.fc1`, inner, width),
    ...dense(`${prefix}.mlp.fc2`, width, inner),
  ];
  return tensors.map((tensor) => ({ ...tensor, block, part: "block" }));
}

type RoleInBlock = Omit<ModelTensor, "block" | "part">;

/** Prefixes: of the first layer with the same input, of the layer of which this one is rows. */
interface LinearRole {
  readonly input?: string;
  readonly fusedAs?: string;
}

function fused({ fusedAs }: LinearRole, kind: string): Pick<ModelTensor, "fusedAs"> {
  return fusedAs === undefined ? {} : { fusedAs: `${fusedAs}.${kind}` };
}

/** `weights` are looked up by canonical name. */
export function towerLayers(
  config: BlockConfig,
  weights: (name: string) => Tensor,
  watch: ModelWatch = {},
): TowerLayers {
  return {
    config,
    norm: (name, x) => layerNorm(x, weights(`${name}.weight`), weights(`${name}.bias`), config.layerNormEpsilon),
    dense: (name, x, scale = 1) => {
      watch.input?.(`${name}.weight`, x);
      const [weight, bias] = [weights(`${name}.weight`), weights(`${name}.bias`)];
      return scale === 1 ? linear(x, weight, bias) : linear(x, tf.mul(weight, scale), tf.mul(bias, scale));
    },
    observe: (part, values) => watch.part?.(part, values),
  };
}

/** hidden [B, T, D] through the block called `prefix`: [B, Q, D]. */
export function transformerBlock(
  layers: TowerLayers,
  prefix: string,
  hiddenBTD: Tensor,
  { going = (xBTD) => xBTD, mask }: BlockOptions = {},
): Tensor {
  const { config, norm, dense, observe } = layers;
  const normalizedBTD = norm(`${prefix}.layer_norm1`, hiddenBTD);
  const attended = selfAttention(layers, `${prefix}.self_attn`, going(normalizedBTD), normalizedBTD, mask);
  const attendedBQD = tf.add(going(hiddenBTD), attended);
  observe(`${prefix}.self_attn`, attendedBQD);
  const inner = activate(config.activation, dense(`${prefix}.mlp.fc1`, norm(`${prefix}.layer_norm2`, attendedBQD)));
  const outBQD = tf.add(attendedBQD, dense(`${prefix}.mlp.fc2`, inner));
  observe(`${prefix}.mlp`, outBQD);
  return outBQD;
}

/** What the tokens of askingBQD [B, Q, D] gather from those of xBTD [B, T, D]: [B, Q, D]. */
function selfAttention(
  { config, dense }: TowerLayers,
  prefix: string,
  askingBQD: Tensor,
  xBTD: Tensor,
  mask: Tensor | undefined,
): Tensor {
  const headSize = config.hiddenSize / config.heads;
  const split = (x: Tensor): Tensor => {
    const [batch, tokens] = x.shape;
    assert(batch !== undefined && tokens !== undefined, "attention over something else than [B, T, D]");
    return tf.transpose(tf.reshape(x, [batch, tokens, config.heads, headSize]), [0, 2, 1, 3]);
  };
  // The scores' 1 / sqrt(head size) goes into the query's weights, which are smaller than what they make.
  const query = split(dense(`${prefix}.q_proj`, askingBQD, headSize ** -0.5));
  const [key, value] = [split(dense(`${prefix}.k_proj`, xBTD)), split(dense(`${prefix}.v_proj`, xBTD))];
  const outBNQD = attention(query, key, value, mask);
  return dense(`${prefix}.out_proj`, tf.reshape(tf.transpose(outBNQD, [0, 2, 1, 3]), askingBQD.shape));
}

/** features [B, E] at length 1. */
export function unitRows(featuresBE: Tensor): Tensor {
  return tf.div(featuresBE, tf.sqrt(tf.sum(tf.square(featuresBE), -1, true)));
}
