/**
 * A saved model without its heads: the folder of a merged model, or of any model of a family, opened as what its heads
 * read or, where it has none, as what its own files say that its features are. Only headers are read before it is known
 * that all fits.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Checkpoint } from "../../checkpoint/checkpoint.js";
import { towerTensors } from "../../checkpoint/layout/tower-names.js";
import { sameShape } from "../../checkpoint/preflight.js";
import type { Encoder } from "../../data/encoder.js";
import { CheckpointError, ConfigError } from "../../errors.js";
import { type FoundClassifier, findClassifier } from "../../model/classifiers.js";
import { familyOf } from "../../model/families.js";
import type { FeatureChoice, Model, ModelFamily } from "../../model/family.js";
import { type HeadFile, openHeadFile } from "../../model/head-file.js";
import { isSameFeatures, shownFeatures } from "../../model/heads.js";
import { openBase } from "../../model/open-models.js";
import { nearest } from "../../runtime/nearest.js";
import { quote } from "../../runtime/printable.js";
import { HEADS_FOLDER, listHeads } from "../heads/heads-folder.js";
import { modelWeights, weightReader } from "../suite/stored-weights.js";

export interface SavedEncoder {
  /** The model's folder. */
  readonly folder: string;
  readonly family: ModelFamily;
  /** Parsed config.json. */
  readonly config: unknown;
  /** What lies in its files, all of it. */
  readonly checkpoint: Checkpoint;
  readonly model: Model;
  readonly encoder: Encoder;
  /** Tokens that texts are cut at, where the heads say so. */
  readonly maxLength: number | undefined;
  /** Files of the chosen heads, by task. */
  readonly headFiles: ReadonlyMap<string, HeadFile>;
  /** The classifier that the model was saved with, which counts where there are no files of heads. */
  readonly classifier: FoundClassifier | undefined;
  /** Reads every tensor. Throws CheckpointError. */
  weights(): Promise<Map<string, Float32Array>>;
  /** Reads one tensor, by the model's name for it. Throws CheckpointError. */
  weight(name: string): Promise<Float32Array>;
}

/** What the only head of a model that was saved with a classifier is called. */
export const OWN_HEAD = "classifier";

/**
 * Opens the model in `place`: its own folder, or that of a run whose `model/` it is. `tasks`: the heads that are
 * wanted, all of them if absent. Throws CheckpointError for a folder that is none, or whose heads do not fit it, and
 * ConfigError for a task that it has not.
 */
export async function openSavedEncoder(place: string, tasks?: readonly string[]): Promise<SavedEncoder> {
  const folder = await savedModelFolder(place);
  const base = await openBase(folder);
  if (base.config === undefined)
    throw new CheckpointError(`${join(folder, "config.json")}: expected the config.json of a model, found none`);
  const family = familyOf(base.config, folder);
  const paths = await listHeads(folder);
  const classifier = paths.size === 0 ? findClassifier(base, family) : undefined;
  const known = classifier === undefined ? [...paths.keys()] : [OWN_HEAD];
  const headFiles = new Map<string, HeadFile>();
  for (const task of chooseHeads(known, tasks, folder)) {
    const path = paths.get(task);
    if (path !== undefined) headFiles.set(task, await openHeadFile(path));
  }
  const files = [...headFiles.values()];
  const features = classifier?.layout.features ?? commonFeatures(files, family);
  const { model, encoder } = await family.open({ config: base.config, folder }, features);
  requireFit(files, model, features);
  requireTensors(base, model);
  return {
    ...{ folder, family, config: base.config, checkpoint: base, model, encoder, headFiles, classifier },
    maxLength: commonLength(files, folder, model.lengths?.at(-1)),
    weights: () => modelWeights(base, base, model),
    weight: weightReader(base, base, model),
  };
}

/** The error for a folder that has none. */
export function noHeads(folder: string): CheckpointError {
  return new CheckpointError(
    `${folder}: expected heads (${HEADS_FOLDER}/<task>.safetensors) or a model that was saved with its classifier, found neither; save the merged model again, or put the file of a head there`,
  );
}

