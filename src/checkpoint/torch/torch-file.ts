/**
 * A PyTorch file (.pt, .pth, .bin as torch.save writes them since version 1.6) as tensors that lie in it: `data.pkl` says where, one record for
 * each storage holds the bytes. Nothing in the file is executed. State dicts, plain or as `state_dict` of a checkpoint, and the parameters and buffers
 * of TorchScript (torch-script.ts); whole modules, packages, exported programs and files of older versions are refused by their kind.
 * Source: PyTorch's torch/serialization.py.
 */
import type { FileHandle } from "node:fs/promises";
import { CheckpointError } from "../../errors.js";
import { quote } from "../../runtime/printable.js";
import { openRegular, readExactly } from "../../runtime/regular-file.js";
import { crc32 } from "../crc32.js";
import { CONVERT_MODULE, describeForeignFile, SNIFF_BYTES } from "../foreign-file.js";
import { MAX_TENSORS, tensorNameProblem } from "../safetensors-header.js";
import {
  type CheckpointFile,
  elementBytes,
  identityOf,
  itemBytes,
  type StoredTensor,
  storedView,
} from "../stored-tensor.js";
import { spannedElements } from "../strided-view.js";
import { readPickle } from "./pickle.js";
import { UnknownClassError } from "./pickle-machine.js";
import { described, isKind, type PickledDict, type PickledTensor, type PickledValue } from "./pickled-values.js";
import { isQuantisedClass } from "./storage-types.js";
import { scriptTensors } from "./torch-script.js";
import { readZipRecords, type ZipRecord } from "./zip-records.js";

/** Descriptions of 100,000 tensors have some 20 MB. */
const MAX_PICKLE_BYTES = 50_000_000;
/** Tensors may share storages (tied weights) or repeat elements (stride 0), but what is read must stay near what is stored. */
const MOST_DECODED = 4;
/** A view is read with what lies between its elements. Slices of one matrix have it all between them, some hundred times. */
const MOST_SPANNED = 256;
/** What stands for a checksum where PyTorch was told to write none (set_crc32_options). */
const NO_CHECKSUM = 0;
/** What DataParallel puts in front of every name. */
const PARALLEL_PREFIX = "module.";
/** Where checkpoints of training keep the model's tensors. */
const STATE_DICT_KEY = "state_dict";

/** Of TorchScript only: what its code refers to by number. */
const CONSTANTS = "constants.pkl";
/** Other archives of PyTorch, told by a record below their root. */
const OTHER_ARCHIVES = [
  { sign: /^[^/]+\/\.data\/extern_modules$/, is: "a package of models with their code (torch.package)" },
  {
    sign: /^(?:[^/]+\/)?(?:archive_format|models\/[^/]+\.json|serialized_exported_program\.json)$/,
    is: "an exported program (torch.export)",
  },
  { sign: /^[^/]+\/model\.json$/, is: "a TorchScript program of PyTorch before 1.4" },
] as const;

const SAVE_STATE = "Save model.state_dict() where the model comes from";

/** The first bytes of a zip archive. */
export function isZip(first: Uint8Array): boolean {
  return first[0] === 0x50 && first[1] === 0x4b && first[2] === 3 && first[3] === 4;
}

/** The tensors of a state dict by name, in its order. Throws CheckpointError that says what kind of file it is instead, or what is wrong in it. */
export async function readTorchFile(path: string): Promise<ReadonlyMap<string, StoredTensor>> {
  const handle = await openRegular(path, "a PyTorch file");
  try {
    const file = await identityOf(handle, path);
    const first = new Uint8Array(Math.min(SNIFF_BYTES, file.sizeBytes));
    await readExactly(handle, first, 0, path);
    if (!isZip(first)) {
      const foreign = describeForeignFile(first) ?? { is: "something else", action: "Check the path" };
      throw new CheckpointError(`${path}: expected a PyTorch file, found ${foreign.is}. ${foreign.action}.`);
    }
    return await readArchive(handle, file);
  } finally {
    await handle.close();
  }
}

