/** The model that is fine-tuned: its files, what its head reads, and its weights. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Checkpoint } from "../../checkpoint/checkpoint.js";
import { towerTensors } from "../../checkpoint/layout/tower-names.js";
import { valueAt } from "../../checkpoint/saved-config.js";
import type { FinetuneConfig } from "../../config/finetune.js";
import type { Encoder } from "../../data/encoder.js";
import { CheckpointError, ConfigError } from "../../errors.js";
import { familyOf } from "../../model/families.js";
import type { FeatureChoice, Model, ModelFamily } from "../../model/family.js";
import { isSameFeatures } from "../../model/heads.js";
import { openBase } from "../../model/open-models.js";
import { modelWeights } from "../suite/stored-weights.js";

export interface OpenedBase {
  readonly checkpoint: Checkpoint;
  readonly family: ModelFamily;
  readonly model: Model;
  readonly encoder: Encoder;
  /** Of every tensor. */
  readonly weights: ReadonlyMap<string, Float32Array>;
}

/** Of a sentence encoder: it says what features are. */
const MODULES = "modules.json";

/**
 * Opens the base with the features that are asked for, or with its own. Where its files say nothing of features they
 * are what transformers' classifier of such a model reads, so that the result can be saved as one. Throws
 * CheckpointError for a folder that is no model of a known family, and ConfigError for features that it has not.
 */
export async function openFinetunedBase({ base, features, head }: FinetuneConfig): Promise<OpenedBase> {
  if ((await stat(base).catch(() => undefined))?.isDirectory() !== true)
    throw new CheckpointError(`${base}: expected the folder of a model, found none; check the path`);
  const checkpoint = await openBase(base);
  const { config } = checkpoint;
  const family = familyOf(config, base);
  const files = { config, folder: base };
  const own = await family.open(files);
  const choice = own.model.featureChoice;
  const isAsked = features.pooling !== null || features.normalize !== null;
  const pooling = features.pooling ?? choice?.pooling;
  if (isAsked && pooling === undefined)
    throw new ConfigError("features.pooling: expected one, since the base says none of its own, found null");
  const asked =
    isAsked && pooling !== undefined
      ? { pooling, normalized: features.normalize ?? choice?.normalized ?? false }
      : await usualChoice(checkpoint, family, choice, head.kind);
  const opened = asked === undefined ? own : await openAs(family, files, asked);
  const missing = missingTensor(checkpoint, opened.model);
  if (missing !== undefined)
    throw new CheckpointError(
      `${base}: expected a tensor ${missing} (${family.title}), found none; get the complete model, or choose other features`,
    );
  const { model, encoder } = opened;
  return { checkpoint, family, model, encoder, weights: await modelWeights(checkpoint, checkpoint, model) };
}

async function openAs(family: ModelFamily, files: Parameters<ModelFamily["open"]>[0], asked: FeatureChoice) {
  if (family.poolings.includes(asked.pooling)) {
    const opened = await family.open(files, asked);
    const found = opened.model.featureChoice;
    if (found === undefined || isSameFeatures(found, asked)) return opened;
  }
  throw new ConfigError(
    `features: expected features that a ${family.title} has (pooling ${family.poolings.join(", ")}), found pooling ${asked.pooling}${asked.normalized ? ", length 1" : ""}`,
  );
}

/** What transformers' classifier reads, for a base that says nothing; undefined: what the family opens by itself. */
async function usualChoice(
  checkpoint: Checkpoint,
  family: ModelFamily,
  own: FeatureChoice | undefined,
  head: FinetuneConfig["head"]["kind"],
): Promise<FeatureChoice | undefined> {
  const { config, path } = checkpoint;
  if (own === undefined || head !== "linear") return undefined;
  if ((await stat(join(path, MODULES)).catch(() => undefined)) !== undefined) return undefined;
  const modelType = valueAt(config, "model_type");
  const layout = family.classifiers.find(({ saved, hidden }) => saved?.modelType === modelType && hidden === undefined);
  if (layout === undefined || isSameFeatures(layout.features, own)) return undefined;
  const { model } = await family.open({ config, folder: path }, layout.features);
  return missingTensor(checkpoint, model) === undefined ? layout.features : undefined;
}

function missingTensor({ tensors, path }: Checkpoint, { tensors: wanted, layout }: Model): string | undefined {
  const { names } = towerTensors(layout, tensors.keys(), path);
  return wanted.find(({ name }) => !tensors.has(names.get(name) ?? ""))?.name;
}
