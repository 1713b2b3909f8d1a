/**
 * A pass of all tasks' examples through a model part by part: its embeddings, each block, what is behind the last. What goes into the next part is
 * kept (float32, [T, D] for each example), so that a part is run twice for each task: with the weights that are asked about, and with those that
 * it ends up with. At most `KEPT_BYTES` are kept; tasks for which there is no room go through the parts before anew each time.
 */
import { examplePlaces } from "../data/batches.js";
import type { ExampleStore, ExampleValues } from "../data/examples.js";
import { type Engine, type Executable, type Program, sizeOf } from "../engine/program.js";
import { assert } from "../errors.js";
import type { PartwiseProbe, Weights } from "../merge/methods/method.js";
import type { Model, ModelParts, ModelTensor } from "../model/family.js";
import { compileByLength } from "./by-length.js";
import { ENTERING, LEAVING, type PartOfModel, partGramProgram, partInputs, partProgram } from "./part-programs.js";
import { addTo, gramsOf, linearLayers, type ProbedLayer, probedBatches, probedBatchSize } from "./probe-batches.js";
import { COUNTED } from "./probe-programs.js";
import { weightSources } from "./step-program.js";

/** What is kept of all tasks together: 256 images of each of 8 tasks take 0.3 GB with ViT-B/32. */
const KEPT_BYTES = 2 ** 30;

export interface PartwiseProbeOptions {
  readonly model: Model;
  readonly parts: ModelParts;
  readonly tasks: number;
  /** The examples of a task that are looked at. */
  readonly draw: (task: number) => Promise<ExampleStore>;
  readonly signal: AbortSignal;
  /** Default: `KEPT_BYTES`. */
  readonly keptBytes?: number | undefined;
}

/** The inputs of a part for one batch. */
type PartBatch = ReadonlyMap<string, ExampleValues>;

interface Part {
  readonly tensors: readonly ModelTensor[];
  readonly layers: readonly ProbedLayer[];
}

/** Compiled programs of one part by the size of batches, which few examples make smaller. */
type BySize = Map<number, Executable>;

