/**
 * The models that a merge file names, opened: folders and files, repositories on the hub, which are downloaded first, and LoRA adapters of
 * either. Only headers are read.
 */
import { dirname } from "node:path";
import { readAdapterOf } from "../../checkpoint/adapter/adapted-tensors.js";
import { type Adapter, isAdapter } from "../../checkpoint/adapter/adapter.js";
import { openCheckpoint, type StoredCheckpoint } from "../../checkpoint/checkpoint.js";
import { fetchPlanned, requireHub } from "../../checkpoint/hub/fetch-planned.js";
import { modelFiles } from "../../checkpoint/hub/model-files.js";
import { parseUri } from "../../checkpoint/hub/reference.js";
import type { Hub } from "../../checkpoint/hub/request.js";
import { type ChooseFiles, planSnapshot, type SnapshotPlan } from "../../checkpoint/hub/snapshot.js";
import { refuseQuantised } from "../../checkpoint/quantised.js";
import type { MergeFile, MergeFileModel, MergeFilePlace } from "../../config/merge-file.js";
import { locateOnHub } from "../../data/suite-paths.js";
import { CheckpointError } from "../../errors.js";
import { layoutOf } from "../../model/families.js";

export interface MergeModel {
  readonly name: string;
  /** The model, without its adapter. */
  readonly checkpoint: StoredCheckpoint;
  readonly adapter: Adapter | undefined;
}

export interface MergeModels {
  readonly base: MergeModel | undefined;
  readonly models: readonly MergeModel[];
  /** Where the tokenizer's files are copied from. */
  readonly tokenizer: string | undefined;
}

/**
 * Opens `models` and, where the method needs it, `base`. The folder of an adapter alone is an adapter of the file's base. Throws HubError for
 * what does not come from the hub, CheckpointError for what cannot be opened.
 */
export async function openMergeModels(
  file: MergeFile,
  { base, models }: { readonly base: MergeFileModel | undefined; readonly models: readonly MergeFileModel[] },
  hub: Hub | undefined,
): Promise<MergeModels> {
  const named = [...models, base, file.base].flatMap((entry) => (entry === undefined ? [] : [entry]));
  const find = await bringAll(
    file,
    [...named.flatMap(({ model, adapter }) => [model, adapter]), file.tokenizer?.place],
    hub,
  );
  const open = async (entry: MergeFileModel): Promise<MergeModel> => {
    const { name, model, adapter } = entry;
    const path = find(model);
    const isOfBase = file.base !== undefined && file.base.path !== entry.path && file.base.adapter === undefined;
    if (adapter !== undefined) return withAdapter(name, await openPlain(path), find(adapter));
    if (isOfBase && (await isAdapter(path))) return withAdapter(name, await openPlain(find(file.base.model)), path);
    return { name, checkpoint: await openPlain(path), adapter: undefined };
  };
  return {
    base: base === undefined ? undefined : await open(base),
    models: await Promise.all(models.map(open)),
    tokenizer: file.tokenizer === undefined ? undefined : find(file.tokenizer.place),
  };
}

async function openPlain(path: string): Promise<StoredCheckpoint> {
  const checkpoint = await openCheckpoint(path);
  refuseQuantised(checkpoint);
  return checkpoint;
}

async function withAdapter(name: string, checkpoint: StoredCheckpoint, path: string): Promise<MergeModel> {
  const adapter = await readAdapterOf(path, checkpoint, layoutOf(checkpoint.config));
  if (adapter !== undefined) return { name, checkpoint, adapter };
  throw new CheckpointError(
    `${path}: expected the folder of a LoRA adapter (behind the plus of model ${name}), found none. Check the path.`,
  );
}

/** Downloads what is on the hub; returns where each place lies here. */
async function bringAll(
  { path: file }: MergeFile,
  places: readonly (MergeFilePlace | undefined)[],
  hub: Hub | undefined,
): Promise<(place: MergeFilePlace) => string> {
  const found = new Map<string, string>();
  const plans: SnapshotPlan[] = [];
  for (const place of places) {
    if (place === undefined || found.has(place.path)) continue;
    const located = await locateOnHub(place.text, "model", dirname(file));
    const reference = parseUri(located);
    found.set(place.path, located);
    if (reference === undefined) continue;
    const plan = await planSnapshot(
      requireHub(hub, [{ reference }]),
      { reference, choose: chooseFiles },
      { update: false },
    );
    found.set(place.path, plan.directory ?? located);
    plans.push(plan);
  }
  if (hub !== undefined) await fetchPlanned(hub, plans);
  return ({ path }) => found.get(path) ?? path;
}

/** A model's weights and config, or an adapter's, its heads, and what goes with the merged model. */
const chooseFiles: ChooseFiles = modelFiles({
  ...{ preprocessor: false, tokenizer: false, companions: true, heads: true, card: true },
});
