/**
 * What a fine-tuning leaves: the model with its head (`model/`), with LoRA also the adapter (`adapter/`), and the
 * classifier of transformers where its class computes the same (`classifier/`). Each folder appears whole or not at all.
 */
import { basename, join } from "node:path";
import type { Checkpoint } from "../../checkpoint/checkpoint.js";
import { formerCheckpoint } from "../../checkpoint/former-checkpoint.js";
import type { FinetuneConfig } from "../../config/finetune.js";
import { formatFinetune } from "../../config/finetune.js";
import type { Encoder } from "../../data/encoder.js";
import { kindOf } from "../../data/kinds.js";
import { assert, CheckpointError } from "../../errors.js";
import type { Model, ModelFamily } from "../../model/family.js";
import type { Head } from "../../model/heads.js";
import type { FineTunedWeights } from "../../optimize/fine-tune/options.js";
import { saveLoraAdapter } from "../../optimize/fine-tune/save-lora-adapter.js";
import { readCardFacts } from "../../report/card-facts.js";
import { finetunedCard } from "../../report/finetuned-card.js";
import { type Replacing, settleReplaced } from "../../runtime/atomic-file.js";
import { writeClassifier } from "../export-classifier/classifier.js";
import { writeHeads } from "../heads/heads-folder.js";
import { packageVersion } from "../records/records.js";
import { planSavedModel, type SavedModel, writeSavedModel } from "../suite/saved-model.js";

export interface SaveFinetuned {
  readonly runPath: string;
  readonly config: FinetuneConfig;
  readonly family: ModelFamily;
  readonly checkpoint: Checkpoint;
  readonly model: Model;
  readonly encoder: Encoder;
  /** Of every tensor, before the training. */
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly saved: SavedModel;
  readonly classes: readonly string[];
  /** For the card. */
  readonly trainedOn: string;
  readonly accuracies: readonly (readonly string[])[];
  readonly log: (line: string) => void;
}

/** Absolute paths. */
export interface SavedFinetuned {
  readonly model: string;
  readonly adapter?: string;
  readonly classifier?: string;
}

/** A folder of a run that was killed while it saved is replaced by the one that resumes. */
const REPLACING: Replacing = { recognise: formerCheckpoint };
const MODULES = "modules.json";

/** What the base's files come to, looked at before any work. Throws CheckpointError. */
export function planSaving(base: string, { tensors }: Pick<Model, "tensors">): Promise<SavedModel> {
  return planSavedModel(
    base,
    tensors.map(({ name }) => name),
  );
}

/** Throws UserError when the disk refuses, and CheckpointError for weights that are not finite. */
export async function saveFinetuned(learned: FineTunedWeights, options: SaveFinetuned): Promise<SavedFinetuned> {
  const { runPath, config, model, weights, saved, classes, log } = options;
  const [head] = learned.heads;
  assert(head !== undefined, "a fine-tuning without a head");
  const folder = join(runPath, "model");
  const notes = { classes, features: model.featureChoice, maxLength: config.max_length ?? undefined };
  for (const text of saved.notices) log(`notice: ${text}`);
  await settleReplaced(folder, REPLACING);
  await writeSavedModel(folder, saved, {
    tensors: model.tensors,
    values: (name) => {
      const values = learned.tensors.get(name) ?? weights.get(name);
      assert(values !== undefined, `no weights of ${name}`);
      return values;
    },
    readme: await cardOf(head, options, { isAdapter: false }),
    beside: (place) => writeHeads(place, [{ head, notes }]),
    replace: REPLACING,
  });
  return { model: folder, ...(await saveAdapter(learned, head, options)), ...(await saveClassifier(folder, options)) };
}

async function saveAdapter(
  { factors }: FineTunedWeights,
  head: Head,
  options: SaveFinetuned,
): Promise<Pick<SavedFinetuned, "adapter">> {
  if (factors === undefined) return {};
  const { runPath, config, checkpoint: base, model } = options;
  const adapter = join(runPath, "adapter");
  await settleReplaced(adapter, REPLACING);
  await saveLoraAdapter(adapter, {
    ...{ base, model, factors, dtype: "F32", baseName: config.base, replace: REPLACING },
    dropout: config.lora.dropout,
    // peft's class of encoders takes what has lengths alone.
    ...(model.lengths === undefined ? {} : { taskType: "FEATURE_EXTRACTION" as const }),
    readme: await cardOf(head, options, { isAdapter: true }),
  });
  return { adapter };
}

/** Says why there is none where transformers' class would compute something else. */
async function saveClassifier(
  model: string,
  { runPath, config, log }: SaveFinetuned,
): Promise<Pick<SavedFinetuned, "classifier">> {
  if (!config.save_classifier) return {};
  const classifier = join(runPath, "classifier");
  try {
    await writeClassifier(model, classifier, { overwrite: true, notice: (text) => log(`notice: ${text}`) });
    return { classifier };
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    log(`notice: ${error.message.replace(`${model}: `, "")}`);
    return {};
  }
}

async function cardOf(
  head: Head,
  { config, family, checkpoint, model, encoder, saved, classes, trainedOn, accuracies }: SaveFinetuned,
  { isAdapter }: { readonly isAdapter: boolean },
): Promise<string> {
  const { featureChoice: features, lengths } = model;
  const longest = lengths === undefined ? undefined : Math.min(lengths.at(-1) ?? 0, config.max_length ?? Infinity);
  const isAsked = config.features.pooling !== null || config.features.normalize !== null;
  const isSentenceEncoder = !isAsked && saved.companions.some(({ name }) => name === MODULES);
  const request = { config: checkpoint.config, longest, isSentenceEncoder };
  const name = basename(config.base);
  return finetunedCard({
    ...{ name: `${name} fine-tuned on ${head.task}`, kind: kindOf(encoder.kind), classes, trainedOn, accuracies },
    base: { name, facts: await readCardFacts(config.base) },
    hubId: undefined,
    settings: formatFinetune(config),
    usage: isAdapter
      ? undefined
      : {
          ...{ folder: ".", task: head.task, activation: undefined },
          python: features === undefined ? undefined : family.python?.({ ...request, features }),
        },
    version: packageVersion(),
  });
}
