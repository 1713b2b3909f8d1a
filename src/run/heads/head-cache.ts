/** Heads that were made once: files under `<cache>/heads`, named by the hash of what went into them. */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { writeSafetensors } from "../../checkpoint/safetensors-writer.js";
import { UserError } from "../../errors.js";
import { type Head, loadHead } from "../../model/heads.js";

/** The file of a head that `contents`, as JSON, decide. */
export function keptHeadPath(cacheDir: string, contents: readonly unknown[]): string {
  const key = createHash("sha256").update(JSON.stringify(contents)).digest("hex");
  return join(cacheDir, "heads", `${key}.safetensors`);
}

/** Undefined for a file that is absent or does not read: the head is made again. */
export async function readKeptHead(
  path: string,
  shape: { readonly task: string; readonly classes: number; readonly featureSize: number },
): Promise<Head | undefined> {
  if ((await stat(path).catch(() => undefined)) === undefined) return undefined;
  return loadHead(path, shape).catch(() => undefined);
}

/** Keeps a head; returns it as the file has it, the same bits as when it is read again. A disk that refuses is no reason to stop: it is made again the next time. */
export async function keepHead(path: string, made: Head): Promise<Head> {
  const head = { ...made, logitScale: Math.fround(made.logitScale) };
  const { classes, featureSize, weight, bias, logitScale } = head;
  const tensors = [
    { name: "weight", dtype: "F32", shape: [classes, featureSize], data: weight },
    { name: "bias", dtype: "F32", shape: [classes], data: bias },
    { name: "logit_scale", dtype: "F32", shape: [], data: Float32Array.of(logitScale) },
  ];
  await writeSafetensors(path, tensors).catch((error: unknown) => {
    if (!(error instanceof UserError)) throw error;
  });
  return head;
}
