import { CheckpointError, commonNames, linear, openTextTokenizer, textEncoder, tf, usualLengths } from "adamerge";

const WORDS = "embeddings.weight";

/** What files call the tensors: whatever is in front of all names is found, `rest` is what may lie around them. */
const layout = {
  title: "a deep averaging network",
  ...commonNames,
  tower: { prefix: "", parts: ["embeddings.", "layers."], sign: WORDS, beside: [], rest: /^classifier\./ },
};

function sizesOf(config, where) {
  const { vocab_size: words, hidden_size: width, num_layers: layers, max_length: longest = 64 } = config ?? {};
  for (const [key, value] of Object.entries({ words, width, layers, longest }))
    if (!Number.isInteger(value) || value < 1)
      throw new CheckpointError(`${where}: ${key}: expected a whole number from 1, found ${value}`);
  return { words, width, layers, longest };
}

/** Every tensor in forward order, with its role. */
const tensorsOf = ({ words, width, layers }) => [
  { name: WORDS, shape: [words, width], part: "embeddings", isTable: true },
  ...Array.from({ length: layers }, (_, block) => [
    { name: `layers.${block}.weight`, shape: [width, width], part: "block", block },
    { name: `layers.${block}.bias`, shape: [width], part: "block", block },
  ]).flat(),
];

/** Texts of T tokens to features [B, D]: plain functions of tfjs, which supplies the gradient. */
function featuresOf({ layers }, weights, inputs, watch) {
  const mask = inputs("attention_mask");
  const words = weights.rows(WORDS, inputs("input_ids"));
  // An empty text has no token: nothing is divided by zero.
  const count = tf.maximum(tf.sum(mask, 1, true), tf.scalar(1));
  let x = tf.div(tf.sum(tf.mul(words, tf.expandDims(mask, 2)), 1), count);
  for (let block = 0; block < layers; block++) {
    const name = `layers.${block}`;
    watch?.input?.(`${name}.weight`, x);
    x = tf.tanh(linear(x, weights.get(`${name}.weight`), weights.get(`${name}.bias`)));
  }
  return x;
}

function modelOf(sizes) {
  const lengths = usualLengths(sizes.longest);
  return {
    ...{ featureSize: sizes.width, layout, tensors: tensorsOf(sizes), lengths, mask: "attention_mask" },
    inputs: (count, length = sizes.longest) => {
      const shape = [count, length];
      return new Map(Object.entries({ input_ids: { shape, dtype: "int32" }, attention_mask: { shape, dtype: "uint8" } }));
    },
    features: (weights, inputs, watch) => featuresOf(sizes, weights, inputs, watch),
    valuesPerExample: (length = sizes.longest) => (2 * length + 2 * sizes.layers) * sizes.width,
    facts: [sizes],
  };
}

/** Iyyer et al. 2015, Deep Unordered Composition Rivals Syntactic Methods for Text Classification. */
export const family = {
  ...{ name: "dan", title: "deep averaging network", kind: "text", modelTypes: ["deep_averaging_network"] },
  ...{ layout, poolings: ["mean"], tensors: (config, where) => tensorsOf(sizesOf(config, where)) },
  classifiers: [
    {
      architecture: "DeepAveragingForSequenceClassification",
      features: { pooling: "mean", normalized: false },
      ...{ weight: "classifier.weight", bias: "classifier.bias" },
    },
  ],
  open: async ({ config, folder }) => {
    const vocabularySource = `${folder}/config.json`;
    const sizes = sizesOf(config, vocabularySource);
    const texts = { vocabularySize: sizes.words, vocabularySource, hasSegments: false };
    const [model, tokenizer] = [modelOf(sizes), await openTextTokenizer(folder)];
    return { model, encoder: textEncoder({ ...texts, tokenizer, lengths: model.lengths }) };
  },
};
