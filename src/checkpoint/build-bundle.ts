/** Builds bundles: reads base and experts tensor by tensor, subtracts, processes, writes. K tasks, N elements of one tensor. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { assert, CheckpointError } from "../errors.js";
import { quote } from "../runtime/printable.js";
import { BUNDLE_FORMAT, BUNDLE_VERSION, type Bundle, openBundle } from "./bundle.js";
import { type BuildBundleOptions, fingerprintOf, type InputTensor, matchTensors } from "./bundle-inputs.js";
import type { Checkpoint } from "./checkpoint.js";
import { divideByScales, taskVectorScales } from "./half-task-vectors.js";
import { type WriteSpec, writeSafetensorsStream } from "./safetensors-writer.js";
import {
  type ProcessTaskVectors,
  requireFinite,
  subtractInto,
  type TensorTaskVectors,
  tensorPlace,
} from "./task-vectors.js";

export type { BuildBundleOptions, BundleProgress } from "./bundle-inputs.js";

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
  const specs = inputs.flatMap((input) => specsOf(input, experts.length, options));
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
    format: BUNDLE_FORMAT,
    version: BUNDLE_VERSION,
    fingerprint,
    processing: processing?.id ?? "none",
    ...(options.origin === "average" ? { origin: options.origin } : {}),
    tasks: JSON.stringify(experts.map(({ task }) => task)),
    tensors: JSON.stringify(inputs.map(({ name }) => name)),
  };
  await writeSafetensorsStream(path, specs, data, { metadata, readOnly: true });
  return openBundle(path);
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

function specsOf(
  { name, shape, expertNames }: InputTensor,
  tasks: number,
  { dtype = "F32", origin }: Pick<BuildBundleOptions, "dtype" | "origin">,
): WriteSpec[] {
  const base = { name: `base/${name}`, dtype: "F32", shape };
  if (expertNames.length === 0) return [base];
  const vectors = { name: `task_vectors/${name}`, dtype, shape: [tasks, ...shape] };
  const scales = { name: `scales/${name}`, dtype: "F32", shape: [tasks] };
  const pretrained = { name: `pretrained/${name}`, dtype: "F32", shape };
  return [base, vectors, ...(dtype === "F32" ? [] : [scales]), ...(origin === "average" ? [pretrained] : [])];
}

/** Scales come before the vectors in the file, so the vectors are read twice: once for their largest value. */
async function entryValues(
  kind: string,
  options: BuildBundleOptions,
  input: InputTensor,
  process?: ProcessTaskVectors,
): Promise<Float32Array> {
  if (kind === "pretrained") return readBaseInput(options, input);
  if (kind === "base") return originOf(options, input);
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

/** One expert's values; the base's where it lacks the tensor. */
async function readExpertInput(options: BuildBundleOptions, input: InputTensor, k: number): Promise<Float32Array> {
  const [expert, name] = [options.experts[k], input.expertNames[k]];
  return expert === undefined || name === undefined
    ? readBaseInput(options, input)
    : readFinite(expert.checkpoint, name);
}

/** What the task vectors of one tensor are counted from; the mean is summed in float64 and rounded once. */
async function originOf(options: BuildBundleOptions, input: InputTensor): Promise<Float32Array> {
  const { experts, origin } = options;
  if (origin !== "average" || input.expertNames.length === 0) return readBaseInput(options, input);
  let sumN = new Float64Array();
  for (const k of experts.keys()) {
    const expertN = await readExpertInput(options, input, k);
    if (k === 0) sumN = Float64Array.from(expertN);
    else for (let i = 0; i < sumN.length; i++) sumN[i] = (sumN[i] ?? 0) + (expertN[i] ?? 0);
  }
  return Float32Array.from(sumN, (value) => value / experts.length);
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
  const originN = await originOf(options, input);
  const size = originN.length;
  const tauKN = new Float32Array(options.experts.length * size);
  const rows = options.experts.map((_, k) => tauKN.subarray(k * size, (k + 1) * size));
  for (const [k, { checkpoint }] of options.experts.entries()) {
    // An expert without the tensor counts as having the base's: zeros, which the array has, or the base's way from the mean.
    if (input.expertNames[k] === undefined && options.origin !== "average") continue;
    const place = tensorPlace(checkpoint.path, input.expertNames[k] ?? input.baseName);
    const minus = options.origin === "average" ? "the mean of the experts" : "the base";
    subtractInto(rows[k] ?? tauKN, await readExpertInput(options, input, k), originN, `${place}, minus ${minus}`);
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
