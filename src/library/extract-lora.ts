/** `extractLora` for programs: a model as a LoRA adapter of its base, as `adamerge extract-lora` writes it. */
import path from "node:path";
import { ConfigError } from "../errors.js";
import type { TruncatedAdapter } from "../merge/truncated-adapter.js";
import { extractLora as run } from "../run/extract-lora/extract-lora.js";
import { resolveWork, type WorkOptions } from "./work-options.js";

/** What the adapter is of, and where it goes. */
export interface ExtractLoraOptions extends WorkOptions {
  /** Of every matrix; cut to what it can have. */
  readonly rank: number;
  /** The new folder, apart from the models. */
  readonly output: string;
  /** Of the factors; default: float32. Tensors in full are always float32. */
  readonly dtype?: "float16" | "float32" | undefined;
}

/**
 * Writes the difference of `model` from `base` (folders or files of checkpoints of any architecture, with the same names
 * of tensors) as a peft adapter, and says of each matrix what its factors miss. Throws CheckpointError for models that
 * do not belong together or do not differ.
 */
export async function extractLora(base: string, model: string, options: ExtractLoraOptions): Promise<TruncatedAdapter> {
  const work = resolveWork(options);
  const { cwd, output, overwrite, signal, onProgress } = work;
  if (output === undefined) throw new ConfigError("extractLora: expected output, the new folder, found none");
  const { rank, dtype = "float32" } = options;
  const [from, to] = [path.resolve(cwd, base), path.resolve(cwd, model)];
  return run(from, to, { output, rank, dtype, overwrite, signal, onProgress });
}
