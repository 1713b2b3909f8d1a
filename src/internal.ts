/// <reference types="node" preserve="true" />
/** The parts that the verbs are made of, as `adamerge/internal`: for this project's own scripts and tests. They may change with every version. */
export { buildBundle } from "./checkpoint/build-bundle.js";
export { type Bundle, type BundleTensor, openBundle } from "./checkpoint/bundle.js";
export { type Checkpoint, openCheckpoint, saveCheckpoint } from "./checkpoint/checkpoint.js";
export { decodeFloat16, encodeFloat16 } from "./checkpoint/float16.js";
export { readSafetensorsHeader, readTensorFloat32, writeSafetensors } from "./checkpoint/safetensors.js";
export { withoutLabels } from "./data/examples.js";
export { loadPixels } from "./data/image/pixels.js";
export { openSuite, type Suite } from "./data/suite.js";
export { createEngine, type EngineChoice } from "./engine/create-engine.js";
export type { Engine, Executable, Program, TensorSource } from "./engine/program.js";
export { CheckpointError, ConfigError, DataError, NumericError, TrackerError, UserError } from "./errors.js";
export { constrain, toGroupGradient, toTensorCoefficients, uniformCoefficients } from "./merge/coefficients.js";
export { type Grouping, groupTensors } from "./merge/groups.js";
export { mergeableTensors, mergedTensors } from "./merge/merged-weights.js";
export { tiesProcessing } from "./merge/task-vector-processing.js";
export { type ClipVisionConfig, parseClipConfig } from "./model/clip/config.js";
export { clipVisionLayout } from "./model/clip/layout.js";
export { clipVisionFeatures, clipVisionTensors } from "./model/clip/vision.js";
export { clipVisionModel } from "./model/clip/vision-model.js";
export * from "./model/family-parts.js";
export { type HeadFile, type HeadNotes, openHeadFile, writeHeadFile } from "./model/head-file.js";
export { type Head, loadHead, type WantedHead } from "./model/heads.js";
export { plainWeights } from "./model/model-weights.js";
export { type AdamState, initAdam, stepAdam, updateAdam } from "./optimize/adam.js";
export { type Classifier, createClassifier, type Evaluation } from "./optimize/evaluate.js";
export type { TrainEvent } from "./optimize/events.js";
export { fineTune } from "./optimize/fine-tune/fine-tune.js";
export type {
  AdamWOptions,
  DrawnExamples,
  FineTuneAnchors,
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
