/** What turns the stored examples of a data set into those of one model: it belongs to a model as its preprocessor or tokenizer does. */

import type { ChosenCorruption } from "./corruption.js";
import type { ExampleStore, LabelledExamples } from "./examples.js";
import type { Preprocessing } from "./image/preprocessing.js";
import type { KindName } from "./kind.js";
import type { Dataset } from "./readers/dataset-reader.js";

/** How much of a split is encoded, how, and where it is kept. */
export interface EncodeOptions {
  /** Where encoded splits are kept; nothing is kept without it. */
  readonly cacheDir?: string | undefined;
  /** What all kept splits together may take on the disk, in bytes; those used longest ago go first. */
  readonly cacheBytes?: number | undefined;
  /** Only the first `limit` examples. */
  readonly limit?: number | undefined;
  /** Ends the encoding. */
  readonly signal?: AbortSignal | undefined;
  /** What is done to every example before it is encoded. */
  readonly corruption?: ChosenCorruption | undefined;
  /** The most tokens of a text, where that is less than what the model takes. */
  readonly maxLength?: number | undefined;
  /** Is told what was done to examples besides encoding them: how many texts were cut. */
  readonly notice?: ((text: string) => void) | undefined;
}

/** Turns examples into inputs of a model. */
export interface Encoder {
  /** What it encodes. */
  readonly kind: KindName;
  /** Of images: what is done to each, for programs that do it themselves; the model normalises where this says so. */
  readonly preprocessing?: Preprocessing;
  /** Encodes a split into the cache, or finds it there. Throws DataError naming the first example that cannot be read. */
  open(dataset: Dataset, options: EncodeOptions): Promise<ExampleStore | LabelledExamples>;
}
