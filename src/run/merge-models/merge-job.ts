/** Merges one tensor as its job says: reads the models' files and writes the result's. What a thread of a merge does, or the main thread for a method of a program's. */
import { closeSync, openSync } from "node:fs";
import { type ElementReader, openElementReader } from "../../checkpoint/element-reader.js";
import { assert } from "../../errors.js";
import { type Kernels, loadKernels } from "../../merge/kernels/kernels.js";
import type { MergePiece } from "../../merge/methods/method.js";
import { tensorMethods } from "../../merge/per-tensor/registry.js";
import { withAdvice } from "../../runtime/atomic-file.js";
import { explainSystemError } from "../../runtime/system-error.js";
import type { MergeTask, TensorJob } from "./jobs.js";
import { kernelBytes, kernelEncode, kernelPieces } from "./kernel-pieces.js";
import { copyTensor, type Output, PIECE_ELEMENTS, plainEncode, writeMerged, writeValues } from "./merge-tensor.js";
import { modelSource } from "./model-source.js";

/** Between two messages about progress. */
const PROGRESS_BYTES = 1 << 24;

type Written = Omit<Output, "encode">;

/** What does the jobs of one merge, one at a time. It throws what a person can put right as a UserError, and tells the bytes that were written. */
export type MergeJob = (job: TensorJob, onBytes: (bytes: number) => void) => Promise<void>;

/** What has been prepared for the whole merge is kept from job to job. */
export function createMergeJob(task: MergeTask): MergeJob {
  let prepared: Promise<MergePiece> | undefined;
  let kernels: Kernels | undefined;

  function mergeTensor(
    job: TensorJob,
    { perModelM, shared }: Extract<TensorJob["work"], { kind: "tensor" }>,
    reader: ElementReader,
    output: Written,
  ): void {
    const method = tensorMethods.get(task.method.name);
    assert(method !== undefined, `no method ${task.method.name}`);
    // All tensors have the same models.
    kernels ??= loadKernels(kernelBytes(job.models.length));
    kernels.memory.release();
    const pieces = kernelPieces(kernels, reader, job, method.inputs === "task-vectors");
    const encode = kernelEncode(kernels, job.output.dtype);
    const { name, size } = job;
    const tensor = { name, size, seed: task.seed, kernels, stream: pieces };
    writeMerged(job, reader, pieces(), method.prepare(tensor, perModelM, shared), { ...output, encode });
  }

  async function mergeByWholeModel(job: TensorJob, reader: ElementReader, written: Written): Promise<void> {
    const output = { ...written, encode: plainEncode(job.output.dtype) };
    // Not for everybody: methods over the whole model bring linear algebra with them.
    const { mergeMethods } = await import("../../merge/methods/registry.js");
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

  function merge(job: TensorJob, reader: ElementReader, output: Written): Promise<void> | void {
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

  return async (job, onBytes) => {
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
          onBytes(unreported);
          unreported = 0;
        },
      });
      reader.close();
      onBytes(unreported);
    } catch (cause) {
      // What fails while reading is of another file than the one that is written.
      const isRead = cause instanceof Error && "syscall" in cause && cause.syscall === "read";
      const error = isRead ? cause : withAdvice(cause, job.output.path);
      throw explainSystemError(error) ?? error;
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  };
}
