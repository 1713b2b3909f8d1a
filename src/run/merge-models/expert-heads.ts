/**
 * The heads that the models of a merge file bring along: those in their `heads/` folders, and the classifiers that
 * transformers saved them with, each under its model's name. Merging changes none of them: `heads/` of the result has
 * each as its expert had it, and `adamerge predict` labels with them. Found and read before the work, written after it.
 */
import type { StoredCheckpoint } from "../../checkpoint/checkpoint.js";
import { modelFolder } from "../../checkpoint/saved-config.js";
import { CheckpointError, UserError } from "../../errors.js";
import { findClassifier, openWithClassifier, readClassifier } from "../../model/classifiers.js";
import { familyOf } from "../../model/families.js";
import type { FeatureChoice, ModelFamily } from "../../model/family.js";
import { type HeadNotes, openHeadFile } from "../../model/head-file.js";
import { shownFeatures } from "../../model/heads.js";
import { printable } from "../../runtime/printable.js";
import { HEADS_FOLDER, listHeads, type NamedHead } from "../heads/heads-folder.js";
import { type FoundHead, nameHeads } from "./head-names.js";
import type { MergeModel } from "./models.js";
import type { MergePlan } from "./plan.js";

export interface HeadsPlan {
  /** As they are written. */
  readonly heads: readonly NamedHead[];
  /** What a person should know. */
  readonly notices: readonly string[];
}

/** Looks at all models of the plan. A head that cannot be read is left out with a notice: the weights are merged anyway. */
export async function planHeads(plan: Pick<MergePlan, "pattern" | "base" | "models">): Promise<HeadsPlan> {
  const { pattern, base, models } = plan;
  const family = knownFamily(pattern);
  const notices: string[] = [];
  const found: FoundHead[] = [];
  const without: string[] = [];
  for (const model of models) {
    const own = await headsOf(model, { base, family, notices });
    found.push(...own);
    if (own.length === 0) without.push(model.name);
  }
  // What the base was made to classify before is no task of the merge, unless it has heads as a merged model has.
  if (base !== undefined) found.push(...(await filedHeads(base.name, base.checkpoint, base.checkpoint.path, notices)));
  if (found.length === 0) return { heads: [], notices };
  if (family !== undefined && isOneClassifier(found, models, findOwn(pattern, family)))
    return { heads: [], notices: [...notices, "the classifier is merged too: all models have the same classes"] };
  const named = nameHeads(found);
  const names = named.heads.map(({ head }) => head.task);
  notices.push(...named.notices, `${HEADS_FOLDER}/ has the heads ${listedNames(names)}, as the models have them`);
  if (without.length > 0) notices.push(`no head was found in ${listedNames(without)}`);
  return { heads: named.heads, notices: [...notices, ...differenceOf(named.heads)] };
}

interface Search {
  readonly base: MergeModel | undefined;
  readonly family: ModelFamily | undefined;
  readonly notices: string[];
}

/** Of an adapter what lies in its folder; what it is added to counts too, unless that is the base of all. */
async function headsOf({ name, checkpoint, adapter }: MergeModel, { base, family, notices }: Search) {
  const isOfBase = adapter !== undefined && checkpoint.path === base?.checkpoint.path;
  const places = [...(adapter === undefined ? [] : [adapter.path]), ...(isOfBase ? [] : [checkpoint.path])];
  for (const place of places) {
    const filed = await filedHeads(name, checkpoint, place, notices);
    if (filed.length > 0) return filed;
    const classifier = family && (await classifierHead(name, place, family, notices));
    if (classifier !== undefined) return [classifier];
  }
  return [];
}

/** Those in the folder `heads/` of a model. */
async function filedHeads(model: string, checkpoint: StoredCheckpoint, place: string, notices: string[]) {
  const folder = await modelFolder(place);
  const found: FoundHead[] = [];
  if (folder === undefined) return found;
  for (const [task, path] of await listHeads(folder)) {
    const head = await unlessUnreadable(notices, async () => {
      const file = await openHeadFile(path);
      const { classes, maxLength } = file;
      const features = file.features ?? (await usualFeatures(checkpoint, folder));
      return { model, task, head: await file.read(task), notes: { classes, features, maxLength } };
    });
    if (head !== undefined) found.push(head);
  }
  return found;
}

async function classifierHead(model: string, place: string, family: ModelFamily, notices: string[]) {
  return unlessUnreadable(notices, async (): Promise<FoundHead | undefined> => {
    const checkpoint = await openWithClassifier(place);
    const found = findClassifier(checkpoint, family);
    if (found === undefined) return undefined;
    const { layout, classes, names, stored } = found;
    const first = stored.get((layout.hidden ?? layout).weight) ?? "";
    const featureSize = checkpoint.tensors.get(first)?.shape[1] ?? 0;
    const head = await readClassifier(place, family, { task: model, classes, featureSize });
    return { model, task: undefined, head, notes: { classes: names, features: layout.features } };
  });
}

/** A mistake in what only lies beside the weights must not keep them from being merged. */
async function unlessUnreadable<T>(notices: string[], read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    notices.push(`a head is not carried over: ${error.message}`);
    return undefined;
  }
}

/** What a head reads that does not say it: the usual features of its own model, since the result may have others. */
async function usualFeatures({ config, path }: StoredCheckpoint, folder: string): Promise<FeatureChoice | undefined> {
  if (config === undefined) return undefined;
  try {
    return (await familyOf(config, path).open({ config, folder })).model.featureChoice;
  } catch (error) {
    // Of a model that is no encoder, or lacks what its examples need: the head stays as open as it is.
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

/** Undefined for an architecture that has no family here: its models are merged all the same. */
function knownFamily({ config, path }: StoredCheckpoint): ModelFamily | undefined {
  if (config === undefined) return undefined;
  try {
    return familyOf(config, path);
  } catch (error) {
    if (error instanceof CheckpointError) return undefined;
    throw error;
  }
}

function findOwn(pattern: StoredCheckpoint, family: ModelFamily): boolean {
  try {
    return findClassifier(pattern, family) !== undefined;
  } catch (error) {
    if (error instanceof CheckpointError) return false;
    throw error;
  }
}

/** Whether the models do one task, and its classifier is a part of the result: then it is merged as everything else. */
function isOneClassifier(found: readonly FoundHead[], models: readonly MergeModel[], isInResult: boolean): boolean {
  const [first] = found;
  const classes = first?.notes.classes;
  if (!isInResult || classes === undefined || found.length !== models.length) return false;
  return found.every(
    ({ task, notes }) => task === undefined && JSON.stringify(notes.classes) === JSON.stringify(classes),
  );
}

/** Heads of other features cannot be asked at once. */
function differenceOf(heads: readonly NamedHead[]): readonly string[] {
  const shown = ({ features, maxLength }: HeadNotes) => {
    const length = maxLength === undefined ? "" : `, ${maxLength} tokens`;
    return `${features === undefined ? "the model's usual features" : shownFeatures(features)}${length}`;
  };
  const kinds = [...new Set(heads.map(({ notes }) => shown(notes)))];
  if (kinds.length < 2) return [];
  const each = kinds.map((kind) => {
    const names = heads.filter(({ notes }) => shown(notes) === kind).map(({ head }) => head.task);
    return `${kind} (${listedNames(names)})`;
  });
  return [`the heads read different features: ${each.join("; ")}. Predict with those of one kind at a time (--task)`];
}

function listedNames(names: readonly string[]): string {
  return names.map(printable).join(", ");
}
