/**
 * Merges a bundle with a method of the registry. Once as a source of pieces, once as the stream of merged tensors that
 * evaluation and checkpoint writing take. K tasks.
 */
import { type Bundle, readBase, taskVectorRange } from "../checkpoint/bundle.js";
import { withRanges } from "../checkpoint/safetensors.js";
import { unchangedTensors } from "./merged-weights.js";
import { expertOf } from "./methods/expert-weights.js";
import type { KeptChanges } from "./methods/kept-changes.js";
import type { MergeMethod, ModelProbe, ModelSource, Piece, SourceTensor, Weights } from "./methods/method.js";

const BYTES = Float32Array.BYTES_PER_ELEMENT;
/** Elements of a task vector in memory at once while a method looks at the whole model: 16 MB for each task. */
const PIECE_ELEMENTS = 1 << 22;

/** The bundle's tensors that have task vectors. */
export function bundleSource(bundle: Bundle): ModelSource {
  const byName = new Map(bundle.tensors.map((tensor) => [tensor.name, tensor]));
  const tensors = bundle.tensors
    .filter(({ taskVectors }) => taskVectors !== undefined)
    .map(({ name, shape }) => ({ name, shape, size: shape.reduce((a, b) => a * b, 1) }));
  const readTasks = async (
    tensor: SourceTensor,
    from: number,
    to: number,
    tasks: readonly number[],
  ): Promise<Piece> => {
    const files = byName.get(tensor.name);
    if (files === undefined) throw new RangeError(`no task vectors of ${tensor.name}`);
    const { byteOffset } = files.base;
    return withRanges(bundle.path, async (read) => ({
      tensor,
      from,
      baseN: new Float32Array((await read(byteOffset + from * BYTES, (to - from) * BYTES)).buffer),
      taskVectors: await Promise.all(tasks.map((task) => taskVectorRange(bundle, files, task, from, to, read))),
    }));
  };
  return {
    tasks: bundle.tasks,
    tensors,
    read: (tensor, from, to) => readTasks(tensor, from, to, [...bundle.tasks.keys()]),
    readExpert: async (tensor, task) => expertOf(await readTasks(tensor, 0, tensor.size, [task]), 0),
  };
}

export interface MergeBundleOptions {
  readonly method: MergeMethod;
  /** Already checked against the method's schema, or defaults by it. */
  readonly parameters: unknown;
  readonly seed: number;
  /** For methods that look at images. */
  readonly probe?: ModelProbe | undefined;
  /** What the method found out about this bundle before; filled otherwise. */
  readonly findings?: Map<string, unknown> | undefined;
  /** Of this method and this bundle. */
  readonly changes?: KeptChanges | undefined;
}

export interface MergedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/**
 * Prepares the method once and returns the streams of merged tensors, in bundle order: of the one merged model, or of the model for
 * task `task` where the method makes one for each.
 */
export async function mergeBundle(
  bundle: Bundle,
  { method, parameters, seed, probe, findings, changes }: MergeBundleOptions,
): Promise<(task: number) => AsyncGenerator<MergedTensor>> {
  const source = bundleSource(bundle);
  const unchanged = (): Promise<Weights> => unchangedTensors(bundle);
  const given = {
    ...(probe === undefined ? {} : { probe }),
    ...(findings === undefined ? {} : { findings }),
    ...(changes === undefined ? {} : { changes }),
  };
  const context = { source, seed, pieceElements: PIECE_ELEMENTS, unchanged, ...given };
  const merge = await method.prepare(context, parameters);
  const byName = new Map(source.tensors.map((tensor) => [tensor.name, tensor]));
  return async function* (task) {
    for (const tensor of bundle.tensors) {
      const { name, shape } = tensor;
      const described: SourceTensor | undefined = byName.get(name);
      const values =
        described === undefined
          ? await readBase(bundle, tensor)
          : await merge(await source.read(described, 0, described.size), task);
      yield { name, shape, values };
    }
  };
}
