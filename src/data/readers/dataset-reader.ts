/**
 * What every data set reader returns, and what a reader is. A data set is one split: examples as they are stored (encoded images, texts) in a fixed
 * order, with labels when it has them. Not what a model is given: that is made by the encoder of its kind.
 */
import type { z } from "zod";
import { explainIssue } from "../../config/issues.js";
import { ConfigError } from "../../errors.js";
import type { ExifOrientation } from "../image/decode-image.js";
import type { ExampleKind, KindName } from "../kind.js";
import type { ColumnNaming } from "./columns.js";

/** One split of a data set, opened: its labels, and its examples one by one. */
export interface Dataset {
  readonly kind: KindName;
  /** The last part of the data set's path, for messages. */
  readonly name: string;
  readonly split: string;
  /** Number of examples, at least 1. */
  readonly size: number;
  /** Class names in the order of the labels, when the data set or the caller knows them. */
  readonly classes?: readonly string[];
  /** One class index per example, each >= 0; absent when the data set is unlabelled. */
  readonly labels?: Int32Array;
  /** The bytes of one example: those of an image's file, or a text in UTF-8. Throws DataError when they cannot be read. */
  encoded(index: number): Promise<Uint8Array>;
  /** The second text of each example, where they are pairs. */
  second?(index: number): Promise<Uint8Array>;
  /** Where an example is, for errors: a file, or a file and row. */
  locate(index: number): string;
  /** The examples' own files, absolute, where each has one. */
  readonly files?: readonly string[];
  /** What was passed over or assumed, in sentences that begin with where: files, rows and columns that are not among the examples. */
  readonly notices?: readonly string[];
  /** Why there are no labels: where they were expected, and what is there. */
  readonly unlabelled?: string;
  /** Classes without an example, with what their folders hold instead. */
  readonly emptyClasses?: ReadonlyMap<string, string>;
  /** Whether images are turned as their EXIF orientation says; they are if absent. */
  readonly exifOrientation?: ExifOrientation;
}

/** What a reader is asked to open. */
export interface ReadRequest {
  /** The directory of the data set. */
  readonly path: string;
  readonly split: string;
  /** Who asks, e.g. `suite.yaml: tasks.mnist`; the beginning of errors. */
  readonly where: string;
  /** What the examples are. */
  readonly kind: ExampleKind;
  /** Not validated yet: the reader does it, with its own schema. */
  readonly parameters: unknown;
  /** The caller's classes; without them class numbers are to have names, wherever they are. */
  readonly classes: readonly string[] | undefined;
  /** What a person does to name a column, for messages: `set dataset.label_column in suite.yaml`. */
  readonly naming: ColumnNaming;
}

/** One entry of the registry in `dataset.ts`. */
export interface DatasetReader {
  readonly name: string;
  title(kind: ExampleKind): string;
  /** What the reader expects to find, for the error when no reader recognises a directory. */
  layout(kind: ExampleKind): string;
  /** What suite.yaml may say of it; validated by the reader. */
  parameters(kind: ExampleKind): z.ZodType;
  /** Whether `path` looks like this format for `split`; only looks at names. */
  detect(path: string, split: string, kind: ExampleKind): Promise<boolean>;
  /** Splits that the names in `path` show; none when all its examples are one. Undefined where it is not this format. */
  splits(path: string, kind: ExampleKind): Promise<readonly string[] | undefined>;
  open(request: ReadRequest): Promise<Dataset>;
}

/** Validates a reader's parameters. Throws ConfigError that names each wrong one. */
export function readerParameters<Schema extends z.ZodType>(schema: Schema, request: ReadRequest): z.output<Schema> {
  const parsed = schema.safeParse(request.parameters ?? {});
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) =>
    [...issue.path.map(String), explainIssue(issue, request.parameters)].join(": "),
  );
  throw new ConfigError(`${request.where}: parameters of the data set reader: ${problems.join("; ")}`);
}
