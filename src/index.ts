/// <reference types="node" preserve="true" />
/**
 * The library: the verbs of the command line for programs, with the same options and results, and what extends adamerge (families of models, methods,
 * objectives, readers of data sets, trackers). Its parts, which may change with every version, are in `adamerge/internal`. docs/library.md shows it.
 */

// The verbs.

export type { FinetuneConfig } from "./config/finetune.js";
export type { LoadedConfig } from "./config/load.js";
export type { RunConfig, RunConfigInput } from "./config/schema.js";
export type { Suite, SuiteTask } from "./data/suite.js";
export { CheckpointError, ConfigError, DataError, HubError, NumericError, TrackerError, UserError } from "./errors.js";
export type { PlannedCell, Reproduction } from "./experiment/reproduce.js";
export { configJsonSchema, configText } from "./library/config-text.js";
export {
  type ConvertCoefficientsOptions,
  convertCoefficients,
  readCoefficients,
} from "./library/convert-coefficients.js";
export { doctor } from "./library/doctor.js";
export { type EvaluateOptions, type EvaluationResult, type EvaluationTarget, evaluate } from "./library/evaluate.js";
export { type EvaluateModelOptions, evaluateModel } from "./library/evaluate-model.js";
export { type ExportClassifierOptions, exportClassifier } from "./library/export-classifier.js";
export { type ExportOnnxOptions, exportOnnx } from "./library/export-onnx.js";
export { type ExtractLoraOptions, extractLora } from "./library/extract-lora.js";
export { type FinetuneOptions, finetune, planFinetune, resumeFinetune } from "./library/finetune.js";
export { type FitOptions, type FitResult, fit, planFit, planLines, resume } from "./library/fit.js";
export { type InitOptions, init } from "./library/init.js";
export { type DescribedTensor, type Inspection, inspect } from "./library/inspect.js";
export { type ConfigSource, type LoadConfigOptions, loadConfig, type Overrides } from "./library/load-config.js";
export { type MergeOptions, merge } from "./library/merge.js";
export { type MergeToAdapterOptions, mergeModelsToAdapter, mergeToAdapter } from "./library/merge-adapter.js";
export { type MergeModelsOptions, mergeModels } from "./library/merge-models.js";
export { type FindMergeSourceOptions, findMergeSource, type MergeSource } from "./library/merge-source.js";
export { type MergeByDefinition, type MergeByMethod, mergeTensors } from "./library/merge-tensors.js";
export { type MethodDescription, type MethodSetting, methods } from "./library/methods.js";
export type { NamedPaths } from "./library/named-path.js";
export {
  type GivenInputs,
  type LabelProbability,
  type OpenPredictorOptions,
  openPredictor,
  type PredictionRow,
  type PredictOptions,
  type Predictor,
  predict,
  type TaskPrediction,
} from "./library/predict.js";
export { type PushedFile, type PushOptions, type PushResult, push } from "./library/push.js";
export { type QuickstartOptions, type QuickstartResult, quickstart } from "./library/quickstart.js";
export { type ReproduceOptions, type ReproduceResult, reproduce } from "./library/reproduce.js";
export { type CompareOptions, compareRuns, report, type SyncOptions, sync } from "./library/runs.js";
export {
  type NamedDicts,
  readStateDict,
  type StateDict,
  type StateTensor,
  writeStateDict,
} from "./library/state-dict.js";
export { openSuite, type PullOptions, pull } from "./library/suites.js";
export { type SweepOptions, type SweepResult, sweep, sweepTrial } from "./library/sweep.js";
export type {
  DownloadEvent,
  MergeEvent,
  ProgressEvent,
  UploadEvent,
  WorkEvent,
  WorkOptions,
} from "./library/work-options.js";
export type { SummedAdapter, SummedMatrix } from "./merge/summed-adapter.js";
export type { TruncatedAdapter, TruncatedTensor } from "./merge/truncated-adapter.js";
export type {
  CheckpointEvent,
  EndEvent,
  EvaluationEvent,
  LookEvent,
  StartEvent,
  StepEvent,
  TrainEvent,
} from "./optimize/events.js";
export type { Collapse } from "./optimize/predicted-classes.js";
export type { StoppingOutcome } from "./optimize/stopping.js";
export type { DoctorCheck, DoctorReport, ResultRow, Summary } from "./report/summary.js";
export type { WrittenClassifier } from "./run/export-classifier/classifier.js";
export type { ExportedOnnx } from "./run/export-onnx/export-onnx.js";
export type { FinetunePlan } from "./run/finetune/finetune.js";
export type { FinetuneAccuracies, FinetuneResult } from "./run/finetune/finish-run.js";
export type { FitPlan, PlannedStage } from "./run/fit/plan-fit.js";
export type { InitFindings } from "./run/init/init-suite.js";
export type { MergeResult } from "./run/merge-models/merge-models.js";
export type { CustomTracking, RunTracker, TrackedRun, Tracking } from "./run/records/tracking.js";
export type { PlannedRepository as PulledRepository } from "./run/suite/suite-sources.js";
export type { OnProgress, Progress } from "./runtime/progress.js";
export type { CoefficientsRecord } from "./track/coefficients-file.js";
export type { FinetuneEvaluationEvent, FinetuneEvent, FinetuneStepEvent } from "./track/finetune-events.js";
export type { Delivered } from "./track/mlflow/delivery.js";
export type { PredictionsRecord } from "./track/run-folder.js";

// Extensions: modules, training-free methods, readers of data sets. `z` is the copy of zod that checks their settings.

export { z } from "zod";
export type { ExampleKind, KindName } from "./data/kind.js";
export type { ColumnNaming, ColumnOption } from "./data/readers/columns.js";
export { type Dataset, type DatasetReader, type ReadRequest, readerParameters } from "./data/readers/dataset-reader.js";
export { addMethod, addReader, loadExtension, loadedExtensions } from "./library/extend.js";
export {
  addToBase,
  defineMethod,
  type MergeContext,
  type MergeMethod,
  type MergePiece,
  type ModelProbe,
  type PartwiseProbe,
  type Piece,
  type ProbedPart,
  piecesOf,
  remember,
  type SourceTensor,
  type WeightsOf,
} from "./merge/methods/method.js";
export type { DivergenceKind } from "./objective/divergence.js";
export { addObjective, type ObjectiveOptions, type OutsideObjective } from "./objective/objectives.js";

// Types that only stand in others.

export type * from "./library/shown-types.js";

// Families of models (docs/extending/family.md).

export * from "./model/family-parts.js";
