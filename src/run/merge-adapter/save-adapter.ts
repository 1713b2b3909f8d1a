/** What merges that are saved as an adapter share: where it may go, its settings, and how its card reads. */
import { basename } from "node:path";
import { formerCheckpoint } from "../../checkpoint/former-checkpoint.js";
import type { Hub } from "../../checkpoint/hub/request.js";
import { ConfigError } from "../../errors.js";
import {
  type AdapterSummand,
  type SummedAdapter,
  type SummedAdapterOptions,
  saveSummedAdapter,
} from "../../merge/summed-adapter.js";
import { readCardFacts } from "../../report/card-facts.js";
import { summedAdapterCard } from "../../report/summed-adapter-card.js";
import { type Replacing, settleReplaced } from "../../runtime/atomic-file.js";
import { type Input, requireFolderPlace } from "../../runtime/output-place.js";
import type { OnProgress } from "../../runtime/progress.js";
import { packageVersion } from "../records/records.js";

export interface MergeAdapterOptions {
  /** The new folder, absolute. */
  readonly output: string;
  /** The most that a matrix gets; undefined: the sum of its experts' ranks, which is exact. */
  readonly rank: number | undefined;
  /** Of the factors. */
  readonly dtype: "float16" | "float32";
  /** Replace an earlier adapter, if it is all that the folder holds. */
  readonly overwrite: boolean;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
  readonly onProgress: OnProgress;
  /** For models on the hub. */
  readonly hub?: Hub;
  readonly cacheDir: string;
}

/** An expert as it is called, read, and weighed. */
export interface NamedSummand extends AdapterSummand {
  readonly name: string;
}

const REPLACING: Replacing = { recognise: formerCheckpoint };
const WHAT = "merging adapters";

/** Throws ConfigError for a rank that is no count, and for an output that is taken or among the inputs. */
export async function requireAdapterPlace(
  { output, rank, overwrite }: MergeAdapterOptions,
  inputs: readonly Input[],
): Promise<void> {
  if (rank !== undefined && (!Number.isSafeInteger(rank) || rank < 1))
    throw new ConfigError(`rank: expected a whole number from 1, found ${rank}; without it the merge is exact`);
  await settleReplaced(output, REPLACING);
  await requireFolderPlace(output, { shown: `--output ${output}`, inputs, overwrite, ...REPLACING });
}

/** What to do instead, for the end of errors. */
export const OTHERWISE =
  "Write the merged model without --save-as, and `adamerge extract-lora BASE MODEL --rank R` makes an adapter of it";

/** Writes it with a card. `baseName` is what others find the base by, `how` the method in a sentence. */
export async function saveMergedAdapter(
  {
    base,
    baseName,
    summands,
    how,
    taskType,
  }: Pick<SummedAdapterOptions, "base" | "baseName" | "taskType"> & {
    readonly summands: readonly NamedSummand[];
    readonly how: string;
  },
  { output, rank, dtype, overwrite, signal, onProgress }: MergeAdapterOptions,
): Promise<SummedAdapter> {
  const ofExperts = await Promise.all(
    summands.map(async ({ name, adapter }) => ({ name, facts: await readCardFacts(adapter.path) })),
  );
  return saveSummedAdapter(output, {
    ...{ base, baseName, summands, rank, signal, taskType, dtype: dtype === "float16" ? "F16" : "F32" },
    readme: summedAdapterCard({
      ...{ name: basename(output), how, rank, experts: ofExperts, version: packageVersion() },
      base: { name: basename(baseName), facts: await readCardFacts(base.path) },
    }),
    onProgress: ({ done, total }) => onProgress({ what: WHAT, done, total, unit: "matrices" }),
    replace: overwrite ? REPLACING : undefined,
  });
}
