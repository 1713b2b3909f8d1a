/**
 * The seam between the merging of models and the models: what a family of encoders says of itself. Nothing outside of a family's folder
 * knows an architecture. B examples, E features.
 */
import type { StoredCheckpoint } from "../checkpoint/checkpoint.js";
import type { TowerLayout } from "../checkpoint/layout/tensor-layout.js";
import type { Encoder } from "../data/encoder.js";
import type { TensorSpec } from "../engine/program.js";
import type { Tensor } from "../engine/tf.js";
import type { ModelWeights } from "./model-weights.js";
import type { SavedRest } from "./saved-rest.js";
import type { TextEmbedder } from "./text-embedder.js";

/** A tensor's name and shape. */
export interface NamedShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/** The two halves of a transformer's block. */
export const BLOCK_HALVES = ["attention", "mlp"] as const;
/** One of `BLOCK_HALVES`. */
export type BlockHalf = (typeof BLOCK_HALVES)[number];

/** A parameter tensor and what it is in its model, so that nobody has to read that from its name. */
export interface ModelTensor extends NamedShape {
  /** The repeated block that it is in, counted from 0; absent before the first and behind the last. */
  readonly block?: number;
  /** The list that the block is in, for models with several: `encoder.block` and `decoder.block`. */
  readonly stack?: string;
  /** `embeddings`: before the first block; `output`: behind the last. */
  readonly part: "embeddings" | "block" | "output";
  /**
   * For the matrix [O, I] of a linear layer: the first linear layer that is given the same values (its own name, where it is the first).
   * Query, key and value have one input.
   */
  readonly sharesInput?: string;
  /** For such a matrix: the half of its block that it is in. */
  readonly half?: BlockHalf;
  /** The tensor of which this one is rows where query, key and value are stored as one. */
  readonly fusedAs?: string;
  /** A table [V, D] of which the forward pass asks rows (ModelWeights.rows), never the whole: words, segments. */
  readonly isTable?: boolean;
}

/** Those who look into the forward pass while it is built. */
export interface ModelWatch {
  /** Told what comes out of each part, examples first, by the prefix of its tensors. */
  readonly part?: (prefix: string, values: Tensor) => void;
  /** Told what goes into each linear layer [..., I], by the name of its weight [O, I]. */
  readonly input?: (weight: string, x: Tensor) => void;
  /**
   * Told what each scale [D] multiplies element by element [..., D], by its name: the normalised values of a norm, the
   * outputs that LayerScale scales. They are computed when asked for.
   */
  readonly scale?: (weight: string, x: () => Tensor) => void;
  /** Computes all tokens of the last block, though only one of them leaves it. */
  readonly wholeLastBlock?: boolean;
}

/**
 * A forward pass in parts, for those who go through it block by block and keep what goes from part to part: `features` is one part after another.
 * `hidden` is [B, T, D]; `mask` is the model's, where it has one.
 */
export interface ModelParts {
  /** How many blocks there are, as `block` of the tensors counts them. */
  readonly blocks: number;
  /** Of what goes from part to part, for `count` examples of one of the lengths: [count, T, D]. */
  readonly shape: (count: number, length?: number) => readonly number[];
  /** What the first block is given. */
  readonly before: (weights: ModelWeights, inputs: (name: string) => Tensor, watch?: ModelWatch) => Tensor;
  readonly block: (
    index: number,
    weights: ModelWeights,
    hidden: Tensor,
    mask: Tensor | undefined,
    watch?: ModelWatch,
  ) => Tensor;
  /** From what leaves the last block to features [B, E]. */
  readonly behind: (weights: ModelWeights, hidden: Tensor, mask: Tensor | undefined, watch?: ModelWatch) => Tensor;
}