/** Nothing is compiled or read before it is asked. */
export function createPartwiseProbe(engine: Engine, options: PartwiseProbeOptions): PartwiseProbe {
  const { model, parts, signal } = options;
  const all = partsOf(model, parts);
  const tasks = Array.from({ length: options.tasks }, (_, task) => task);
  /** What goes into the next part, of the tasks that are kept. */
  const kept = new Map<number, PartBatch[]>();
  /** The parts before the next one with their weights, where a task is not kept. */
  const passed: BySize[] = [];
  let grams: BySize = new Map();
  let next = 0;

  const nextPart = (): Part => {
    const part = all[next];
    assert(part !== undefined, `part ${next} of a model that has ${all.length}`);
    return part;
  };
  const sizeOfBatches = (store: ExampleStore): number => probedBatchSize(model, store);
  /** A program of the next part for batches of this size. */
  const compiled = (batchSize: number, program: (part: PartOfModel) => Program): Promise<Executable> => {
    const { tensors } = nextPart();
    const index = next;
    const at = (length?: number): PartOfModel => ({ model, parts, index, tensors, batchSize, length });
    const lengths = model.lengths === undefined ? {} : { lengths: model.lengths };
    const partModel = { ...lengths, inputs: (_count: number, length?: number) => partInputs(at(length)) };
    return compileByLength(engine, partModel, batchSize, (length) => program(at(length)));
  };
  const bind = (executable: Executable, weights: Weights): Promise<void> =>
    executable.bind(new Map(weightSources(nextPart(), weights)));
  const through = async (executable: Executable, batch: PartBatch): Promise<PartBatch> => {
    signal.throwIfAborted();
    const left = (await executable.run(batch)).get(LEAVING);
    assert(left !== undefined, "nothing leaves a part");
    const along = [...batch].filter(([name]) => name === model.mask || name === COUNTED);
    return new Map<string, ExampleValues>([[ENTERING, left], ...along]);
  };
  /** The task's batches as they go into the next part. */
  async function* batchesOf(task: number, store: ExampleStore): AsyncGenerator<PartBatch> {
    const own = kept.get(task);
    if (own !== undefined) return yield* own;
    for (let batch of probedBatches(model, store)) {
      for (const programs of passed) {
        const executable = programs.get(sizeOfBatches(store));
        assert(executable !== undefined, "a part that was passed without weights");
        batch = await through(executable, batch);
      }
      yield batch;
    }
  }
  return {
    parts: all.map(({ tensors, layers }) => ({
      tensors: tensors.map(({ name }) => name),
      linear: layers.map(({ name }) => name),
    })),
    grams: async (task, weights) => {
      const { layers } = nextPart();
      if (layers.length === 0) return new Map();
      const store = await options.draw(task);
      const inputs = new Set(layers.map(({ input }) => input));
      const batchSize = sizeOfBatches(store);
      const executable = grams.get(batchSize) ?? (await compiled(batchSize, (part) => partGramProgram(part, inputs)));
      grams.set(batchSize, executable);
      await bind(executable, weights);
      const sums = new Map<string, Float64Array>();
      for await (const batch of batchesOf(task, store)) {
        signal.throwIfAborted();
        for (const [name, values] of await executable.run(batch)) addTo(sums, name, values);
      }
      return gramsOf(layers, sums);
    },
    advance: async (weights) => {
      await closeAll(grams);
      grams = new Map();
      const stores = await Promise.all(tasks.map(options.draw));
      const keeps = next === 0 ? whatFits(options, stores) : new Set(kept.keys());
      const programs: BySize = new Map();
      for (const [task, store] of stores.entries()) {
        const batchSize = sizeOfBatches(store);
        const known = programs.get(batchSize);
        const executable = known ?? (await compiled(batchSize, partProgram));
        programs.set(batchSize, executable);
        if (known === undefined) await bind(executable, weights);
        if (!keeps.has(task)) continue;
        const left: PartBatch[] = [];
        for await (const batch of batchesOf(task, store)) left.push(await through(executable, batch));
        kept.set(task, left);
      }
      if (keeps.size < tasks.length) passed.push(programs);
      else await closeAll(programs);
      next += 1;
    },
    close: async () => {
      kept.clear();
      for (const programs of [grams, ...passed.splice(0)]) await closeAll(programs);
      grams = new Map();
    },
  };
}

async function closeAll(programs: BySize): Promise<void> {
  for (const executable of programs.values()) await executable.close();
}

function partsOf(model: Model, { blocks }: ModelParts): readonly Part[] {
  const part = (isHere: (tensor: ModelTensor) => boolean): Part => {
    const tensors = model.tensors.filter(isHere);
    return { tensors, layers: linearLayers({ tensors }) };
  };
  return [
    part((tensor) => tensor.part === "embeddings"),
    ...Array.from({ length: blocks }, (_, index) => part((tensor) => tensor.block === index)),
    part((tensor) => tensor.part === "output"),
  ];
}

/** The tasks, from the first, that are kept. */
function whatFits(
  { model, parts, keptBytes = KEPT_BYTES }: PartwiseProbeOptions,
  stores: readonly ExampleStore[],
): ReadonlySet<number> {
  const fitting = new Set<number>();
  let bytes = 0;
  for (const [task, store] of stores.entries()) {
    const batchSize = probedBatchSize(model, store);
    let own = 0;
    for (const { length } of examplePlaces(store, batchSize, { lengths: model.lengths }))
      own += sizeOf(parts.shape(batchSize, length)) * Float32Array.BYTES_PER_ELEMENT;
    if (bytes + own > keptBytes) continue;
    bytes += own;
    fitting.add(task);
  }
  return fitting;
}
