/** `exportOnnx` for programs: what `adamerge export` does with a saved model. */
import path from "node:path";
import { ConfigError } from "../errors.js";
import { type ExportedOnnx, exportOnnx as run } from "../run/export-onnx/export-onnx.js";
import type { StoredType } from "../run/export-onnx/served-program.js";
import { resolveWork, type WorkOptions } from "./work-options.js";

export interface ExportOnnxOptions extends WorkOptions {
  /** The new file, which ends with .onnx. */
  readonly output: string;
  /** The head whose logits and probabilities are computed as well; default: features alone. */
  readonly task?: string | undefined;
  /** How weights are stored; what is computed is float32. Default: float32. */
  readonly dtype?: StoredType | undefined;
}

/** Writes the model in a folder, or that of a run, as an ONNX file. docs/onnx.md says what is in it. */
export async function exportOnnx(model: string, options: ExportOnnxOptions): Promise<ExportedOnnx> {
  const { cwd, output, overwrite, signal, log } = resolveWork(options);
  if (output === undefined) throw new ConfigError("exportOnnx: expected output, the new file, found none");
  const { task, dtype } = options;
  const notice = (text: string): void => log(`notice: ${text}`);
  return run(path.resolve(cwd, model), { output, task, dtype, overwrite, signal, notice });
}
