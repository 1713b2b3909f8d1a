/**
 * Writes a model's change from its base as a peft adapter: every matrix truncated to a rank by singular values, every
 * other tensor that changed in full (merge/truncated-adapter.ts). Of a merge of LoRA experts the sum of their ranks
 * misses nothing but rounding. Any architecture; one tensor at a time is in memory.
 */
import { basename } from "node:path";
import { openCheckpoint } from "../../checkpoint/checkpoint.js";
import { formerCheckpoint } from "../../checkpoint/former-checkpoint.js";
import { refuseQuantised } from "../../checkpoint/quantised.js";
import { ConfigError } from "../../errors.js";
import { saveTruncatedAdapter, type TruncatedAdapter } from "../../merge/truncated-adapter.js";
import { readCardFacts } from "../../report/card-facts.js";
import { extractedCard } from "../../report/extracted-card.js";
import { type Replacing, settleReplaced } from "../../runtime/atomic-file.js";
import { requireFolderPlace } from "../../runtime/output-place.js";
import type { OnProgress } from "../../runtime/progress.js";
import { packageVersion } from "../records/records.js";

export interface ExtractLoraOptions {
  /** The new folder, absolute. */
  readonly output: string;
  /** Of every matrix; cut to what it can have. */
  readonly rank: number;
  /** Of the factors. */
  readonly dtype: "float16" | "float32";
  /** Replace an earlier adapter, if it is all that the folder holds. */
  readonly overwrite: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
}

const REPLACING: Replacing = { recognise: formerCheckpoint };
const WHAT = "extracting";

/**
 * `base` and `model`: folders or files of checkpoints with the same names of tensors. Throws ConfigError for a rank that
 * is no count and an output that is taken, CheckpointError for models that do not belong together or do not differ.
 */
export async function extractLora(base: string, model: string, options: ExtractLoraOptions): Promise<TruncatedAdapter> {
  const { output, rank, dtype, overwrite, signal, onProgress } = options;
  if (!Number.isSafeInteger(rank) || rank < 1)
    throw new ConfigError(`rank: expected a whole number from 1, found ${rank}; 16 or 32 are usual`);
  await settleReplaced(output, REPLACING);
  await requireFolderPlace(output, {
    shown: `--output ${output}`,
    inputs: [
      { path: base, what: "the base" },
      { path: model, what: "the model" },
    ],
    overwrite,
    ...REPLACING,
  });
  const [opened, changed] = [await openCheckpoint(base), await openCheckpoint(model)];
  refuseQuantised(opened);
  refuseQuantised(changed);
  return saveTruncatedAdapter(output, {
    ...{ base: opened, model: changed, rank, signal, dtype: dtype === "float16" ? "F16" : "F32", baseName: base },
    readme: extractedCard({
      ...{ name: basename(output), model: basename(model), rank, version: packageVersion() },
      base: { name: basename(base), facts: await readCardFacts(base) },
    }),
    onProgress: ({ done, total }) => onProgress({ what: WHAT, done, total, unit: "matrices" }),
    replace: overwrite ? REPLACING : undefined,
  });
}
