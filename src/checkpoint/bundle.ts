/**
 * A bundle: the base and all task vectors of one experiment in one safetensors file, packed for mapping. Entries
 * `base/<name>` F32 [shape] and `task_vectors/<name>` F32 or F16 [K, ...shape]; tensors that no expert has are in the base
 * alone. With F16 the vectors are divided by `scales/<name>` F32 [K], see half-task-vectors.ts. Where task vectors are
 * counted from the experts' mean, that is `base/<name>`, and `pretrained/<name>` F32 [shape] what the base has. The file's
 * name is the fingerprint of what went into it, so a bundle is built once and never changed. K tasks, N elements of one
 * tensor.
 */
import { CheckpointError } from "../errors.js";
import { quote } from "../runtime/printable.js";
import { widenTaskVector } from "./half-task-vectors.js";
import { sameShape } from "./preflight.js";
import {
  type ReadRange,
  readFloat32Range,
  readSafetensorsHeader,
  type SafetensorsFile,
  withRanges,
} from "./safetensors.js";

export const BUNDLE_FORMAT = "adamerge-bundle";
/** Part of every fingerprint: raise it when the meaning of a bundle's values changes. */
export const BUNDLE_VERSION = "1";
const F32_BYTES = 4;
const F16_BYTES = 2;

export type TaskVectorDtype = "F32" | "F16";
/** What task vectors are counted from: the base's values, or the mean of the experts'. */
export type TaskVectorOrigin = "pretrained" | "average";

/** Bytes of one tensor in a file, as an engine maps them. */
export interface FileSource {
  readonly kind: "file";
  readonly path: string;
  readonly byteOffset: number;
  readonly byteLength: number;
}

export interface BundleTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** float32 [shape]: what task vectors are added to. */
  readonly base: FileSource;
  /** float32 [shape]: the base's own values, where `base` is the mean of the experts'. */
  readonly pretrained?: FileSource;
  /** float32 or, with `scales`, float16 [K, ...shape], tasks in the bundle's order; absent if the tensor is taken from the base. */
  readonly taskVectors?: FileSource;
  /** float32 [K]: what the stored task vectors are multiplied with. */
  readonly scales?: FileSource;
}

export interface Bundle {
  readonly path: string;
  /** Hex sha256 over the version, tasks, tensors, contents of the inputs and the processing. */
  readonly fingerprint: string;
  readonly tasks: readonly string[];
  /** In the model's order. */
  readonly tensors: readonly BundleTensor[];
}

/** Opens a bundle and verifies its header. Throws CheckpointError if it is no bundle of this version or incomplete. */
export async function openBundle(path: string): Promise<Bundle> {
  const file = await readSafetensorsHeader(path);
  const { metadata } = file;
  if (metadata.get("format") !== BUNDLE_FORMAT || metadata.get("version") !== BUNDLE_VERSION) {
    const found = `format ${metadata.get("format") ?? "none"}, version ${metadata.get("version") ?? "none"}`;
    throw new CheckpointError(
      `${path}: expected a bundle (format ${BUNDLE_FORMAT}, version ${BUNDLE_VERSION}), found ${found}. Delete it; it is built again from the checkpoints.`,
    );
  }
  const tasks = readStrings(file, "tasks");
  const tensors = readStrings(file, "tensors").map((name) => bundleTensor(file, name, tasks.length));
  return { path, fingerprint: metadata.get("fingerprint") ?? "", tasks, tensors };
}

/** What the task vectors of one tensor are added to, float32 [shape], as a copy. */
export async function readBase(_bundle: Bundle, { base }: BundleTensor): Promise<Float32Array> {
  return readFloat32Range(base.path, base.byteOffset, base.byteLength);
}

/** The base's own values of one tensor, float32 [shape], as a copy. */
export async function readPretrained(_bundle: Bundle, { base, pretrained }: BundleTensor): Promise<Float32Array> {
  const { path, byteOffset, byteLength } = pretrained ?? base;
  return readFloat32Range(path, byteOffset, byteLength);
}

