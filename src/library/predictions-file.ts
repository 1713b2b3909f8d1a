/** The file that evaluations write predictions into where they are asked to: its place is checked before any work. */
import path from "node:path";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import { type Input, requireFilePlace } from "../runtime/output-place.js";
import type { PredictionsRecord } from "../track/run-folder.js";
import type { Work } from "./work-options.js";

/** Of verbs that evaluate. */
export interface PredictionsOption {
  /** A new JSON file for the predicted class of every example, apart from all that is read; with `overwrite` one that is there. Default: none. */
  readonly predictions?: string | undefined;
}

/** Undefined when none is wanted. Throws ConfigError for a place that holds `inputs`, or anything that may not be replaced. */
export async function predictionsFile(
  given: string | undefined,
  { cwd, overwrite, optionName }: Pick<Work, "cwd" | "overwrite" | "optionName">,
  inputs: () => Promise<readonly Input[]>,
): Promise<{ write(predictions: PredictionsRecord): Promise<void> } | undefined> {
  if (given === undefined) return undefined;
  const file = path.resolve(cwd, given);
  const shown = `${optionName("predictions")} ${given}`;
  await requireFilePlace(file, { shown, inputs: [...(await inputs())], overwrite });
  return { write: (predictions) => writeFileAtomic(file, `${JSON.stringify(predictions)}\n`) };
}
