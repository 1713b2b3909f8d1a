/** Models with LoRA adapters: the tensors that these change are written beside the unfinished result, and read from there. */
import { writeAdapted } from "../../checkpoint/adapter/adapted-tensors.js";
import { locationOf, type TensorLocation } from "../../checkpoint/element-reader.js";
import type { StoredTensor } from "../../checkpoint/stored-tensor.js";
import type { MergeModel } from "./models.js";
import type { MergePlan, PlannedJob } from "./plan.js";

/**
 * The plan's jobs with the adapted tensors in their places. What is in `folder` from an earlier start is used again. Undefined when it was
 * interrupted.
 */
export async function addAdapters(
  { jobs, base, models }: MergePlan,
  folder: string,
  { signal, log }: { readonly signal: AbortSignal; readonly log: (line: string) => void },
): Promise<readonly PlannedJob[] | undefined> {
  const changesOf = async (model: MergeModel | undefined): Promise<ReadonlyMap<string, StoredTensor>> => {
    if (model?.adapter === undefined) return new Map();
    log(`adds the adapter ${model.adapter.path} to ${model.checkpoint.path}`);
    return writeAdapted(model.adapter, model.checkpoint, folder, signal);
  };
  try {
    const ofBase = await changesOf(base);
    const ofModels: ReadonlyMap<string, StoredTensor>[] = [];
    for (const model of models) ofModels.push(await changesOf(model));
    const changed = (name: string, changes: ReadonlyMap<string, StoredTensor> | undefined, plain: TensorLocation) => {
      const stored = changes?.get(name);
      return stored === undefined ? plain : locationOf(stored);
    };
    // What is copied is the base's, or the first model's.
    const ofPattern = base === undefined ? ofModels[0] : ofBase;
    return jobs.map((job) => ({
      ...job,
      base: job.base && changed(job.ownNames.pattern, ofBase, job.base),
      models: job.models.map((location, at) => changed(job.ownNames.models[at] ?? "", ofModels[at], location)),
      work:
        job.work.kind === "copy"
          ? { kind: "copy", from: changed(job.ownNames.pattern, ofPattern, job.work.from) }
          : job.work,
    }));
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}
