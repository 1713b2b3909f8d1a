/** Applies coefficients that were learned before and writes the merged model as a Hugging Face directory. */
import { formerCheckpoint } from "../../checkpoint/former-checkpoint.js";
import type { RunConfig } from "../../config/schema.js";
import { assert } from "../../errors.js";
import { readMergedTensor } from "../../merge/merged-weights.js";
import type { ResultRow } from "../../report/summary.js";
import { type Replacing, settleReplaced } from "../../runtime/atomic-file.js";
import { requireFolderPlace } from "../../runtime/output-place.js";
import { type CoefficientsRecord, readCoefficients, requireOwnHeads } from "../../track/coefficients-file.js";
import { saveHeads } from "../heads/heads-folder.js";
import { tensorCoefficients } from "../records/tensor-coefficients.js";
import { type InputOptions, type Inputs, loadInputs } from "../session/inputs.js";
import { planSavedModel, writeSavedModel } from "../suite/saved-model.js";
import { coefficientsInputs, suiteInputs } from "../suite/suite-place.js";
import { cardOf } from "./merged-model-card.js";

export interface MergeToDirectoryOptions extends InputOptions {
  /** Replace an earlier result, if it is all that the directory holds. */
  readonly overwrite?: boolean;
  /** The file of the config: no output may touch it. */
  readonly configPath?: string;
}

/** Merges the suite of `config` with the coefficients in `coefficientsPath` into `directory`, which must be empty or absent, or may be overwritten. */
export async function mergeToDirectory(
  config: RunConfig,
  coefficientsPath: string,
  directory: string,
  options: MergeToDirectoryOptions,
): Promise<void> {
  const overwrite = options.overwrite ?? false;
  await settleReplaced(directory, REPLACING);
  await requireFolderPlace(directory, {
    shown: `--output ${directory}`,
    inputs: [...(await suiteInputs(config, options)), ...(await coefficientsInputs(coefficientsPath))],
    overwrite,
    ...REPLACING,
  });
  const record = await readCoefficients(coefficientsPath);
  requireOwnHeads(record, coefficientsPath);
  const inputs = await loadInputs(config, { ...options, isSaved: true });
  const from = { record, path: coefficientsPath };
  await writeMergedModel(directory, inputs, config, from, [], overwrite ? REPLACING : undefined);
}

/** Models that versions without a manifest wrote may be replaced too. */
const REPLACING: Replacing = { recognise: formerCheckpoint };

/** What a model is merged with: coefficients, which lie at `path`, or weights that they do not give. */
export interface MergedFrom {
  readonly record: CoefficientsRecord;
  readonly path: string;
  /** Every tensor of the bundle. */
  readonly weights?: ReadonlyMap<string, Float32Array> | undefined;
}

/**
 * Writes the merged tensors in float32, all else of the base as it is there, the heads of the merged tasks, and a model
 * card.
 */
export async function writeMergedModel(
  directory: string,
  inputs: Inputs,
  config: RunConfig,
  { record, path, weights }: MergedFrom,
  rows: readonly ResultRow[],
  replace?: Replacing,
): Promise<void> {
  const { bundle, suite } = inputs;
  const names = bundle.tensors.map(({ name }) => name);
  const saved = inputs.saved ?? (await planSavedModel(suite.base, names));
  const coefficientsNK = weights === undefined ? tensorCoefficients(record, inputs, path) : new Float32Array();
  const rowOfTensor = new Map(inputs.grouping.tensors.map((name, index) => [name, index]));
  const byName = new Map(bundle.tensors.map((tensor) => [tensor.name, tensor]));
  await writeSavedModel(directory, saved, {
    tensors: bundle.tensors,
    readme: await cardOf(inputs, config, record, { rows, saved, folder: "." }),
    beside: (folder) => saveHeads(folder, inputs),
    replace,
    values: async (name) => {
      const values = weights?.get(name);
      if (values !== undefined) return values;
      const tensor = byName.get(name);
      assert(tensor !== undefined, `no tensor ${name} in the bundle`);
      return readMergedTensor(bundle, tensor, coefficientsNK, rowOfTensor.get(name) ?? 0);
    },
  });
}
