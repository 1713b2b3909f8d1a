/** Where a merge file's result may go: apart from the file and from all that it names, and over nothing but an earlier result of ours. */
import { formerCheckpoint } from "../../checkpoint/former-checkpoint.js";
import type { Hub } from "../../checkpoint/hub/request.js";
import type { MergeFile } from "../../config/merge-file.js";
import { settleReplaced } from "../../runtime/atomic-file.js";
import { type Input, requireApart, requireFolderPlace } from "../../runtime/output-place.js";
import { cacheInputs } from "../suite/cache-inputs.js";
import { requireStagingPlace, stagingFolder } from "./staging.js";

export interface MergePlaceOptions {
  readonly overwrite: boolean;
  readonly hub?: Pick<Hub, "cacheDir">;
  readonly cacheDir?: string;
}

/** Throws ConfigError when the result may not go to `output`, or its unfinished part not beside it. Nothing is read but names. */
export async function requireMergePlace(file: MergeFile, output: string, options: MergePlaceOptions): Promise<void> {
  const inputs = mergeInputs(file, options);
  const recognise = formerCheckpoint;
  const shown = `--output ${output}`;
  await requireApart(output, shown, inputs);
  await requireApart(stagingFolder(output), stagingFolder(output), inputs);
  await requireStagingPlace(output);
  await settleReplaced(output, { recognise });
  await requireFolderPlace(output, { shown, inputs: [], overwrite: options.overwrite, recognise });
}

/** All that a merge by the file reads. */
export function mergeInputs(
  { path, models, base, tokenizer }: MergeFile,
  caches: Pick<MergePlaceOptions, "hub" | "cacheDir">,
): Input[] {
  const named = [...models, ...(base === undefined ? [] : [base])];
  return [
    { path, what: "the merge file" },
    ...named.flatMap(({ name, model, adapter }) => [
      { path: model.path, what: `the model ${name}` },
      ...(adapter === undefined ? [] : [{ path: adapter.path, what: `the adapter of ${name}` }]),
    ]),
    ...(tokenizer === undefined ? [] : [{ path: tokenizer.place.path, what: "the tokenizer's source" }]),
    ...cacheInputs(caches),
  ];
}
