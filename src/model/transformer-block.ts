/**
 * The transformer block of which all families here are made, with the norms in front of its two halves (pre-LN) or behind their sums (post-LN),
 * with or without LayerScale, with a plain MLP or a gated one (SwiGLU); families differ in what they call its tensors. Parity: transformers,
 * models/clip/modeling_clip.py (CLIPEncoderLayer), models/bert/modeling_bert.py (BertLayer), models/vit/modeling_vit.py (ViTLayer),
 * models/dinov2/modeling_dinov2.py (Dinov2Layer, Dinov2SwiGLUFFN). B batch, T tokens, Q asking tokens, D width, I inner width, N heads.
 */
import { type Activation, activate } from "../engine/ops/activation.js";
import { attention } from "../engine/ops/attention.js";
import { layerNorm, normalised } from "../engine/ops/layer-norm.js";
import { type Tensor, tf } from "../engine/tf.js";
import { assert } from "../errors.js";
import type { BlockHalf, ModelTensor, ModelWatch, NamedShape } from "./family.js";
import { linearLayer } from "./linear-layer.js";
import type { ModelWeights } from "./model-weights.js";

/** Sizes of a transformer's blocks. */
export interface BlockConfig {
  readonly hiddenSize: number;
  readonly heads: number;
  readonly intermediateSize: number;
  readonly activation: Activation;
  readonly layerNormEpsilon: number;
}

/** What a family calls the layers of a block, after the block's prefix and a dot. */
export interface BlockNames {
  readonly norm1: string;
  readonly query: string;
  readonly key: string;
  readonly value: string;
  /** Behind the attention. */
  readonly output: string;
  readonly norm2: string;
  /** The two layers of the MLP. */
  readonly inner: string;
  readonly outer: string;
  /** LayerScale's vectors [D], whole names: what each half's output is multiplied by. */
  readonly scale1?: string;
  readonly scale2?: string;
  /** The two halves, for those who look into the forward pass. */
  readonly attention: string;
  readonly mlp: string;
}

/** What blocks of a family are like. */
export interface BlockForm {
  readonly names: BlockNames;
  /** `before`: x + f(norm(x)); `after`: norm(x + f(x)). */
  readonly norms: "before" | "after";
  /**
   * SwiGLU (Shazeer 2020): the inner layer is [2 I, D], gates before values, and silu(gate) * value is what the outer one is given. The config's
   * activation has no part in it.
   */
  readonly isGated?: boolean;
}

/** CLIP's. */
export const preNormForm: BlockForm = {
  names: {
    norm1: "layer_norm1",
    query: "self_attn.q_proj",
    key: "self_attn.k_proj",
    value: "self_attn.v_proj",
    output: "self_attn.out_proj",
    norm2: "layer_norm2",
    inner: "mlp.fc1",
    outer: "mlp.fc2",
    attention: "self_attn",
    mlp: "mlp",
  },
  norms: "before",
};

/** Layers of a tower, by the prefix of their tensors' names. */
export interface TowerLayers {
  readonly config: BlockConfig;
  readonly form: BlockForm;
  readonly weights: ModelWeights;
  readonly norm: (name: string, x: Tensor) => Tensor;
  /** x times the vector of that name; x itself where there is none. */
  readonly scaled: (name: string | undefined, x: Tensor) => Tensor;
  readonly dense: (name: string, x: Tensor, scale?: number) => Tensor;
  readonly observe: (part: string, values: Tensor) => void;
}

/** What is different in one block. */
export interface BlockOptions {
  /** The tokens that leave the block, [B, T, D] -> [B, Q, D]; the others are keys and values and nothing else. All where it is absent. */
  readonly going?: ((xBTD: Tensor) => Tensor) | undefined;
  /** Added to the scores [B, N, Q, T]. */
  readonly mask?: Tensor | undefined;
}

/** The two tensors of a layer norm [D], D = `width`: `name.weight` and `name.bias`. */
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
  { names, norms, isGated }: BlockForm = preNormForm,
): ModelTensor[] {
  const at = (name: string): string => `${prefix}.${name}`;
  const dense = (name: string, outputs: number, inputs: number, more: LinearRole): RoleInBlock[] => [
    {
      name: `${name}.weight`,
      shape: [outputs, inputs],
      sharesInput: `${more.input ?? name}.weight`,
      half: more.half,
      ...fused(more, "weight"),
    },
    { name: `${name}.bias`, shape: [outputs], ...fused(more, "bias") },
  ];
  const attention: LinearRole = { half: "attention" };
  const mlp: LinearRole = { half: "mlp" };
  const asking = { ...attention, input: at(names.query), fusedAs: at(`${names.attention}.qkv_proj`) };
  const scale = (name: string | undefined): NamedShape[] =>
    name === undefined ? [] : [{ name: at(name), shape: [width] }];
  const half = (norm: string, layers: readonly RoleInBlock[]): RoleInBlock[] =>
    norms === "before" ? [...normTensors(at(norm), width), ...layers] : [...layers, ...normTensors(at(norm), width)];
  const tensors = [
    ...half(names.norm1, [
      ...[names.query, names.key, names.value].flatMap((part) => dense(at(part), width, width, asking)),
      ...dense(at(names.output), width, width, attention),
      ...scale(names.scale1),
    ]),
    ...half(names.norm2, [
      ...dense(at(names.inner), isGated === true ? 2 * inner : inner, width, mlp),
      ...dense(at(names.outer), width, inner, mlp),
      ...scale(names.scale2),
    ]),
  ];
  return tensors.map((tensor) => ({ ...tensor, block, part: "block" }));
}