async function readArchive(handle: FileHandle, file: CheckpointFile): Promise<ReadonlyMap<string, StoredTensor>> {
  const { path, sizeBytes } = file;
  const records = await readZipRecords(handle, sizeBytes, path);
  const root = rootOf(records, path);
  await checkByteOrder(handle, records.get(`${root}/byteorder`), path);
  const pickle = records.get(`${root}/data.pkl`);
  if (pickle === undefined || pickle.byteLength > MAX_PICKLE_BYTES)
    throw malformed(
      path,
      `a record data.pkl of at most ${MAX_PICKLE_BYTES} bytes`,
      pickle === undefined ? "none" : `${pickle.byteLength}`,
    );
  const content = await readRecord(handle, pickle, path);
  const tensors = records.has(`${root}/${CONSTANTS}`)
    ? await programTensors(content, { handle, records, root, path })
    : namedTensors(stateDictOf(unpickled(content, path), path).entries, path);
  const stored = new Map<string, StoredTensor>();
  let decodedBytes = 0;
  let spannedBytes = 0;
  for (const [name, tensor] of tensors) {
    const entry = locate(name, tensor, records.get(`${root}/data/${tensor.storage.key}`), file);
    decodedBytes += elementBytes(entry);
    if (decodedBytes > MOST_DECODED * sizeBytes)
      throw malformed(
        path,
        `tensors of at most ${MOST_DECODED} times the size of the file`,
        `more, up to ${quote(name)}`,
      );
    spannedBytes += entry.byteLength;
    if (spannedBytes > MOST_SPANNED * sizeBytes)
      throw malformed(
        path,
        `views that reach over at most ${MOST_SPANNED} times the size of the file together`,
        `more, up to ${quote(name)}`,
      );
    stored.set(name, entry);
  }
  return stored;
}

/** The folder that all records are in; files that are not of tensors alone are told by what else is there. */
function rootOf(records: ReadonlyMap<string, ZipRecord>, path: string): string {
  const names = [...records.keys()];
  const roots = new Set(names.map((name) => name.slice(0, Math.max(0, name.indexOf("/")))));
  const [root = ""] = roots;
  const other = OTHER_ARCHIVES.find(({ sign }) => names.some((name) => sign.test(name)));
  if (other !== undefined)
    throw new CheckpointError(`${path}: expected a state dict, found ${other.is}. ${SAVE_STATE}.`);
  // Only the code of TorchScript is compressed.
  const code = records.has(`${root}/${CONSTANTS}`) ? `${root}/code/` : undefined;
  const packed = [...records.values()].find(
    ({ name, isStored }) => !isStored && (code === undefined || !name.startsWith(code)),
  );
  if (packed !== undefined)
    throw malformed(path, "uncompressed records, as PyTorch stores them", `${quote(packed.name)} compressed`);
  if (roots.size === 1 && root !== "" && records.has(`${root}/data.pkl`)) return root;
  throw new CheckpointError(
    `${path}: expected a PyTorch file, found another zip archive (${names.slice(0, 3).map(quote).join(", ") || "empty"}). Unpack it, and give the model's file.`,
  );
}

interface Archive {
  readonly handle: FileHandle;
  readonly records: ReadonlyMap<string, ZipRecord>;
  readonly root: string;
  readonly path: string;
}

async function programTensors(content: Uint8Array, archive: Archive): Promise<ReadonlyMap<string, PickledTensor>> {
  const { handle, records, root, path } = archive;
  const readCode = async (name: string) => {
    const record = records.get(`${root}/${name}`);
    if (record === undefined) return undefined;
    // The checksum is that of what a compressed record unpacks to, which is text for a few patterns.
    return { bytes: await readRecord(handle, record, path, record.isStored), isStored: record.isStored };
  };
  const program = unpickled(content, path, { isScript: true });
  return namedTensors(await scriptTensors(program, readCode, path), path);
}

async function checkByteOrder(handle: FileHandle, record: ZipRecord | undefined, path: string): Promise<void> {
  // Versions before 2.1 wrote none, on machines that are little-endian nearly all.
  if (record === undefined) return;
  const order = Buffer.from(
    await readRecord(handle, { ...record, byteLength: Math.min(record.byteLength, 16) }, path, false),
  ).toString("latin1");
  if (order !== "little")
    throw malformed(
      path,
      "numbers in little-endian order",
      `${quote(order)}. Save it again on a little-endian machine`,
    );
}

async function readRecord(handle: FileHandle, record: ZipRecord, path: string, isChecked = true): Promise<Uint8Array> {
  const bytes = new Uint8Array(record.byteLength);
  await readExactly(handle, bytes, record.byteOffset, path);
  if (isChecked && record.crc32 !== NO_CHECKSUM && crc32(bytes) !== record.crc32)
    throw malformed(path, `the checksum of ${quote(record.name)} to fit`, "another: the file is damaged");
  return bytes;
}

function unpickled(bytes: Uint8Array, path: string, { isScript = false } = {}): PickledValue {
  try {
    return readPickle(bytes, `${path}: data.pkl`, { isScript });
  } catch (error) {
    if (!(error instanceof UnknownClassError)) throw error;
    if (isScript)
      throw new CheckpointError(
        `${path}: expected a TorchScript program of modules and tensors, found an object of the class or function ${quote(error.className)}, as quantised layers have. ${SAVE_STATE}.`,
      );
    if (isQuantisedClass(error.className))
      throw new CheckpointError(
        `${path}: expected weights as floats, found quantised tensors (${quote(error.className)}). Use the model before its quantisation.`,
      );
    throw new CheckpointError(
      `${path}: expected a state dict (tensors by name), found an object of the Python class or function ${quote(error.className)}: a pickled whole module, or other code. ${CONVERT_MODULE}.`,
    );
  }
}

