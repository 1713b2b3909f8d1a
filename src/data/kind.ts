/**
 * A kind of examples as those see it who read data sets: what its files are called, in which columns of tables it is, how stored bytes are checked,
 * when two of them are the same, and the words for messages. Not what a model makes of them: that is its encoder's (encoder.ts). A kind is a folder
 * beside this file with an `ExampleKind`, and a line in kinds.ts.
 */
import type { ExifOrientation } from "./image/decode-image.js";

/** What examples are. */
export type KindName = "image" | "text";

/** One example as a report shows it to a person. */
export type Preview =
  | { readonly kind: "text"; readonly text: string }
  /** A PNG, small enough to stand in a page. */
  | { readonly kind: "picture"; readonly png: Uint8Array };

/** What readers of data sets know of a kind of examples: how it lies in files and columns, and what it is called. */
export interface ExampleKind {
  readonly name: KindName;
  /** "image", "an image", "images". */
  readonly one: string;
  readonly some: string;
  readonly many: string;
  readonly files: ExampleFiles;
  readonly columns: ExampleColumnNames;
  /** Where the suite's schema says how many there are; the older key is named to those who may have written it. */
  readonly countKey: "images" | "examples";
  /** For model cards. */
  readonly card: CardWords;
  /** One example as a column of a parquet file has it. Throws DataError, beginning with `where`, for a value that is none. */
  fromValue(value: unknown, where: string): Uint8Array;
  /** What is equal where examples are the same to a person, though their bytes differ: a decoded image, or a text without its blanks around. */
  content(
    encoded: Uint8Array,
    where: string,
    exifOrientation?: ExifOrientation,
  ): Promise<readonly (string | Uint8Array)[]>;
  /**
   * For each example, by its content, the first that is the same to a reader or nearly so, directly or through others. `firsts`: for each the first
   * that is known to be the same. Undefined where they are too many to be compared. Of kinds without it examples are the same or different.
   */
  nearFirsts?(contents: readonly string[], firsts: Int32Array): Int32Array | undefined;
  /** What a person is shown of it, cut or scaled down. Throws DataError, beginning with `where`, for what cannot be read. */
  preview(encoded: Uint8Array, where: string, exifOrientation?: ExifOrientation): Promise<Preview>;
}

/** How model cards speak of a kind of examples. */
export interface CardWords {
  /** What the Hugging Face hub calls its classification, and `pipeline` of transformers. */
  readonly classification: "image-classification" | "text-classification";
  /** What it calls an encoder. */
  readonly encoding: "image-feature-extraction" | "feature-extraction";
  /** Of Python, with the line that makes a list of one example. */
  readonly python: {
    readonly imports: readonly string[];
    readonly packages: readonly string[];
    readonly variable: "images" | "texts";
    readonly line: string;
    /** What `pipeline` has to be told, so that it takes any example. */
    readonly pipelineOptions: readonly string[];
  };
  /** The same as what the library's `predict` is given. */
  readonly typescript: string;
}

/** Files that hold one example of a kind. */
export interface ExampleFiles {
  /** Whether a file's ending, without the dot, is that of one that is read. */
  hasExtension(extension: string): boolean;
  /** The endings, for messages. */
  readonly formats: string;
  /** The usual of them as a pattern, for messages. */
  readonly pattern: string;
  readonly maxBytes: number;
  /** The example in the bytes of its file. Throws DataError, beginning with `where`, for bytes that are none. */
  fromBytes(bytes: Uint8Array, where: string): Uint8Array;
  /** Whether such files may lie beside folders of classes (README.txt): they are passed over and counted. */
  readonly mayLieBesideClasses: boolean;
}

/** In which columns of tables examples of a kind are. */
export interface ExampleColumnNames {
  /** The key in suite.yaml that names the column. */
  readonly option: "image_column" | "text_column";
  /** The key for the other column of a pair, where there are pairs. */
  readonly pairOption?: "pair_column";
  /** What a row of a CSV or JSON file has: the path of the example's file, or the example itself. */
  readonly inManifests: "paths" | "texts";
  /** Names that are taken without a word, the likeliest first. */
  readonly usualInManifests: readonly string[];
  readonly usualInParquet: readonly string[];
  /** What else it is called, as `simplified` names (columns.ts): taken where it is the only one, and said. */
  readonly near: readonly string[];
  /** What labels are called besides, likewise. */
  readonly nearLabels: readonly string[];
  /** Pairs of names, simplified too, that are two texts of one example. */
  readonly pairs: readonly (readonly [string, string])[];
  /** Its type in the metadata of the hub's parquet files, where it has one of its own. */
  readonly feature?: string;
  /** Which columns of a parquet file can be its column. */
  readonly holding: "bytes" | "texts";
  /** Letters and bytes of a row of a CSV or JSON file; bounds what a broken quote can gather. */
  readonly maxRowLength: number;
}
