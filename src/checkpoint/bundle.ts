/**
 * A bundle: the base and all task vectors of one experiment in one safetensors file, packed for mapping. Entries
 * `base/<name>` F32 [shape] and `task_vectors/<name>` F32 or F16 [K, ...shape]; tensors that no expert has are in the base
 * alone. With F16 the vectors are divided by `scales/<name>` F32 [K], see half-task-vectors.ts. The file's name is the
 * fingerprint of what went into it, so a bundle is built once and never changed. K tasks, N elements of one tensor.
 */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { assert, CheckpointError } from "../errors.js";
import type { Checkpoint } from "./checkpoint.js";
import { divideByScales, taskVectorScales, widenTaskVector } from "./half-task-vectors.js";
import { quote } from "./json-cursor.js";
import { indexByCanonicalName } from "./names.js";
import { type ExpectedTensor, type Expert, sameShape } from "./preflight.js";
import {
  type ReadRange,
  readFloat32Range,
  readSafetensorsHeader,
  type SafetensorsFile,
  withRanges,
} from "./safetensors.js";
import { type WriteSpec, writeSafetensorsStream } from "./safetensors-writer.js";
import {
  type ProcessTaskVectors,
  requireFinite,
  subtractInto,
  type TaskVectorProcessing,
  type TensorTaskVectors,
  tensorPlace,
} from "./task-vectors.js";

export type { TaskVectorProcessing } from "./task-vectors.js";

const FORMAT = "adamerge-bundle";
/** Part of every fingerprint: raise it when the meaning of a bundle's values changes. */
const VERSION = "1";
const F32_BYTES = 4;
const F16_BYTES = 2;

export type TaskVectorDtype = "F32" | "F16";

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
  /** float32 [shape]. */
  readonly base: FileSource;
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

export interface BundleProgress {
  /** `hash` reads the inputs, `process` looks at the whole model for the processing, `write` fills the file. */
  readonly phase: "hash" | "process" | "write";
  /** Checkpoints (`hash`) or tensors done in this phase; `process` may pass over the model several times. */
  readonly done: number;
  readonly total: number;
}

export interface BuildBundleOptions {
  readonly base: Checkpoint;
  readonly experts: readonly Expert[];
  /** The tensors of the model, by canonical name, in its order. */
  readonly tensors: readonly ExpectedTensor[];
  readonly cacheDir: string;
  readonly processing?: TaskVectorProcessing | undefined;
  /** How task vectors are stored; the base is F32 always. */
  readonly dtype?: TaskVectorDtype | undefined;
  readonly onProgress?: ((progress: BundleProgress) => void) | undefined;
}

/** One tensor of the inputs: its names in the files. No experts: the tensor is taken from the base. */
interface InputTensor extends ExpectedTensor {
  readonly baseName: string;
  /** Undefined for an expert that has the base's tensor: an adapter of others. */
  readonly expertNames: readonly (string | undefined)[];
}

/**
 * Builds the bundle, or opens it if `<cacheDir>/bundles/<fingerprint>.safetensors` is there and sound. One tensor with
 * its K task vectors is in memory at a time. Throws CheckpointError for tensors that are missing or of another shape
 * (run `compareCheckpoints` first to see all of them), and for NaN or infinity with file, tensor and index.
 */
export async function buildBundle(options: BuildBundleOptions): Promise<Bundle> {
  const { experts, cacheDir, processing } = options;
  const inputs = matchTensors(options);
  const fingerprint = await fingerprintOf(options, inputs);
  const path = join(cacheDir, "bundles", `${fingerprint}.safetensors`);
  const existing = await openExisting(path);
  if (existing?.fingerprint === fingerprint) return existing;

  const process = await processing?.prepare(() => streamTaskVectors(options, inputs));
  const byName = new Map(inputs.map((input) => [input.name, input]));
  const dtype = options.dtype ?? "F32";
  const specs = inputs.flatMap((input) => specsOf(input, experts.length, dtype));
  let done = 0;
  const data = async (entry: string): Promise<Float32Array> => {
    const [kind = "", name = ""] = splitEntryName(entry);
    const input = byName.get(name);
    assert(input !== undefined, `bundle entry ${entry} has no input`);
    const values = await entryValues(kind, options, input, process);
    options.onProgress?.({ phase: "write", done: ++done, total: specs.length });
    return values;
  };
  const metadata = {
    format: FORMAT,
    version: VERSION,
    fingerprint,
    processing: processing?.id ?? "none",
    tasks: JSON.stringify(experts.map(({ task }) => task)),
    tensors: JSON.stringify(inputs.map(({ name }) => name)),
  };
  await writeSafetensorsStream(path, specs, data, { metadata, readOnly: true });
  return openBundle(path);
}