/** The dictionary of tensors: the value itself, what it has as `state_dict`, or the only dictionary of tensors in it (`model`, `model_state_dict`). */
function stateDictOf(value: PickledValue, path: string): PickledDict {
  if (isKind(value, "dict")) {
    const inner = value.entries.get(STATE_DICT_KEY);
    if (isKind(inner, "dict")) return inner;
    if (value.entries.has("param_groups") && value.entries.has("state"))
      throw notAStateDict(path, "the state of an optimizer");
    const models = [...value.entries].filter(([, entry]) => isStateDict(entry));
    const [[, only] = [], second] = models;
    if (second !== undefined)
      throw notAStateDict(
        path,
        `several: ${models
          .slice(0, 5)
          .map(([key]) => described(key))
          .join(", ")}`,
      );
    return isKind(only, "dict") ? only : value;
  }
  throw notAStateDict(path, described(value));
}

function isStateDict(value: PickledValue): boolean {
  if (!isKind(value, "dict") || value.entries.size === 0) return false;
  return [...value.entries].every(([name, entry]) => typeof name === "string" && isKind(entry, "tensor"));
}

function namedTensors(
  entries: ReadonlyMap<PickledValue, PickledValue>,
  path: string,
): ReadonlyMap<string, PickledTensor> {
  const tensors = new Map<string, PickledTensor>();
  for (const [name, value] of entries) {
    if (typeof name !== "string" || !isKind(value, "tensor"))
      throw notAStateDict(
        path,
        `${described(value)} as ${described(name)} among the keys ${[...entries.keys()].slice(0, 5).map(described).join(", ")}`,
      );
    const problem = tensorNameProblem(name);
    if (problem !== undefined) throw malformed(path, ...problem);
    tensors.set(name, value);
  }
  if (tensors.size === 0) throw notAStateDict(path, "an empty dictionary");
  if (tensors.size > MAX_TENSORS) throw malformed(path, `at most ${MAX_TENSORS} tensors`, `${tensors.size}`);
  const isParallel = [...tensors.keys()].every(
    (name) => name.length > PARALLEL_PREFIX.length && name.startsWith(PARALLEL_PREFIX),
  );
  if (!isParallel) return tensors;
  return new Map([...tensors].map(([name, tensor]) => [name.slice(PARALLEL_PREFIX.length), tensor]));
}

/** Where a tensor's elements are. Every number comes from the file: nothing may lead out of the storage. */
function locate(
  name: string,
  { storage, offset, shape, strides }: PickledTensor,
  record: ZipRecord | undefined,
  file: CheckpointFile,
): StoredTensor {
  const { dtype, key, count } = storage;
  const item = itemBytes(dtype);
  const tensor = `tensor ${quote(name)}`;
  if (record === undefined) throw malformed(file.path, `a record data/${key} for ${tensor}`, "none");
  if (record.byteLength !== count * item)
    throw malformed(
      file.path,
      `a record data/${key} of ${count * item} bytes (${count} of ${dtype}) for ${tensor}`,
      `${record.byteLength}`,
    );
  const spanned = spannedElements(shape, strides);
  // Each is at most 2^53 by itself; sums and products that are rounded are far over the count.
  if (!(offset + spanned <= count))
    throw malformed(
      file.path,
      `${tensor} of shape [${shape.join(", ")}], strides [${strides.join(", ")}], inside the ${count} elements of its storage`,
      `elements ${offset} to ${offset + spanned}`,
    );
  const stored = storedView({ name, dtype, shape, byteOffset: record.byteOffset + offset * item, file }, strides);
  const isWhole = stored.strides === undefined && stored.byteLength === record.byteLength;
  return isWhole && record.crc32 !== NO_CHECKSUM ? { ...stored, crc32: record.crc32 } : stored;
}

function notAStateDict(path: string, found: string): CheckpointError {
  return new CheckpointError(
    `${path}: expected a state dict (tensors by name), plain or as "state_dict" of a checkpoint, found ${found}. Save model.state_dict() with torch.save or safetensors.`,
  );
}

function malformed(path: string, expected: string, found: string): CheckpointError {
  return new CheckpointError(
    `${path}: not a valid PyTorch file: expected ${expected}, found ${found}. Get the file again from its source.`,
  );
}
