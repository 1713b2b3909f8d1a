/**
 * What becomes one vector of the values that leave a text encoder's last block. Parity: sentence-transformers, models/Pooling.py and
 * models/Normalize.py; transformers, models/bert/modeling_bert.py (BertPooler). B texts, T tokens, D width.
 */
import { type Tensor, tf } from "../../engine/tf.js";
import type { FeatureChoice, Pooling } from "../family.js";
import { type TowerLayers, unitRows } from "../transformer-block.js";

/** Those of the text families. */
export const TEXT_POOLINGS = ["cls", "mean", "pooler"] as const satisfies readonly Pooling[];
export type TextPooling = (typeof TEXT_POOLINGS)[number];

export interface TextFeatures extends FeatureChoice {
  readonly pooling: TextPooling;
}

/** Whether the first token is all that leaves the last block. */
export function readsFirstToken(pooling: TextPooling): boolean {
  return pooling !== "mean";
}

/** The first token: [B, T, D] -> [B, 1, D]. */
export function firstToken(xBTD: Tensor): Tensor {
  return tf.slice(xBTD, [0, 0, 0], [-1, 1, -1]);
}

/** hidden [B, T, D] (T may be 1 where only the first token is read) to features [B, D]; maskBT has a 1 for each token that is not padding. */
export function pooledFeatures(
  { pooling, normalized }: TextFeatures,
  { dense, observe }: TowerLayers,
  pooler: string,
  hiddenBTD: Tensor,
  maskBT: Tensor,
): Tensor {
  const [batch = 1, , width = 1] = hiddenBTD.shape;
  const first = (): Tensor => tf.reshape(firstToken(hiddenBTD), [batch, width]);
  if (pooling === "mean") return unitIf(normalized, meanOverTokens(hiddenBTD, maskBT));
  if (pooling === "cls") return unitIf(normalized, first());
  const pooledBD = tf.tanh(dense(pooler, first()));
  observe(pooler, pooledBD);
  return unitIf(normalized, pooledBD);
}

function unitIf(normalized: boolean, featuresBD: Tensor): Tensor {
  return normalized ? unitRows(featuresBD) : featuresBD;
}

/** As a product with the mask as a row, [B, 1, T] x [B, T, D]: no copy of the values without their padding. */
function meanOverTokens(hiddenBTD: Tensor, maskBT: Tensor): Tensor {
  const [batch = 1, tokens = 1, width = 1] = hiddenBTD.shape;
  const sumsBD = tf.reshape(tf.matMul(tf.reshape(maskBT, [batch, 1, tokens]), hiddenBTD), [batch, width]);
  return tf.div(sumsBD, tf.sum(maskBT, 1, true));
}