type RoleInBlock = Omit<ModelTensor, "block" | "part">;

/** The half of the block, and prefixes: of the first layer with the same input, of the layer of which this one is rows. */
interface LinearRole {
  readonly half: BlockHalf;
  readonly input?: string;
  readonly fusedAs?: string;
}

function fused({ fusedAs }: Pick<LinearRole, "fusedAs">, kind: string): Pick<ModelTensor, "fusedAs"> {
  return fusedAs === undefined ? {} : { fusedAs: `${fusedAs}.${kind}` };
}

/** `weights` are looked up by canonical name. */
export function towerLayers(
  config: BlockConfig,
  weights: ModelWeights,
  watch: ModelWatch = {},
  form: BlockForm = preNormForm,
): TowerLayers {
  const { get } = weights;
  return {
    config,
    form,
    weights,
    norm: (name, x) => {
      watch.scale?.(`${name}.weight`, () => normalised(x, config.layerNormEpsilon));
      return layerNorm(x, get(`${name}.weight`), get(`${name}.bias`), config.layerNormEpsilon);
    },
    scaled: (name, x) => {
      if (name === undefined) return x;
      watch.scale?.(name, () => x);
      return tf.mul(x, get(name));
    },
    dense: (name, x, scale = 1) =>
      linearLayer(weights, { weight: `${name}.weight`, bias: `${name}.bias`, scale }, x, watch),
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
  const { config, form, norm, dense, observe } = layers;
  const { names, norms, isGated } = form;
  const at = (name: string): string => `${prefix}.${name}`;
  const before = (name: string, x: Tensor): Tensor => (norms === "before" ? norm(at(name), x) : x);
  const after = (name: string, x: Tensor): Tensor => (norms === "after" ? norm(at(name), x) : x);
  const scaled = (name: string | undefined, x: Tensor): Tensor =>
    layers.scaled(name === undefined ? undefined : at(name), x);
  const givenBTD = before(names.norm1, hiddenBTD);
  const attended = scaled(names.scale1, selfAttention(layers, prefix, going(givenBTD), givenBTD, mask));
  const attendedBQD = after(names.norm1, tf.add(going(hiddenBTD), attended));
  observe(at(names.attention), attendedBQD);
  const innerBQI = dense(at(names.inner), before(names.norm2, attendedBQD));
  const inner = isGated === true ? gated(innerBQI, config.intermediateSize) : activate(config.activation, innerBQI);
  const outer = scaled(names.scale2, dense(at(names.outer), inner));
  const outBQD = after(names.norm2, tf.add(attendedBQD, outer));
  observe(at(names.mlp), outBQD);
  return outBQD;
}

/** silu(gate) * value of gates and values one behind the other: [B, Q, 2 I] -> [B, Q, I]. */
function gated(x: Tensor, inner: number): Tensor {
  const half = (start: number): Tensor => tf.slice(x, [0, 0, start], [-1, -1, inner]);
  const gate = half(0);
  return tf.mul(tf.mul(gate, tf.sigmoid(gate)), half(inner));
}

/** What the tokens of askingBQD [B, Q, D] gather from those of xBTD [B, T, D]: [B, Q, D]. */
function selfAttention(
  { config, form: { names }, dense }: TowerLayers,
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
  const query = split(dense(`${prefix}.${names.query}`, askingBQD, headSize ** -0.5));
  const [key, value] = [split(dense(`${prefix}.${names.key}`, xBTD)), split(dense(`${prefix}.${names.value}`, xBTD))];
  const outBNQD = attention(query, key, value, mask);
  return dense(`${prefix}.${names.output}`, tf.reshape(tf.transpose(outBNQD, [0, 2, 1, 3]), askingBQD.shape));
}

/** features [B, E] at length 1. */
export function unitRows(featuresBE: Tensor): Tensor {
  return tf.div(featuresBE, tf.sqrt(tf.sum(tf.square(featuresBE), -1, true)));
}
