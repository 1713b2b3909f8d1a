/** What embeds texts into the space of a model's features: zero-shot heads are made of it. P texts, E features. */
import type { Engine } from "../engine/program.js";
import type { OnProgress } from "../runtime/progress.js";

/** What is asked of an embedding of texts besides the texts. */
export interface TextFeatureOptions {
  /** Is told how many are embedded. */
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Embeds texts into the space of a model's features, for zero-shot heads. */
export interface TextEmbedder {
  /** Of the model, for messages. */
  readonly path: string;
  readonly featureSize: number;
  /** By which cosines are multiplied; undefined for a model that was saved without its own. */
  readonly logitScale: number | undefined;
  /** All that features depend on besides weights and tokens, as JSON: part of the keys of heads that are kept. */
  readonly facts: readonly unknown[];
  /** Name and content hash of every tensor. */
  hashes(): Promise<readonly (readonly [string, string | undefined])[]>;
  /** The tokens of each text: two of the same tokens have the same features. */
  tokens(texts: readonly string[]): Promise<readonly (readonly number[])[]>;
  /** Features [P, E] of length 1. */
  features(engine: Engine, textsP: readonly string[], options: TextFeatureOptions): Promise<Float32Array>;
}
