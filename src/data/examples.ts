/**
 * The examples of one split, of whatever kind: what a model is given and, in a type of its own, their labels. Code that adapts without labels is
 * given a store in which there are none.
 */
import { DataError } from "../errors.js";
import type { KindName } from "./kind.js";

/** Values of one input of a model. */
export type ExampleValues = Uint8Array | Int32Array | Float32Array;

/** Examples without their labels: the only thing that adaptation on unlabelled data is given. */
export interface ExampleStore {
  readonly kind: KindName;
  /** For messages: data set and split. */
  readonly name: string;
  readonly size: number;
  readonly classes?: readonly string[];
  /** Why there are no labels, where the data set says so. */
  readonly unlabelled?: string;
  /** Hex SHA-256 of the examples as stored and of how they were read; known when there is a cache. */
  readonly fingerprint?: string;
  /** [N], the least length that each example must be padded to, where they differ: tokens of texts. */
  readonly lengths?: Int32Array;
  /**
   * The inputs of a model for these examples, in their order, by name; padded to `length` where they have lengths. Copies: a view would drag the
   * whole split along when it is sent to the engine's worker. Throws DataError when a file of the cache is gone.
   */
  gather(indices: Uint32Array, length?: number): ReadonlyMap<string, ExampleValues>;
}

export interface LabelledExamples extends ExampleStore {
  /** [N], indices into the classes. */
  readonly labels: Int32Array;
}

/** The examples at `indices`, not copied, with their labels where there are some. */
export function selectExamples<Store extends ExampleStore>(store: Store, indices: Uint32Array): Store {
  const labels = isLabelled(store) ? { labels: Int32Array.from(indices, (index) => store.labels[index] ?? -1) } : {};
  const own = store.lengths;
  const lengths = own === undefined ? {} : { lengths: Int32Array.from(indices, (index) => own[index] ?? 0) };
  return {
    ...store,
    size: indices.length,
    gather: (wanted: Uint32Array, length?: number) =>
      store.gather(
        wanted.map((index) => indices[index] ?? 0),
        length,
      ),
    ...labels,
    ...lengths,
  };
}

/** Whether a store carries labels. */
export function isLabelled(store: ExampleStore): store is LabelledExamples {
  return "labels" in store;
}

/** `store` with its labels. Throws DataError when it has none; `where` says what needs them. */
export function requireLabels(store: ExampleStore, where: string): LabelledExamples {
  if (isLabelled(store)) return store;
  const why = store.unlabelled === undefined ? "" : `${store.unlabelled}; `;
  throw new DataError(
    `${where}: ${store.name}: expected labels, found an unlabelled split; ${why}choose a labelled split, add a label column or class folders, or do without: data.eval_split=null for a fit that measures no accuracy, data.eval_tasks for the tasks that have labels`,
  );
}

/** The same examples (not copied) in an object that has no labels, not even hidden from the type. */
export function withoutLabels({ kind, name, size, classes, fingerprint, lengths, gather }: ExampleStore): ExampleStore {
  return {
    kind,
    name,
    size,
    gather,
    ...(classes === undefined ? {} : { classes }),
    ...(fingerprint === undefined ? {} : { fingerprint }),
    ...(lengths === undefined ? {} : { lengths }),
  };
}
