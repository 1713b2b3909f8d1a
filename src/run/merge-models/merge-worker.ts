/** A thread that merges tensors, one job after another; see jobs.ts. */
import { closeSync, openSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { type ElementReader, openElementReader } from "../../checkpoint/element-reader.js";
import { assert, UserError } from "../../errors.js";
import type { MergePiece } from "../../merge/methods/method.js";
import { mergeMethods } from "../../merge/methods/registry.js";
import { tensorMethods } from "../../merge/per-tensor/registry.js";
import type { TensorPiece } from "../../merge/per-tensor/tensor-method.js";
import { withAdvice } from "../../runtime/atomic-file.js";
import type { MergeTask, TensorJob, WorkerReply, WorkerRequest } from "./jobs.js";
import {
  copyTensor,
  type Output,
  PIECE_ELEMENTS,
  readPiece,
  tensorPieces,
  writeMerged,
  writeValues,
} from "./merge-tensor.js";
import { modelSource } from "./model-source.js";

const task = workerData as MergeTask;
const port = parentPort;
assert(port !== null, "the merge worker was started on the main thread");

/** Between two messages about progress. */
const PROGRESS_BYTES = 1 << 24;

let prepared: Promise<MergePiece> | undefined;

async function merge(job: TensorJob, reader: ElementReader, output: Output): Promise<void> {
  switch (job.work.kind) {
    case "copy":
      return copyTensor(job, job.work.from, reader, output);
    case "tensor":
      return mergeTensor(job, job.work, reader, output);
    case "whole-model":
      return mergeByWholeModel(job, reader, output);
    default:
      return job.work satisfies never;
  }
}

function mergeTensor(
  job: TensorJob,
  { perModelM, shared }: Extract<TensorJob["work"], { kind: "tensor" }>,
  reader: ElementReader,
  output: Output,
): void {
  const method = tensorMethods.get(task.method.name);
  assert(method !== undefined, `no method ${task.method.name}`);
  const pieces = rereadable(job, reader, method.inputs === "task-vectors");
  const { name, size } = job;
  const mergePiece = method.prepare({ name, size, seed: task.seed, stream: pieces }, perModelM, shared);
  writeMerged(job, reader, pieces(), mergePiece, output);
}

/** The pieces of a tensor as often as wanted: held in memory from the first time on where they are few, read again otherwise. */
function rereadable(job: TensorJob, reader: ElementReader, asTaskVectors: boolean): () => Iterable<TensorPiece> {
  const bytes = job.size * Float32Array.BYTES_PER_ELEMENT * (job.models.length + 1);
  if (bytes > task.cacheBytes) return () => tensorPieces(reader, job, asTaskVectors);
  let whole: TensorPiece | undefined;
  return function* () {
    if (whole === undefined) {
      whole = {
        from: 0,
        baseN: job.base === undefined ? undefined : new Float32Array(job.size),
        modelsMN: job.models.map(() => new Float32Array(job.size)),
      };
      readPiece(reader, job, whole, asTaskVectors);
    }
    for (let from = 0; from < job.size; from += PIECE_ELEMENTS) {
      const to = Math.min(job.size, from + PIECE_ELEMENTS);
      yield {
        from,
        baseN: whole.baseN?.subarray(from, to),
        modelsMN: whole.modelsMN.map((values) => values.subarray(from, to)),
      };
    }
  };
}

async function mergeByWholeModel(job: TensorJob, reader: ElementReader, output: Output): Promise<void> {
  const method = mergeMethods.get(task.method.name);
  assert(method !== undefined, `no method ${task.method.name}`);
  const source = modelSource(task, reader);
  prepared ??= method.prepare(
    { source, seed: task.seed, pieceElements: PIECE_ELEMENTS, findings: new Map(task.findings) },
    task.parameters,
  );
  const mergePiece = await prepared;
  const tensor = source.tensors.find(({ name }) => name === job.name);
  assert(tensor !== undefined, `no tensor ${job.name} in the merge`);
  const most = method.unit === "tensor" ? job.size : PIECE_ELEMENTS;
  for (let from = 0; from < job.size; from += most) {
    const piece = await source.read(tensor, from, Math.min(job.size, from + most));
    writeValues(job, reader, from, await mergePiece(piece), output);
  }
}

async function handle(job: TensorJob): Promise<WorkerReply> {
  const reader = openElementReader();
  let fd: number | undefined;
  let unreported = 0;
  try {
    fd = openSync(job.output.path, "r+");
    await merge(job, reader, {
      fd,
      written: (bytes) => {
        unreported += bytes;
        if (unreported < PROGRESS_BYTES) return;
        port?.postMessage({ kind: "progress", bytes: unreported } satisfies WorkerReply);
        unreported = 0;
      },
    });
    reader.close();
    port?.postMessage({ kind: "progress", bytes: unreported } satisfies WorkerReply);
    return { kind: "done", name: job.name };
  } catch (cause) {
    const error = withAdvice(cause, job.output.path);
    const message = error instanceof Error ? error.message : String(error);
    return { kind: "failed", error: message, type: error instanceof UserError ? error.name : "Error" };
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

port.on("message", ({ job }: WorkerRequest) => {
  void handle(job).then((reply) => port.postMessage(reply));
});