/** Opens a bundle and verifies its header. Throws CheckpointError if it is no bundle of this version or incomplete. */
export async function openBundle(path: string): Promise<Bundle> {
  const file = await readSafetensorsHeader(path);
  const { metadata } = file;
  if (metadata.get("format") !== FORMAT || metadata.get("version") !== VERSION) {
    const found = `format ${metadata.get("format") ?? "none"}, version ${metadata.get("version") ?? "none"}`;
    throw new CheckpointError(
      `${path}: expected a bundle (format ${FORMAT}, version ${VERSION}), found ${found}. Delete it; it is built again from the checkpoints.`,
    );
  }
  const tasks = readStrings(file, "tasks");
  const tensors = readStrings(file, "tensors").map((name) => bundleTensor(file, name, tasks.length));
  return { path, fingerprint: metadata.get("fingerprint") ?? "", tasks, tensors };
}

/** The base's values of one tensor, float32 [shape], as a copy. */
export async function readBase(_bundle: Bundle, { base }: BundleTensor): Promise<Float32Array> {
  return readFloat32Range(base.path, base.byteOffset, base.byteLength);
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

function matchTensors({ base, experts, tensors }: BuildBundleOptions): InputTensor[] {
  const baseNames = indexByCanonicalName(base.tensors.keys(), base.path);
  const indexes = experts.map(({ checkpoint }) => indexByCanonicalName(checkpoint.tensors.keys(), checkpoint.path));
  return tensors.map(({ name, shape }) => {
    const baseName = requireTensor(base, baseNames, name, shape);
    const inSome = indexes.some((index) => index.has(name));
    const expertNames = inSome
      ? experts.map(({ checkpoint }, i) => {
          const names = indexes[i] ?? new Map();
          if (checkpoint.isPartial && !names.has(name)) return undefined;
          return requireTensor(checkpoint, names, name, shape);
        })
      : [];
    return { name, shape, baseName, expertNames };
  });
}

function requireTensor(
  checkpoint: Checkpoint,
  names: ReadonlyMap<string, string>,
  name: string,
  shape: readonly number[],
): string {
  const key = names.get(name) ?? "";
  const stored = checkpoint.tensors.get(key);
  if (stored !== undefined && sameShape(stored.shape, shape)) return key;
  const found = stored === undefined ? "no such tensor" : `[${stored.shape.join(", ")}]`;
  throw new CheckpointError(
    `${checkpoint.path}: tensor ${quote(name)}: expected shape [${shape.join(", ")}], found ${found}. Use experts fine-tuned from this base.`,
  );
}

async function fingerprintOf(options: BuildBundleOptions, inputs: readonly InputTensor[]): Promise<string> {
  const { base, experts, processing, onProgress } = options;
  const hash = createHash("sha256");
  const add = (value: unknown) => hash.update(`${JSON.stringify(value)}\n`);
  const stored = options.dtype === "F16" ? ["F16"] : [];
  add([FORMAT, VERSION, processing?.id ?? "none", experts.map(({ task }) => task), ...stored]);
  const merged = inputs.filter(({ expertNames }) => expertNames.length > 0);
  const baseHashes = await base.tensorSha256s(inputs.map(({ baseName }) => baseName));
  const total = experts.length + 1;
  onProgress?.({ phase: "hash", done: 1, total });
  const expertHashes: Map<InputTensor, string>[] = [];
  for (const [k, { checkpoint }] of experts.entries()) {
    const own = merged.flatMap((input) => {
      const name = input.expertNames[k];
      return name === undefined ? [] : [{ input, name }];
    });
    const hashes = await checkpoint.tensorSha256s(own.map(({ name }) => name));
    expertHashes.push(new Map(own.map(({ input }, i) => [input, hashes[i] ?? ""])));
    onProgress?.({ phase: "hash", done: k + 2, total });
  }
  for (const [i, input] of inputs.entries())
    add([
      input.name,
      input.shape,
      [baseHashes[i], ...input.expertNames.map((_, k) => expertHashes[k]?.get(input) ?? baseHashes[i])],
    ]);
  return hash.digest("hex");
}

async function openExisting(path: string): Promise<Bundle | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return undefined;
  try {
    return await openBundle(path);
  } catch (error) {
    // A damaged bundle is only a cache entry: it is replaced by a new file, never changed in place.
    if (error instanceof CheckpointError) return undefined;
    throw error;
  }
}

