/// <reference types="node" preserve="true" />
/** The parts that the verbs are made of, as `adamerge/internal`: for this project's own scripts and tests. They may change with every version. */
export { buildBundle } from "./checkpoint/build-bundle.js";
export { type Bundle, type BundleTensor, openBundle } from "./checkpoint/bundle.js";
export { type Checkpoint, openCheckpoint, saveCheckpoint } from "./checkpoint/checkpoint.js";
export { decodeFloat16, encodeFloat16 } from "./checkpoint/float16.js";
export { commonNames } from "./checkpoint/layout/common-names.js";
export type { OtherNaming, TensorLayout, TowerLayout } from "./checkpoint/layout/tensor-layout.js";
export { readSafetensorsHeader, readTensorFloat32, writeSafetensors } from "./checkpoint/safetensors.js";
export type { EncodeOptions, Encoder } from "./data/encoder.js";
export { type ExampleStore, type LabelledExamples, withoutLabels } from "./data/examples.js";
export { imageEncoder, loadPixels } from "./data/image/pixels.js";
export type { Preprocessing } from "./data/image/preprocessing.js";
export { readPreprocessing } from "./data/image/read-preprocessing.js";
export { usualLengths } from "./data/lengths.js";
export { openSuite, type Suite } from "./data/suite.js";
export { textEncoder } from "./data/text/text-encoder.js";
export { openTextTokenizer } from "./data/text/text-tokenizer.js";
export { createEngine, type EngineChoice } from "./engine/create-engine.js";
export { type Activation, activate } from "./engine/ops/activation.js";
export { attention } from "./engine/ops/attention.js";
export { layerNorm } from "./engine/ops/layer-norm.js";
export { linear } from "./engine/ops/linear.js";
export type { Engine, Executable, Program, TensorSource, TensorSpec, TensorValues } from "./engine/program.js";
export { type Tensor, tf } from "./engine/tf.js";
export { CheckpointError, ConfigError, DataError, NumericError, TrackerError, UserError } from "./errors.js";
export { constrain, toGroupGradient, toTensorCoefficients, uniformCoefficients } from "./merge/coefficients.js";
export { type Grouping, groupTensors } from "./merge/groups.js";
export { mergeableTensors, mergedTensors } from "./merge/merged-weights.js";
export { tiesProcessing } from "./merge/task-vector-processing.js";
export { type ClipVisionConfig, parseClipConfig } from "./model/clip/config.js";
export { clipVisionLayout } from "./model/clip/layout.js";
export { clipVisionFeatures, clipVisionTensors } from "./model/clip/vision.js";
export { clipVisionModel } from "./model/clip/vision-model.js";
export { addFamily } from "./model/families.js";
export type {
  ClassifierLayout,
  FamilyFiles,
  FamilyTexts,
  FeatureChoice,
  Model,
  ModelFamily,
  ModelTensor,
  ModelWatch,
  NamedShape,
  Pooling,
} from "./model/family.js";
export { type HeadFile, type HeadNotes, openHeadFile, writeHeadFile } from "./model/head-file.js";
export { type Head, loadHead, type WantedHead } from "./model/heads.js";
export { type ModelWeights, plainWeights } from "./model/model-weights.js";
export { embedPatches, forEachImage, IMAGES, type Normalization, patchGrid } from "./model/patches.js";
export { transformerValues } from "./model/step-values.js";
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
} from "./model/transformer-block.js";
export { type AdamState, initAdam, stepAdam, updateAdam } from "./optimize/adam.js";
export { type Classifier, createClassifier, type Evaluation } from "./optimize/evaluate.js";
export type { TrainEvent } from "./optimize/events.js";
export { fineTune } from "./optimize/fine-tune/fine-tune.js";
export type {
  AdamWOptions,
  FineTuned,
  FineTuneEvent,
  FineTuneTask,
  FineTuning,
} from "./optimize/fine-tune/options.js";
export { removeFineTuneState } from "./optimize/fine-tune/state.js";
export { type FineTuneOptions, fineTuneProgram } from "./optimize/fine-tune-program.js";
export { learningRateAt } from "./optimize/schedule.js";
export { type StepProgramOptions, stepProgram, stepSources } from "./optimize/step-program.js";
export { initTrainState, type TrainOptions, type TrainState, train } from "./optimize/train.js";
export { createRng, permutation, type Rng } from "./runtime/rng.js";
