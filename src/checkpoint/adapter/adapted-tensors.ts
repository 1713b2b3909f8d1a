/**
 * The tensors that an adapter changes, written to a file in the base's types: for merges, which stream tensors from files. Rows of one tensor
 * are in memory at a time, and its factors.
 */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { assert, CheckpointError } from "../../errors.js";
import { quote } from "../../runtime/printable.js";
import type { StoredCheckpoint } from "../checkpoint.js";
import { isFloatDtype, READ_DTYPES } from "../decode-floats.js";
import { locationOf, openElementReader } from "../element-reader.js";
import { isFloat8 } from "../float8.js";
import { anyLayout } from "../layout/common-names.js";
import { respelled, unwrappedNames, withoutWrappers } from "../layout/plain-names.js";
import type { TensorLayout } from "../layout/tensor-layout.js";
import { readModelFile } from "../model-files.js";
import { writeSafetensorsStream } from "../safetensors-writer.js";
import type { StoredTensor } from "../stored-tensor.js";
import { type Adapter, readAdapter, requireFit, scalingOf } from "./adapter.js";
import { readLowRankChange } from "./low-rank.js";
import { isTransposed } from "./orientation.js";

/** Elements of a tensor that are computed at a time. */
const PIECE_ELEMENTS = 4_000_000;

/**
 * The adapter at `path` for a base of any architecture, its tensors by the base's names: the same but for wrappers and spelling, or the only one
 * that ends in it (models are saved with and without the prefixes of what they are part of). Undefined if no adapter is there. Throws CheckpointError for one that is not
 * read, or does not fit the base. `layout`: how names of its architecture may be spelled.
 */
export async function readAdapterOf(
  path: string,
  base: StoredCheckpoint,
  layout: Pick<TensorLayout, "spellings"> = anyLayout,
): Promise<Adapter | undefined> {
  const known = new Map(
    [...unwrappedNames(base.tensors.keys(), base.path)].map(([plain, name]) => [respelled(layout, plain), name]),
  );
  const adapter = await readAdapter(path, (name) => nameInBase(name, known, base, { path, layout }));
  if (adapter === undefined) return undefined;
  for (const name of adapter.factors.keys()) {
    const inBase = base.tensors.get(name);
    requireFit(adapter, name, name, base);
    if (inBase !== undefined && !isFloatDtype(inBase.dtype))
      throw new CheckpointError(
        `${base.path}: tensor ${quote(name)}: expected dtype ${READ_DTYPES} below the adapter ${adapter.path}, found ${inBase.dtype}. Use the base before its quantisation.`,
      );
  }
  for (const [name, stored] of adapter.replaced) {
    const shape = base.tensors.get(name)?.shape ?? [];
    if (stored.shape.join() === shape.join()) continue;
    throw new CheckpointError(
      `${adapter.path}: tensor ${quote(stored.name)}: expected shape [${shape.join(", ")}], as ${quote(name)} of the base ${base.path} has, found [${stored.shape.join(", ")}]. Use adapters of this base.`,
    );
  }
  return adapter;
}

/** `known`: the base's names by those without wrappers, in one spelling. */
function nameInBase(
  name: string,
  known: ReadonlyMap<string, string>,
  base: StoredCheckpoint,
  { path, layout }: { readonly path: string; readonly layout: Pick<TensorLayout, "spellings"> },
): string {
  const plain = respelled(layout, withoutWrappers(name));
  const same = known.get(plain);
  if (same !== undefined) return same;
  const longer = [...known.keys()].filter((other) => other.endsWith(`.${plain}`));
  const shorter = [...known.keys()]
    .filter((other) => plain.endsWith(`.${other}`))
    .toSorted((a, b) => b.length - a.length);
  const [only, another] = longer.length > 0 ? longer : shorter.slice(0, 1);
  const found = only === undefined || another !== undefined ? undefined : known.get(only);
  if (found !== undefined) return found;
  const others = only === undefined ? "none" : `${quote(only)} and ${quote(another ?? "")}`;
  throw new CheckpointError(
    `${path}: expected a tensor of the base ${base.path} for the adapter's ${quote(name)}, found ${others}. Use an adapter of this base, or merge it with peft (merge_and_unload) and save the result.`,
  );
}

/** What `writeAdapted` depends on, as text: the same only for the same files. */
export function describeAdapted(adapter: Adapter, base: StoredCheckpoint): string {
  const factors = [...adapter.factors].map(([name, pair]) => {
    const { a, b, initial } = pair;
    const below = adapter.below.get(name) ?? baseTensor(base, name);
    const stored = [a, b, ...(initial === undefined ? [] : [initial.a, initial.b]), below];
    const turned = isTransposed(pair, name, base.tensors, adapter.config.isFanIn) ? ["transposed"] : [];
    return [name, ...turned, scalingOf(adapter.config, pair), stored.map(locationOf)];
  });
  return JSON.stringify([factors, [...adapter.replaced].map(([name, stored]) => [name, locationOf(stored)])]);
}

/**
 * The tensors that the adapter changes, by the base's names: base + scaling * B A, computed into a file in `folder` that is kept and found
 * again, and those that were trained whole, which lie in the adapter's file. Throws for a disk without room, and when `signal` is aborted.
 */
export async function writeAdapted(
  adapter: Adapter,
  base: StoredCheckpoint,
  folder: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, StoredTensor>> {
  const hash = createHash("sha256").update(describeAdapted(adapter, base)).digest("hex");
  const path = join(folder, `${hash}.safetensors`);
  const isThere = (await stat(path).catch(() => undefined)) !== undefined;
  if (!isThere) {
    const specs = [...adapter.factors.keys()].map((name) => {
      const { dtype, shape } = baseTensor(base, name);
      // 8 bits hold a base's values, and no changed ones.
      return { name, dtype: isFloat8(dtype) ? "F32" : dtype, shape };
    });
    await writeSafetensorsStream(path, specs, (name) => adaptedRows(adapter, base, name, signal));
  }
  return new Map([...(await readModelFile(path)).tensors, ...adapter.replaced]);
}

async function* adaptedRows(
  adapter: Adapter,
  base: StoredCheckpoint,
  name: string,
  signal: AbortSignal,
): AsyncGenerator<Float32Array> {
  const pair = adapter.factors.get(name);
  assert(pair !== undefined, `no factors of ${name}`);
  const turned = isTransposed(pair, name, base.tensors, adapter.config.isFanIn);
  const change = await readLowRankChange(pair, turned);
  const { rows, columns } = change;
  const scaling = scalingOf(adapter.config, pair);
  const location = locationOf(adapter.below.get(name) ?? baseTensor(base, name));
  const rowsAtOnce = Math.max(1, Math.floor(PIECE_ELEMENTS / columns));
  const reader = openElementReader();
  try {
    for (let from = 0; from < rows; from += rowsAtOnce) {
      // Products and reads block; whoever else is on this thread gets a turn.
      await setImmediate();
      signal.throwIfAborted();
      const to = Math.min(from + rowsAtOnce, rows);
      const weightOI = new Float32Array((to - from) * columns);
      reader.readFloat32(location, from * columns, weightOI);
      change.addTo(weightOI, from, to, scaling);
      yield weightOI;
    }
  } finally {
    reader.close();
  }
}

function baseTensor(base: StoredCheckpoint, name: string): StoredTensor {
  const stored = base.tensors.get(name);
  assert(stored !== undefined, `no tensor ${name} in the base`);
  return stored;
}
