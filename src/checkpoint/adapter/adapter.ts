/**
 * LoRA adapters as experts: the folder that peft writes, or FusionBench's of linearised LoRA. Opened with the base, an adapter is a checkpoint of the tensors
 * that it changes, base + scaling * B A; every other tensor is the base's, so that its task vector there is zero and is not stored. Hu et al. 2021
 * (arXiv 2106.09685); linearised: Tang et al. 2023 (arXiv 2310.04742), whose layers are linear in their input, so that they too are a change of the weight.
 */
import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { assert, CheckpointError } from "../../errors.js";
import { quote } from "../../runtime/printable.js";
import { ADAPTER_CONFIG_NAME, ADAPTER_FILES, type Checkpoint, type CheckpointTensor } from "../checkpoint.js";
import { isFloatDtype, READ_DTYPES } from "../decode-floats.js";
import type { TowerLayout } from "../layout/tensor-layout.js";
import { towerTensors } from "../layout/tower-names.js";
import { type ModelTensors, readModelFile } from "../model-files.js";
import { hashStored, readStoredFloat32 } from "../stored-tensor.js";
import { adaptedHash } from "./adapted-hashes.js";
import { type AdapterConfig, readAdapterConfig } from "./adapter-config.js";
import { type AdapterTensors, type Factors, type NameInBase, sortAdapterTensors } from "./adapter-tensors.js";
import { readLowRankChange } from "./low-rank.js";
import { isTransposed } from "./orientation.js";

export interface Adapter extends AdapterTensors {
  /** The folder. */
  readonly path: string;
  readonly config: AdapterConfig;
  readonly format: ModelTensors["format"];
}

/**
 * The adapter at `path`: its folder or its file of tensors. Undefined if something else is there. Throws CheckpointError for one that is not
 * read. `nameInBase` as of `sortAdapterTensors`.
 */
export async function readAdapter(path: string, nameInBase: NameInBase): Promise<Adapter | undefined> {
  const { folder, there } = await adapterFiles(path);
  if (there.length === 0) return undefined;
  const weights = there.filter((name) => name !== ADAPTER_CONFIG_NAME);
  // Of one adapter in two formats the first is taken; a linearised one is another adapter.
  const [name] = weights;
  const isTwo = weights.length > 1 && weights.some((one) => one.startsWith("linearized"));
  if (!there.includes(ADAPTER_CONFIG_NAME) || name === undefined || isTwo)
    throw new CheckpointError(
      `${folder}: expected ${ADAPTER_CONFIG_NAME} and one of ${ADAPTER_FILES.filter((one) => one !== ADAPTER_CONFIG_NAME).join(", ")}, found ${there.join(", ")}. Get the complete adapter.`,
    );
  const config = await readAdapterConfig(join(folder, ADAPTER_CONFIG_NAME));
  const { tensors, format } = await readModelFile(join(folder, name));
  return { path: folder, config, format, ...sortAdapterTensors(tensors, join(folder, name), nameInBase) };
}

/** Whether `path` is the folder of an adapter, or its file of tensors; it may be one that is not read. */
export async function isAdapter(path: string): Promise<boolean> {
  return (await adapterFiles(path)).there.length > 0;
}

async function adapterFiles(path: string): Promise<{ readonly folder: string; readonly there: readonly string[] }> {
  const found = await stat(path).catch(() => undefined);
  const isFile = found?.isFile() === true;
  const folder = isFile ? dirname(path) : path;
  if (isFile && !ADAPTER_FILES.includes(basename(path))) return { folder, there: [] };
  const names: readonly string[] = await readdir(folder).catch(() => []);
  return { folder, there: ADAPTER_FILES.filter((name) => names.includes(name)) };
}

/** The adapter as a checkpoint by canonical names. Throws CheckpointError for tensors that do not fit the base's. */
export function applyAdapter(adapter: Adapter, base: Checkpoint, layout: TowerLayout): Checkpoint {
  const { path, config, factors, replaced, below, format } = adapter;
  const baseNames = towerTensors(layout, base.tensors.keys(), base.path).names;
  const tensors = new Map<string, CheckpointTensor>(replaced);
  for (const [name, pair] of factors) {
    const inBase = base.tensors.get(baseNames.get(name) ?? "");
    requireFit(adapter, name, baseNames.get(name) ?? name, base);
    tensors.set(name, { name: pair.b.name, dtype: "F32", shape: inBase?.shape ?? [], file: pair.b.file });
  }
  const hashes = new Map<string, string>();
  const read = async (name: string): Promise<Float32Array> => {
    const found = await readAdapted(adapter, name, base, baseNames.get(name) ?? name);
    if (found !== undefined) return found;
    throw new CheckpointError(`${path}: expected a tensor ${quote(name)}, found ${tensors.size} others.`);
  };
  const hash = async (name: string): Promise<string> => {
    const whole = replaced.get(name);
    if (whole !== undefined) return (await hashStored(whole.file, [whole])).get(whole) ?? "";
    const pair = factors.get(name);
    const computed = async () => valuesHash(await read(name), tensors.get(name));
    if (pair === undefined) return computed();
    const inBase = baseNames.get(name) ?? name;
    const own = below.get(name);
    const [baseSha256] = own === undefined ? await base.tensorSha256s([inBase]) : [];
    const { a, b, initial } = pair;
    const settings = [scalingOf(config, pair), isTransposed(pair, inBase, base.tensors, config.isFanIn)];
    return adaptedHash({ stored: [a, b, initial?.a, initial?.b, own], baseSha256, settings }, computed);
  };
  return {
    path,
    config: undefined,
    tensors,
    format,
    isPartial: true,
    readFloat32: read,
    tensorSha256s: async (names) => {
      for (const name of names) if (!hashes.has(name)) hashes.set(name, await hash(name));
      return names.map((name) => hashes.get(name) ?? "");
    },
  };
}

