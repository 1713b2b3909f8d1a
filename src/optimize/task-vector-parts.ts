/**
 * Task vectors of one tensor in the pieces that an engine can hold: devices limit how much of a buffer one computation sees. K task vectors
 * of S elements each; a part is some whole ones that lie side by side.
 */
import type { Bundle, BundleTensor } from "../checkpoint/bundle.js";
import { sizeOf, type TensorSource, type TensorSpec } from "../engine/program.js";
import { ConfigError } from "../errors.js";

const BYTES = { float32: 4, float16: 2 } as const;

export interface TaskVectorPart {
  /** Of the frozen tensor that holds it. */
  readonly name: string;
  readonly source: TensorSource;
  /** [to - from, ...shape] */
  readonly spec: TensorSpec;
  /** The first task in it, and the one after its last. */
  readonly from: number;
  readonly to: number;
}

/**
 * The parts of a tensor's task vectors, none larger than `maxBytes`: `task_vectors/<name>` where one is enough, else `task_vectors/<name>#0`
 * and so on; none for a tensor that no expert changed. Throws ConfigError when a single task vector is larger.
 */
export function taskVectorParts(
  { tasks }: Bundle,
  { name, shape, taskVectors, scales }: BundleTensor,
  maxBytes = Number.POSITIVE_INFINITY,
): TaskVectorPart[] {
  if (taskVectors === undefined) return [];
  const dtype = scales === undefined ? "float32" : "float16";
  const bytes = sizeOf(shape) * BYTES[dtype];
  const most = Math.min(tasks.length, Math.floor(maxBytes / bytes));
  if (most < 1) {
    throw new ConfigError(
      `tensor ${name}: expected at most ${maxBytes} bytes in one task vector on this device, found ${bytes}; set task_vectors.dtype=float16, or device=cpu`,
    );
  }
  const count = Math.ceil(tasks.length / most);
  return Array.from({ length: count }, (_, part) => {
    const from = part * most;
    const to = Math.min(tasks.length, from + most);
    return {
      name: count === 1 ? `task_vectors/${name}` : `task_vectors/${name}#${part}`,
      source: { ...taskVectors, byteOffset: taskVectors.byteOffset + from * bytes, byteLength: (to - from) * bytes },
      spec: { shape: [to - from, ...shape], dtype },
      from,
      to,
    };
  });
}
