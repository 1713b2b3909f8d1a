/** Types that stand in those of the library's functions, so that programs can name them and the API pages show them. */
export type { StoredCheckpoint } from "../checkpoint/checkpoint.js";
export type { HubSettings } from "../checkpoint/hub/settings.js";
export type {
  DerivedTensor,
  ModuleNames,
  OtherName,
  Spelling,
  TiedTensor,
  TowerNames,
} from "../checkpoint/layout/tensor-layout.js";
export type { StoredTensor } from "../checkpoint/stored-tensor.js";
export type { LabelMeaning } from "../data/classes.js";
export type { ChosenCorruption } from "../data/corruption.js";
export type { ExampleValues } from "../data/examples.js";
export type { HeadRecipe } from "../data/head-recipes.js";
export type { ExifOrientation } from "../data/image/decode-image.js";
export type { ResampleFilter, Size } from "../data/image/resample.js";
export type { CardWords, ExampleColumnNames, ExampleFiles, Preview } from "../data/kind.js";
export type { DatasetReading, OwnSplit, SuiteFeatures } from "../data/suite.js";
export type { TextModel } from "../data/text/text-encoder.js";
export type { TextTokenizer } from "../data/text/text-tokenizer.js";
export type { TokenBatch } from "../data/text/tokenizer-protocol.js";
export type { DeviceName, EngineName } from "../engine/create-engine.js";
export type { Axes, DataType, Numbers, Operand, Operations, TensorLike } from "../engine/operations.js";
export type { LowRankFactors } from "../engine/ops/low-rank-linear.js";
export type { Engine, InputType } from "../engine/program.js";
export type { OrderAgreement } from "../experiment/method-order.js";
export type { SweepRow, SweepTable } from "../experiment/sweep/sweep-table.js";
export type { ExperimentTable } from "../experiment/table-files.js";
export type { TableRow } from "../experiment/table-row.js";
export type { CoefficientMatrix } from "../merge/coefficients.js";
export type { KeptChanges } from "../merge/methods/kept-changes.js";
export type { MergeUnit, MethodSpec, ModelSource, Weights } from "../merge/methods/method.js";
export type { OutsideFamily } from "../model/families.js";
export type { FineTuningRates, Layer, LayerOrders, POOLINGS } from "../model/family.js";
export type { SavedRest } from "../model/saved-rest.js";
export type { TextEmbedder, TextFeatureOptions } from "../model/text-embedder.js";
export type { AdamState } from "../optimize/adam.js";
export type { TrainState } from "../optimize/train.js";
export type { LearnedGain } from "../report/learned-gain.js";
export type { StoredType } from "../run/export-onnx/served-program.js";
export type { SavedFinetuned } from "../run/finetune/save-finetuned.js";
export type { FitNeeds } from "../run/fit/fit-needs.js";
export type { ManifestRow, RunSplit } from "../run/init/divide-examples.js";
export type { ExampleSource } from "../run/init/example-sources.js";
export type { ExpertFacts } from "../run/init/expert-facts.js";
export type { HeadSource } from "../run/init/head-sources.js";
export type { NamedPaths } from "./named-path.js";
