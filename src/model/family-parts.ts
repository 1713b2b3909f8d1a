/** What a family of one's own is made of (docs/extending/family.md): what a family is, its encoders, and the pieces of forward passes. */
export { commonNames } from "../checkpoint/layout/common-names.js";
export type { OtherNaming, TensorLayout, TowerLayout } from "../checkpoint/layout/tensor-layout.js";
export type { EncodeOptions, Encoder } from "../data/encoder.js";
export type { ExampleStore, LabelledExamples } from "../data/examples.js";
export { imageEncoder } from "../data/image/pixels.js";
export type { Preprocessing } from "../data/image/preprocessing.js";
export { readPreprocessing } from "../data/image/read-preprocessing.js";
export { usualLengths } from "../data/lengths.js";
export { textEncoder } from "../data/text/text-encoder.js";
export { openTextTokenizer } from "../data/text/text-tokenizer.js";
export { type Activation, activate } from "../engine/ops/activation.js";
export { attention } from "../engine/ops/attention.js";
export { layerNorm } from "../engine/ops/layer-norm.js";
export { linear } from "../engine/ops/linear.js";
export type { TensorSpec, TensorValues } from "../engine/program.js";
export { type Tensor, tf } from "../engine/tf.js";
export { addFamily } from "./families.js";
export type {
  ClassifierLayout,
  FamilyFiles,
  FamilyTexts,
  FeatureChoice,
  Model,
  ModelFamily,
  ModelParts,
  ModelTensor,
  ModelWatch,
  NamedShape,
  Pooling,
  PythonFeatures,
  PythonRequest,
} from "./family.js";
export type { ModelWeights } from "./model-weights.js";
export {
  embedPatches,
  forEachImage,
  IMAGES,
  NOT_NORMALISED,
  type Normalization,
  patchGrid,
  servedImages,
} from "./patches.js";
export { transformerValues } from "./step-values.js";
export { throughParts } from "./through-parts.js";
export {
  type BlockConfig,
  type BlockForm,
  type BlockNames,
  type BlockOptions,
  blockTensors,
  normTensors,
  preNormForm,
  type TowerLayers,
  towerLayers,
  transformerBlock,
  unitRows,
} from "./transformer-block.js";