function specsOf({ name, shape, expertNames }: InputTensor, tasks: number, dtype: TaskVectorDtype): WriteSpec[] {
  const base = { name: `base/${name}`, dtype: "F32", shape };
  if (expertNames.length === 0) return [base];
  const vectors = { name: `task_vectors/${name}`, dtype, shape: [tasks, ...shape] };
  return dtype === "F32" ? [base, vectors] : [base, vectors, { name: `scales/${name}`, dtype: "F32", shape: [tasks] }];
}

/** Scales come before the vectors in the file, so the vectors are read twice: once for their largest value. */
async function entryValues(
  kind: string,
  options: BuildBundleOptions,
  input: InputTensor,
  process?: ProcessTaskVectors,
): Promise<Float32Array> {
  if (kind === "base") return readBaseInput(options, input);
  const tauKN = await readTau(options, input, process);
  if (options.dtype !== "F16") return tauKN;
  const scalesK = taskVectorScales(tauKN, options.experts.length, `tensor ${quote(input.name)}`);
  return kind === "scales" ? scalesK : divideByScales(tauKN, scalesK);
}

function splitEntryName(entry: string): [string, string] {
  const slash = entry.indexOf("/");
  return [entry.slice(0, slash), entry.slice(slash + 1)];
}

async function readBaseInput({ base }: BuildBundleOptions, { baseName }: InputTensor): Promise<Float32Array> {
  return readFinite(base, baseName);
}

async function readFinite(checkpoint: Checkpoint, name: string): Promise<Float32Array> {
  const values = await checkpoint.readFloat32(name);
  requireFinite(values, tensorPlace(checkpoint.tensors.get(name)?.file.path ?? checkpoint.path, name));
  return values;
}

/** Task vectors of one tensor, packed [K, N], processed if `process` is given. */
async function readTau(
  options: BuildBundleOptions,
  input: InputTensor,
  process?: ProcessTaskVectors,
): Promise<Float32Array> {
  const baseN = await readBaseInput(options, input);
  const size = baseN.length;
  const tauKN = new Float32Array(options.experts.length * size);
  const rows = options.experts.map((_, k) => tauKN.subarray(k * size, (k + 1) * size));
  for (const [k, { checkpoint }] of options.experts.entries()) {
    const expertName = input.expertNames[k];
    // As the base: zeros, which the array has.
    if (expertName === undefined) continue;
    const expertN = await readFinite(checkpoint, expertName);
    subtractInto(rows[k] ?? tauKN, expertN, baseN, tensorPlace(checkpoint.path, expertName));
  }
  if (process !== undefined) {
    process(input.name, rows, input.shape);
    requireFinite(tauKN, `task vectors of ${quote(input.name)} after processing`);
  }
  return tauKN;
}

async function* streamTaskVectors(
  options: BuildBundleOptions,
  inputs: readonly InputTensor[],
): AsyncGenerator<TensorTaskVectors> {
  const used = inputs.filter(({ expertNames }) => expertNames.length > 0);
  for (const [i, input] of used.entries()) {
    const tauKN = await readTau(options, input);
    const size = tauKN.length / options.experts.length;
    const taskVectors = options.experts.map((_, k) => tauKN.subarray(k * size, (k + 1) * size));
    yield { name: input.name, shape: input.shape, taskVectors };
    options.onProgress?.({ phase: "process", done: i + 1, total: used.length });
  }
}

function bundleTensor(file: SafetensorsFile, name: string, tasks: number): BundleTensor {
  const base = file.tensors.get(`base/${name}`);
  const tau = file.tensors.get(`task_vectors/${name}`);
  const shape = base?.shape ?? [];
  const scales = file.tensors.get(`scales/${name}`);
  const isStored =
    tau === undefined ||
    ((scales === undefined ? tau.dtype === "F32" : tau.dtype === "F16" && sameShape(scales.shape, [tasks])) &&
      sameShape(tau.shape, [tasks, ...shape]));
  const sound = base?.dtype === "F32" && isStored;
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
