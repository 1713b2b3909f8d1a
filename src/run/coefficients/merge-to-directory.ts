/** Applies coefficients that were learned before and writes the merged model as a Hugging Face directory. */

import { saveCheckpoint } from "../../checkpoint/checkpoint.js";
import { formerCheckpoint } from "../../checkpoint/former-checkpoint.js";
import { readStoredBytes } from "../../checkpoint/stored-tensor.js";
import type { RunConfig } from "../../config/schema.js";
import { isClassifier, prototypesOf, zeroShotOf } from "../../data/head-recipes.js";
import { kindOf } from "../../data/kinds.js";
import type { SuiteTask } from "../../data/suite.js";
import { CheckpointError } from "../../errors.js";
import { readMergedTensor } from "../../merge/merged-weights.js";
import { modelCard } from "../../report/model-card.js";
import type { ResultRow } from "../../report/summary.js";
import { type Replacing, settleReplaced } from "../../runtime/atomic-file.js";
import { requireFolderPlace } from "../../runtime/output-place.js";
import { type CoefficientsRecord, readCoefficients } from "../../track/coefficients-file.js";
import { saveHeads } from "../heads/heads-folder.js";
import { packageVersion } from "../records/records.js";
import { tensorCoefficients } from "../records/tensor-coefficients.js";
import { type InputOptions, type Inputs, loadInputs } from "../session/inputs.js";
import { planSavedModel } from "../suite/saved-model.js";
import { coefficientsInputs, suiteInputs } from "../suite/suite-place.js";

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
  const inputs = await loadInputs(config, { ...options, isSaved: true });
  const from = { record, path: coefficientsPath };
  await writeMergedModel(directory, inputs, config, from, [], overwrite ? REPLACING : undefined);
}

/** Models that versions without a manifest wrote may be replaced too. */
const REPLACING: Replacing = { recognise: formerCheckpoint };

/**
 * Writes the merged tensors in float32, all else of the base as it is there, the heads of the merged tasks, and a model
 * card.
 */
export async function writeMergedModel(
  directory: string,
  inputs: Inputs,
  config: RunConfig,
  { record, path }: { readonly record: CoefficientsRecord; readonly path: string },
  rows: readonly ResultRow[],
  replace?: Replacing,
): Promise<void> {
  const { bundle, suite } = inputs;
  const names = bundle.tensors.map(({ name }) => name);
  const saved = inputs.saved ?? (await planSavedModel(suite.base, names));
  const coefficientsNK = tensorCoefficients(record, inputs, path);
  const rowOfTensor = new Map(inputs.grouping.tensors.map((name, index) => [name, index]));
  const savedName = (name: string): string => saved.names.get(name) ?? name;
  const byName = new Map(bundle.tensors.map((tensor) => [savedName(tensor.name), tensor]));
  await saveCheckpoint(directory, {
    config: saved.config,
    companions: saved.companions,
    readme: cardOf(inputs, config, record, rows),
    beside: (folder) => saveHeads(folder, inputs),
    replace,
    specs: [
      ...bundle.tensors.map(({ name, shape }) => ({ name: savedName(name), shape, dtype: "F32" })),
      ...[...saved.copied].map(([name, { shape, dtype }]) => ({ name, shape, dtype })),
    ],
    data: async (name) => {
      const copied = saved.copied.get(name);
      if (copied !== undefined) return readStoredBytes(copied);
      const tensor = byName.get(name);
      if (tensor === undefined) throw new CheckpointError(`${directory}: no tensor ${name}`);
      return readMergedTensor(bundle, tensor, coefficientsNK, rowOfTensor.get(tensor.name) ?? 0);
    },
  });
}

/** Where heads are, what they are from, and what they were made of, labels above all. */
function headText(tasks: readonly SuiteTask[], examples: string): string {
  const prototypes = tasks.flatMap(({ name, head }) => {
    const recipe = prototypesOf(head);
    return recipe === undefined ? [] : [`${name} (\`${recipe.split}\`, features of the ${recipe.model})`];
  });
  const classifiers = tasks.flatMap(({ name, head }) => (isClassifier(head) ? [name] : []));
  const zeroShot = tasks.flatMap(({ name, head }) => (zeroShotOf(head) === undefined ? [] : [name]));
  const sentences = [
    "The heads of the tasks lie in `heads/` of the model's folder, a safetensors file each; `adamerge predict` labels with them.",
    ...(classifiers.length === 0
      ? []
      : [
          `The heads of these tasks are the classifiers that their experts were saved with: ${classifiers.join(", ")}.`,
        ]),
    ...(prototypes.length === 0
      ? []
      : [
          `The heads of these tasks are class prototypes of labelled ${examples} of a split: ${prototypes.join(", ")}.`,
        ]),
    ...(zeroShot.length === 0
      ? []
      : [`The heads of these tasks are text features of the classes' names: ${zeroShot.join(", ")}.`]),
  ];
  return sentences.join(" ");
}

/** The model card of a merge of this suite. */
export function cardOf(
  { suite, tasks, encoder }: Inputs,
  config: RunConfig,
  coefficients: CoefficientsRecord,
  rows: readonly ResultRow[],
): string {
  const examples = kindOf(encoder.kind).many;
  return modelCard({
    name: `${suite.name} merged by adamerge`,
    base: `${suite.name}/base`,
    experts: tasks.map((task) => `${suite.name}/${task.name}`),
    config,
    examples,
    coefficients,
    rows,
    heads: headText(tasks, examples),
    version: packageVersion(),
  });
}
