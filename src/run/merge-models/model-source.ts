/** The models of a merge as methods over the whole model read them: pieces of a base and of task vectors, from files. */
import { setImmediate } from "node:timers/promises";
import type { ElementReader } from "../../checkpoint/element-reader.js";
import { assert } from "../../errors.js";
import { expertOf } from "../../merge/methods/expert-weights.js";
import type { ModelSource } from "../../merge/methods/method.js";
import type { MergeTask } from "./jobs.js";
import { readPiece } from "./merge-tensor.js";

/** `tensors` are the jobs of all tensors that are merged and not copied. Reads reject when `signal` is aborted. */
export function modelSource(
  { tensors: jobs }: Pick<MergeTask, "tensors">,
  reader: ElementReader,
  signal?: AbortSignal,
): ModelSource {
  const byName = new Map(jobs.map((job) => [job.name, job]));
  const read: ModelSource["read"] = async (tensor, from, to) => {
    const job = byName.get(tensor.name);
    assert(job !== undefined, `no tensor ${tensor.name} in the merge`);
    // Reading blocks; whoever else is on this thread gets a turn between pieces.
    await setImmediate();
    signal?.throwIfAborted();
    const baseN = new Float32Array(to - from);
    const modelsMN = job.models.map(() => new Float32Array(to - from));
    readPiece(reader, job, { from, baseN, modelsMN }, true);
    return { tensor, from, baseN, taskVectors: modelsMN };
  };
  return {
    tasks: jobs[0]?.modelNames ?? [],
    tensors: jobs.map(({ name, shape, size }) => ({ name, shape, size })),
    read,
    readExpert: async (tensor, task) => expertOf(await read(tensor, 0, tensor.size), task),
  };
}
