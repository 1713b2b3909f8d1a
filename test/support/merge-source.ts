/** A model to merge that lies in memory as flat vectors, and a merge of all of it. */
import { type MergeContext, type ModelSource, piecesOf } from "../../src/merge/methods/method.js";
import { mergeMethods } from "../../src/merge/methods/registry.js";

export function memorySource(
  tensors: readonly { name: string; shape: readonly number[] }[],
  base: Float32Array,
  taskVectors: readonly Float32Array[],
): ModelSource {
  let start = 0;
  const starts = new Map<string, number>();
  const described = tensors.map(({ name, shape }) => {
    const size = shape.reduce((a, b) => a * b, 1);
    starts.set(name, start);
    start += size;
    return { name, shape, size };
  });
  return {
    tasks: taskVectors.map((_, task) => `task${task}`),
    tensors: described,
    read: async (tensor, from, to) => {
      const first = starts.get(tensor.name) ?? 0;
      return {
        tensor,
        from,
        baseN: base.slice(first + from, first + to),
        taskVectors: taskVectors.map((tau) => tau.slice(first + from, first + to)),
      };
    },
    readExpert: async ({ name, size }, task) => {
      const first = starts.get(name) ?? 0;
      return base.slice(first, first + size).map((value, i) => value + (taskVectors[task]?.[first + i] ?? 0));
    },
  };
}

/** The merged model as one vector; of a method that makes a model per task, all of them one after another. */
export async function mergeAll(name: string, parameters: unknown, context: MergeContext): Promise<Float32Array> {
  const method = mergeMethods.get(name);
  if (method === undefined) throw new Error(`no method ${name}`);
  const merge = await method.prepare(context, parameters);
  const parts: number[] = [];
  for (const [task] of context.source.tasks.entries()) {
    for await (const piece of piecesOf(context, method.unit)) parts.push(...(await merge(piece, task)));
    if (method.perTask !== true) break;
  }
  return Float32Array.from(parts);
}