/**
 * The tensor that an adapter has under `name`, which the base calls `nameInBase`, as it is with the adapter; undefined
 * for one that it does not change. Its factors fit (`requireFit`).
 */
export async function readAdapted(
  { config, factors, replaced, below }: Adapter,
  name: string,
  base: Pick<Checkpoint, "tensors" | "readFloat32">,
  nameInBase: string,
): Promise<Float32Array | undefined> {
  const whole = replaced.get(name);
  if (whole !== undefined) return readStoredFloat32(whole);
  const pair = factors.get(name);
  if (pair === undefined) return undefined;
  const own = below.get(name);
  const weightOI = own === undefined ? await base.readFloat32(nameInBase) : await readStoredFloat32(own);
  const change = await readLowRankChange(pair, isTransposed(pair, nameInBase, base.tensors, config.isFanIn));
  change.addTo(weightOI, 0, change.rows, scalingOf(config, pair));
  return weightOI;
}

/** What the product of a pair of factors is multiplied with. */
export function scalingOf(config: AdapterConfig, { module, a }: Factors): number {
  return config.scaling(module, a.shape[0] ?? 1);
}

/**
 * Throws CheckpointError unless the factors of `name` fit the base's tensor, which is called `nameInBase` there: A [R, I...], B [O, R] (or
 * [O, R, 1, 1] of a convolution), for a weight of [O, I...], or [I, O] where it is the other way round; and nothing in its place beside them.
 */
export function requireFit(
  { path, factors, replaced, below, config }: Adapter,
  name: string,
  nameInBase: string,
  base: Pick<Checkpoint, "path" | "tensors">,
): void {
  const inBase = base.tensors.get(nameInBase);
  const pair = factors.get(name);
  assert(pair !== undefined, `no factors of ${name}`);
  if (replaced.has(name))
    throw new CheckpointError(
      `${path}: tensor ${quote(name)}: expected factors or a tensor in its place, found both. Get the adapter again.`,
    );
  const { module, a, b, initial } = pair;
  const own = below.get(name);
  if (own !== undefined && own.shape.join() !== inBase?.shape.join())
    throw new CheckpointError(
      `${own.file.path}: tensor ${quote(own.name)}: expected shape [${inBase?.shape.join(", ")}], as ${quote(name)} of the base ${base.path} has, found [${own.shape.join(", ")}]. Use adapters of this base.`,
    );
  const [rank = 0, ...inputs] = a.shape;
  const [outputs = 0, ...ranks] = b.shape;
  const isSame = (one: readonly number[], other: readonly number[]) => one.join() === other.join();
  const isFit =
    inBase !== undefined &&
    rank > 0 &&
    ranks[0] === rank &&
    ranks.slice(1).every((dim) => dim === 1) &&
    isSame(
      inBase.shape,
      isTransposed(pair, nameInBase, base.tensors, config.isFanIn) ? [...inputs, outputs] : [outputs, ...inputs],
    );
  if (!isFit) {
    const wanted =
      inBase === undefined
        ? `a tensor ${quote(name)} in the base ${base.path}`
        : `factors of ${quote(name)} [${inBase.shape.join(", ")}] of the base`;
    throw new CheckpointError(
      `${a.file.path}: module ${quote(module)}: expected ${wanted}, found lora_A [${a.shape.join(", ")}] and lora_B [${b.shape.join(", ")}]. Use adapters of this base.`,
    );
  }
  if (initial !== undefined && !(isSame(initial.a.shape, a.shape) && isSame(initial.b.shape, b.shape)))
    throw new CheckpointError(
      `${a.file.path}: module ${quote(module)}: expected params0_values of the shapes of lora_A and lora_B, found [${initial.a.shape.join(", ")}] and [${initial.b.shape.join(", ")}]. Get the adapter again.`,
    );
  for (const { name: factor, dtype, file } of [
    a,
    b,
    ...(own === undefined ? [] : [own]),
    ...(initial === undefined ? [] : [initial.a, initial.b]),
  ])
    if (!isFloatDtype(dtype))
      throw new CheckpointError(
        `${file.path}: tensor ${quote(factor)}: expected dtype ${READ_DTYPES}, found ${dtype}. Save the adapter again in one of these.`,
      );
}

/** As of a file with these values. */
function valuesHash(values: Float32Array, tensor: CheckpointTensor | undefined): string {
  return createHash("sha256")
    .update(`F32 ${tensor?.shape.join(",")}\n`)
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest("hex");
}
