/** What a saved merge has besides the merged tensors, for families whose files are the model's and nothing else. */
import type { StoredCheckpoint } from "../checkpoint/checkpoint.js";
import { towerTensors } from "../checkpoint/layout/tower-names.js";
import type { StoredTensor } from "../checkpoint/stored-tensor.js";
import type { ModelFamily } from "./family.js";

/** Of a base whose tensors are merged: what is saved with them. */
export interface SavedRest {
  /** The text of config.json. */
  readonly config: string;
  /** Tensors that no merge changes, by their names in the saved model. */
  readonly copied: Map<string, StoredTensor>;
  /** What a merged tensor is called in the saved model, by its canonical name; the same where it is absent. */
  readonly names: ReadonlyMap<string, string>;
  /** What a person should know. */
  readonly notices: readonly string[];
}

/** Everything as the base has it: its config, its names, its other tensors. `text` is that of its config.json. */
export function wholeBase(base: StoredCheckpoint, text: string, { layout }: Pick<ModelFamily, "layout">): SavedRest {
  const { names } = towerTensors(layout, base.tensors.keys(), base.path);
  return { config: text, copied: new Map(base.tensors), names, notices: [] };
}