/** An encoder whose sizes are known: a function from its tensors and examples to features. */
export interface Model {
  readonly featureSize: number;
  /** What files call its tensors. */
  readonly layout: TowerLayout;
  /** Every parameter tensor in forward order: the order of "layers" everywhere in this project. */
  readonly tensors: readonly ModelTensor[];
  /** The tensor of the linear map to the features, where there is one that may be left as the base has it. */
  readonly projection?: string;
  /**
   * The lengths that examples are padded to, in ascending order: each has a graph of its own, so that graphs stay static. Absent where all
   * examples have one size.
   */
  readonly lengths?: readonly number[];
  /** The input [B, T] that is 1 for what an example has of its length and 0 behind that; there is one where there are lengths. */
  readonly mask?: string;
  /**
   * Of `count` examples, by name: what a store of them gathers (data/examples.ts). `length` is one of `lengths`; the last one if absent. An export
   * asks for others below the last as well.
   */
  readonly inputs: (count: number, length?: number) => ReadonlyMap<string, TensorSpec>;
  /** Features [B, E] of examples of any of the lengths. Inputs are looked up by name; they are float32 where they were uint8. */
  readonly features: (weights: ModelWeights, inputs: (name: string) => Tensor, watch?: ModelWatch) => Tensor;
  /** The same features part by part. Absent where a family does not offer that: methods that go block by block take longer then. */
  readonly parts?: ModelParts;
  /**
   * The same features from inputs as other programs have them: called as in transformers, and prepared as far as those do it themselves. Absent
   * where `inputs` are so already.
   */
  readonly served?: Pick<Model, "inputs" | "features">;
  /** Values that one example (of the last of the lengths if none is given) keeps for the gradient, and passes through, at the peak of a step. */
  readonly valuesPerExample: (length?: number) => number;
  /** All that features depend on besides weights and examples, as JSON: part of the keys of what is kept. */
  readonly facts: readonly unknown[];
  /** What of the encoder's output its features are: said in the files of heads, so that others compute the same. */
  readonly featureChoice?: FeatureChoice;
}

/** The files of a model folder. */
export interface FamilyFiles {
  /** Parsed config.json, not validated; undefined if there is none. */
  readonly config: unknown;
  readonly folder: string;
}

/**
 * What becomes one vector of the values that leave the last block: those of the first token, the mean over the tokens that are not padding (of an
 * image: over its patches), both one behind the other, what the model's own pooler or projection makes of the first token.
 */
export const POOLINGS = ["cls", "mean", "cls_mean", "pooler", "projection"] as const;
/** One of `POOLINGS`. */
export type Pooling = (typeof POOLINGS)[number];

/** What of an encoder's output heads read. */
export interface FeatureChoice {
  readonly pooling: Pooling;
  /** Whether features are brought to length 1. */
  readonly normalized: boolean;
}

/** The classifier on top of a model that was saved with one. */
export interface ClassifierLayout {
  /** The class of transformers, as in `architectures` of config.json. */
  readonly architecture: string;
  /** What it reads. */
  readonly features: FeatureChoice;
  /** Names of its layer in the file, without what wrappers put in front: weight [C, E] and bias [C]. */
  readonly weight: string;
  readonly bias: string;
  /** The dense layer [H, E] between features and classes, where it has one of its own. */
  readonly hidden?: { readonly weight: string; readonly bias: string; readonly activation: "tanh" | "relu" };
  /** How such a model is saved, for models that are written as one; absent where none is. */
  readonly saved?: {
    /** Of config.json. */
    readonly modelType: string;
    /** What stands before the names of the encoder's tensors, with its dot. */
    readonly prefix: string;
    /** Tensors that are neither the encoder's nor the classifier's, and go along where a model has them. */
    readonly along?: readonly string[];
  };
}

/** How Python computes the features of a saved model, for model cards. */
export interface PythonFeatures {
  /** What loads the folder, as the hub's `library_name`. */
  readonly library: "transformers" | "sentence-transformers";
  readonly imports: readonly string[];
  /** With `folder`, and `images` or `texts` as a list: lines that end with `features` [B, E]. */
  readonly lines: readonly string[];
}

