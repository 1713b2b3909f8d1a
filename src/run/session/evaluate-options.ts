/** What models are evaluated with: one compiled classifier and the examples of all judged tasks. */
import type { ExampleStore } from "../../data/examples.js";
import type { KeptChanges } from "../../merge/methods/kept-changes.js";
import type { ModelProbe } from "../../merge/methods/method.js";
import type { Classifier } from "../../optimize/evaluate.js";
import type { OnProgress } from "../../runtime/progress.js";

export interface EvaluateOptions {
  readonly classifier: Classifier;
  /** By task; those without labels are judged by entropy. */
  readonly examples: ReadonlyMap<string, ExampleStore>;
  readonly limit: number | undefined;
  /** For merging methods that look at examples. */
  readonly probe?: ModelProbe;
  /** What one method found out about the whole model, for when it merges again with settings that do not change that. */
  readonly findings?: Map<string, unknown>;
  /** What one method made of this model's tensors, for when it merges again with another scale. */
  readonly changes?: KeptChanges;
  /** Is told how many examples are judged. */
  readonly onProgress?: OnProgress | undefined;
  readonly signal: AbortSignal;
}
