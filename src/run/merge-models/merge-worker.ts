/** A thread that merges tensors, one job after another; see jobs.ts. */
import { parentPort, workerData } from "node:worker_threads";
import { assert } from "../../errors.js";
import type { MergeTask, WorkerReply, WorkerRequest } from "./jobs.js";
import { createMergeJob } from "./merge-job.js";

const port = parentPort;
assert(port !== null, "the merge worker was started on the main thread");
const merge = createMergeJob(workerData as MergeTask);
const reply = (message: WorkerReply): void => port.postMessage(message);

port.on("message", ({ job }: WorkerRequest) => {
  merge(job, (bytes) => reply({ kind: "progress", bytes })).then(
    () => reply({ kind: "done", name: job.name }),
    (error: unknown) => {
      const [type, message] = error instanceof Error ? [error.name, error.message] : ["Error", String(error)];
      reply({ kind: "failed", error: message, type });
    },
  );
});
