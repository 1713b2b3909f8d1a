/** What a row of a table had to know: rows are compared and ranked only with others of the same needs. */
import type { RunConfig } from "../config/schema.js";
import { learnedHeads, stageConfigs } from "../config/stages.js";
import { readsLabels } from "../objective/catalog.js";
import { chooseMethod } from "../run/judge/choose-method.js";
import type { Cell } from "./cells.js";

/** What a method must know. Ranks make sense only within one class. */
export type NeedsClass =
  | "reference"
  | "no data"
  | `unlabelled ${string}`
  | "labels for settings"
  | `unlabelled ${string}, labels for settings`
  | "labels for training"
  | "labels for heads"
  | `unlabelled ${string}, learned heads`
  | `unlabelled ${string}, labels for settings, learned heads`
  | "task identity"
  | "oracle";

export type LabelUse = "nothing" | "settings" | "training" | "heads" | `settings on the judged ${string}`;

/** The class of the row that a cell belongs to; `examples`: what it is about, "images" or "texts". */
export function needsOf({ row, config }: Cell, examples: string): NeedsClass {
  if (row.setting === "oracle") return "oracle";
  if (row.fit !== undefined) {
    if (readsLabels(config)) return labelsTrainHeadsAlone(config) ? "labels for heads" : "labels for training";
    // Heads that are learned are kept for every task beside the one model.
    const own = learnedHeads(config).length === 0 ? "" : ", learned heads";
    return row.setting === "published"
      ? `unlabelled ${examples}${own}`
      : `unlabelled ${examples}, labels for settings${own}`;
  }
  const chosen = chooseMethod(row.method ?? "", row.settings);
  if (chosen.kind === "reference") return "reference";
  if (chosen.method.perTask === true) return "task identity";
  if (chosen.method.needsImages === true)
    return row.setting === "published" ? `unlabelled ${examples}` : `unlabelled ${examples}, labels for settings`;
  return row.setting === "published" ? "no data" : "labels for settings";
}

/** Of a fit that reads labels: whether nothing of the merged weights was learned from them. */
function labelsTrainHeadsAlone(config: RunConfig): boolean {
  return stageConfigs(config).every((stage) => stage.parametrisation === "none" || !readsLabels(stage));
}

/** What a cell used labels for. */
export function labelsOf({ row, config }: Cell, examples: string): LabelUse {
  if (row.setting === "oracle") return `settings on the judged ${examples}`;
  if (row.fit !== undefined && readsLabels(config)) return labelsTrainHeadsAlone(config) ? "heads" : "training";
  return row.setting === "val" ? "settings" : "nothing";
}