/** The folder of a run stands for the model in it. Throws CheckpointError for a place that is none. */
export async function savedModelFolder(place: string): Promise<string> {
  const found = await stat(place).catch(() => undefined);
  if (found?.isDirectory() !== true)
    throw new CheckpointError(
      `${place}: expected the folder of a merged model (as a fit leaves it in model/), found ${found === undefined ? "nothing there" : "a file"}; check the path`,
    );
  const inner = join(place, "model");
  const isFile = async (path: string) => (await stat(path).catch(() => undefined))?.isFile() === true;
  return !(await isFile(join(place, "config.json"))) && (await isFile(join(inner, "config.json"))) ? inner : place;
}

function chooseHeads(known: readonly string[], wanted: readonly string[] | undefined, folder: string) {
  if (wanted === undefined || wanted.length === 0) return known;
  if (known.length === 0) throw noHeads(folder);
  for (const task of wanted) {
    if (known.includes(task)) continue;
    const close = nearest(task, known);
    throw new ConfigError(
      `--task ${task}: ${folder} has no head ${quote(task)}${close === undefined ? "." : `; did you mean ${close}?`} It has ${known.join(", ")}`,
    );
  }
  return [...new Set(wanted)];
}

/** What the heads say that they read; undefined where none says it: the model's folder does. */
function commonFeatures(files: readonly HeadFile[], { poolings, title }: ModelFamily): FeatureChoice | undefined {
  const [first, ...others] = files.filter(({ features }) => features !== undefined);
  const features = first?.features;
  if (first === undefined || features === undefined) return undefined;
  const other = others.find((file) => file.features !== undefined && !isSameFeatures(file.features, features));
  if (other?.features !== undefined)
    throw new CheckpointError(
      `${other.path}: expected a head for the features of ${first.path} (${shownFeatures(features)}), found one for others (${shownFeatures(other.features)}); choose heads that belong together with --task`,
    );
  if (poolings.includes(features.pooling)) return features;
  throw new CheckpointError(
    `${first.path}: expected a head for features that a ${title} has (${poolings.join(", ")}), found ${features.pooling}; is it the head of another model?`,
  );
}

/** Where texts are cut, within what the model takes; undefined where no head says it. */
function commonLength(files: readonly HeadFile[], folder: string, longest = Infinity): number | undefined {
  const lengths = new Set(files.map(({ maxLength }) => maxLength));
  const [only] = lengths;
  if (lengths.size <= 1) return only === undefined ? undefined : Math.min(only, longest);
  throw new CheckpointError(
    `${join(folder, HEADS_FOLDER)}: expected heads for texts that are cut alike, found max_length ${[...lengths].map((length) => length ?? "none").join(" and ")}; choose heads that belong together with --task`,
  );
}

function requireFit(files: readonly HeadFile[], model: Model, asked: FeatureChoice | undefined): void {
  for (const { path, featureSize } of files)
    if (featureSize !== model.featureSize)
      throw new CheckpointError(
        `${path}: expected a head for the model's ${model.featureSize} features, found one for ${featureSize}; is it the head of another model?`,
      );
  const own = model.featureChoice;
  if (asked === undefined || own === undefined || isSameFeatures(asked, own)) return;
  throw new CheckpointError(
    `${files[0]?.path}: expected a head for the model's features (${shownFeatures(own)}), found one for others (${shownFeatures(asked)}); is it the head of another model?`,
  );
}

/** Said before anything is read, with the file's own names. */
function requireTensors(base: Checkpoint, { tensors, layout }: Model): void {
  const { names } = towerTensors(layout, base.tensors.keys(), base.path);
  for (const { name, shape } of tensors) {
    const found = base.tensors.get(names.get(name) ?? "")?.shape;
    if (found !== undefined && sameShape(found, shape)) continue;
    throw new CheckpointError(
      `${base.path}: expected a tensor ${quote(name)} of shape [${shape.join(", ")}] (${layout.title}), found ${found === undefined ? "none" : `[${found.join(", ")}]`}; get the complete model again`,
    );
  }
}
