/** What is known of a run before anything long: enough to say what it will need. */
import type { KindName } from "../../data/kind.js";
import type { Model } from "../../model/family.js";

/** The models of a run, compared and fit to be merged; nothing has been computed. */
export interface ComparedModels {
  readonly model: Pick<Model, "tensors" | "valuesPerExample" | "lengths">;
  /** What heads are made of: the classes of all merged tasks together, and the model's features. Default: heads are not counted. */
  readonly heads?: { readonly classes: number; readonly featureSize: number } | undefined;
  /** Of the examples. */
  readonly kind: KindName;
  /** Merged. */
  readonly tasks: number;
  /** For models with lengths: the longest that steps take; absent while the examples are not known. */
  readonly longest?: number | undefined;
  /** What the suite cuts examples to. */
  readonly cutTo?: number | undefined;
}