/** What the Python lines of a model card are made for. */
export interface PythonRequest {
  /** Parsed config.json of the saved model. */
  readonly config: unknown;
  readonly features: FeatureChoice;
  /** Tokens that texts are cut at. */
  readonly longest?: number | undefined;
  /** The folder is a sentence encoder's, with modules that give these features. */
  readonly isSentenceEncoder: boolean;
}

/** Canonical names of the tensors that share one place of a list; none for a place that another part of the model has. */
export type Layer = readonly string[];

/** The order of a model's layers in other tools' lists of coefficients. */
export interface LayerOrders {
  readonly fusionBench: readonly Layer[];
  /** The authors' code. */
  readonly official: readonly Layer[];
}

/** How names of classes become heads in a family. */
export interface FamilyTexts {
  /** The prompt for classes of which nothing is known, with `{}` where a name goes. */
  readonly prompt: string;
  /** By which cosines are multiplied where no model says so. */
  readonly logitScale: number;
  /** Opens what embeds texts, a folder or file; absent where it is the model itself, whose examples are texts. */
  readonly open?: (path: string) => Promise<TextEmbedder>;
}

/** Learning rates of AdamW for models that are `FINE_TUNED_WIDTH` wide: Adam's best rate goes with 1 / width (Yang et al. 2022, arXiv:2203.03466). */
export interface FineTuningRates {
  /** Of all weights. */
  readonly learningRate: number;
  /** Of LoRA's factors. */
  readonly loraLearningRate: number;
}

/** Where a family says nothing: transformers' Trainer has 5e-5, and smaller rates harm no one. */
export const USUAL_RATES: FineTuningRates = { learningRate: 2e-5, loraLearningRate: 2e-4 };

/** Of the models that published rates are for: "base" of every family. */
export const FINE_TUNED_WIDTH = 768;

/** One entry of the registry in families.ts. */
export interface ModelFamily {
  readonly name: string;
  readonly title: string;
  /** What its examples are. */
  readonly kind: "image" | "text";
  /** `model_type` in the config.json of its models. */
  readonly modelTypes: readonly string[];
  /** What files call its tensors. */
  readonly layout: TowerLayout;
  /** What its features may be. */
  readonly poolings: readonly Pooling[];
  /** The heads that its fine-tuned models are saved with. */
  readonly classifiers: readonly ClassifierLayout[];
  /** Heads that are known and not read, with what they are, by the class of transformers: to be refused by name. */
  readonly unreadClassifiers?: ReadonlyMap<string, string>;
  /** Classes of transformers that read none of the family's features, with what they read: said where one is asked for. */
  readonly otherClassifiers?: ReadonlyMap<string, string>;
  /**
   * The model with what encodes its examples. Without `features` they are those that the folder says (a sentence encoder's modules.json) or else
   * the family's usual ones. Throws CheckpointError or DataError for a file that is missing or does not fit, and for features that it has not.
   */
  readonly open: (
    files: FamilyFiles,
    features?: FeatureChoice,
  ) => Promise<{ readonly model: Model; readonly encoder: Encoder }>;
  /**
   * What a merge of its models is saved with besides the merged tensors, from the base's files; everything that the base has if absent. `text` is
   * that of its config.json, which stands at `where`.
   */
  readonly saved?: (base: StoredCheckpoint, text: string, where: string) => SavedRest;
  /** Absent where no library of Python has the model. */
  readonly python?: (request: PythonRequest) => PythonFeatures;
  /** What embeds texts into the space of its features; absent where nothing does. */
  readonly texts?: FamilyTexts;
  /** With which its models are usually fine-tuned; `USUAL_RATES` if absent. */
  readonly fineTuning?: FineTuningRates;
  /** The "layers" of other tools' coefficients, by position, for a model of these tensors; absent where no other tool knows the family. */
  readonly layerOrders?: (tensors: readonly string[]) => LayerOrders;
  /** The tensors alone, from the config that stands at `where`. Throws CheckpointError. */
  readonly tensors: (config: unknown, where: string) => readonly ModelTensor[];
}