/** The task vectors of one tensor, float32 [K, ...shape], as a copy. Throws CheckpointError if it has none. */
export async function readTaskVectors(bundle: Bundle, tensor: BundleTensor): Promise<Float32Array> {
  const { taskVectors, scales } = tensor;
  if (taskVectors !== undefined && scales === undefined)
    return readFloat32Range(taskVectors.path, taskVectors.byteOffset, taskVectors.byteLength);
  const size = sizeOf(tensor.shape);
  const tauKN = new Float32Array(bundle.tasks.length * size);
  for (const task of bundle.tasks.keys())
    tauKN.set(await readTaskVectorRange(bundle, tensor, task, 0, size), task * size);
  return tauKN;
}

/** Elements `from` to `to` of one task's vector of one tensor, float32, as a copy. Throws CheckpointError if it has none. */
export async function readTaskVectorRange(
  bundle: Bundle,
  tensor: BundleTensor,
  task: number,
  from: number,
  to: number,
): Promise<Float32Array> {
  return withRanges(bundle.path, (read) => taskVectorRange(bundle, tensor, task, from, to, read));
}

/** As `readTaskVectorRange`, from the bundle's file that is open already. */
export async function taskVectorRange(
  { path }: Bundle,
  { name, shape, taskVectors, scales }: BundleTensor,
  task: number,
  from: number,
  to: number,
  read: ReadRange,
): Promise<Float32Array> {
  if (taskVectors === undefined) {
    throw new CheckpointError(
      `${path}: tensor ${quote(name)}: expected task vectors, found none: it is taken from the base.`,
    );
  }
  const { byteOffset } = taskVectors;
  const first = task * sizeOf(shape) + from;
  if (scales === undefined)
    return new Float32Array((await read(byteOffset + first * F32_BYTES, (to - from) * F32_BYTES)).buffer);
  const scalesK = new Float32Array((await read(scales.byteOffset, scales.byteLength)).buffer);
  const bits = await read(byteOffset + first * F16_BYTES, (to - from) * F16_BYTES);
  return widenTaskVector(new Uint16Array(bits.buffer), scalesK[task] ?? 1);
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

function bundleTensor(file: SafetensorsFile, name: string, tasks: number): BundleTensor {
  const base = file.tensors.get(`base/${name}`);
  const tau = file.tensors.get(`task_vectors/${name}`);
  const shape = base?.shape ?? [];
  const scales = file.tensors.get(`scales/${name}`);
  const pretrained = file.tensors.get(`pretrained/${name}`);
  const isStored =
    tau === undefined ||
    ((scales === undefined ? tau.dtype === "F32" : tau.dtype === "F16" && sameShape(scales.shape, [tasks])) &&
      sameShape(tau.shape, [tasks, ...shape]));
  const isWhole = pretrained === undefined || (pretrained.dtype === "F32" && sameShape(pretrained.shape, shape));
  const sound = base?.dtype === "F32" && isStored && isWhole;
  if (base === undefined || !sound) {
    throw new CheckpointError(
      `${file.path}: expected base and task vectors of ${quote(name)} for ${tasks} tasks, found others. Delete it; it is built again from the checkpoints.`,
    );
  }
  const source = ({ byteOffset, byteLength }: FileRange): FileSource => ({
    kind: "file",
    path: file.path,
    byteOffset,
    byteLength,
  });
  return {
    name,
    shape,
    base: source(base),
    ...(pretrained === undefined ? {} : { pretrained: source(pretrained) }),
    ...(tau === undefined ? {} : { taskVectors: source(tau) }),
    ...(scales === undefined ? {} : { scales: source(scales) }),
  };
}

interface FileRange {
  readonly byteOffset: number;
  readonly byteLength: number;
}

function readStrings(file: SafetensorsFile, key: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(file.metadata.get(key) ?? "");
  } catch {
    value = undefined;
  }
  if (Array.isArray(value) && value.every((item): item is string => typeof item === "string")) return value;
  throw new CheckpointError(
    `${file.path}: expected metadata ${key} as a list of strings, found none. Delete the bundle.`,
  );
}
