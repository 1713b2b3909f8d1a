/** `exportClassifier` for programs: a saved model with one head as a classifier of transformers, which `pipeline` runs. */
import path from "node:path";
import { ConfigError } from "../errors.js";
import { type WrittenClassifier, writeClassifier } from "../run/export-classifier/classifier.js";
import { resolveLightWork, type WorkOptions } from "./work-options.js";

/** Which head becomes the classifier, and where it goes. */
export interface ExportClassifierOptions extends Pick<WorkOptions, "cwd" | "env" | "log" | "overwrite"> {
  /** The new folder, apart from the model's. */
  readonly output: string;
  /** Whose head; needed where there are several with different labels. */
  readonly task?: string | undefined;
}

/**
 * Writes the model in `folder` (its own, or that of its run) as `*ForImageClassification` or
 * `*ForSequenceClassification`. Throws CheckpointError where that class would compute something else, and says what to
 * do instead.
 */
export async function exportClassifier(folder: string, options: ExportClassifierOptions): Promise<WrittenClassifier> {
  const { cwd, log } = resolveLightWork(options);
  const { output, task, overwrite = false } = options;
  if (output === undefined || output === "")
    throw new ConfigError("exportClassifier: expected output, the new folder of the classifier, found none");
  const notice = (text: string) => log(`notice: ${text}`);
  return writeClassifier(path.resolve(cwd, folder), path.resolve(cwd, output), { task, overwrite, notice });
}
