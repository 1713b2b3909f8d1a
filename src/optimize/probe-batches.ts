/** The batches of examples that the model probe runs, and the sums that it makes of what comes out. */
import { exampleBatches } from "../data/batches.js";
import type { ExampleStore, ExampleValues } from "../data/examples.js";
import type { Model, ModelTensor } from "../model/family.js";
import { COUNTED, rowsOf } from "./probe-programs.js";

/** Examples of a Gram matrix's pass. */
const MOST_BATCH = 32;

/** All examples of a batch count, so it divides their number; not so for models with lengths, which count themselves. */
export function probedBatchSize({ lengths }: Pick<Model, "lengths">, { size }: ExampleStore): number {
  return lengths === undefined ? largestDivisor(size, MOST_BATCH) : Math.min(size, MOST_BATCH);
}

/** All examples, `probedBatchSize` at a time: the inputs of the model and, for models with lengths, `COUNTED`. */
export function* probedBatches(
  model: Pick<Model, "lengths">,
  store: ExampleStore,
): Generator<ReadonlyMap<string, ExampleValues>> {
  const { lengths } = model;
  const batchSize = probedBatchSize(model, store);
  for (const { inputs, indices } of exampleBatches(store, batchSize, { lengths })) {
    if (lengths === undefined) yield inputs;
    else {
      const counted = Float32Array.from({ length: batchSize }, (_, row) => (row < indices.length ? 1 : 0));
      yield new Map([...inputs, [COUNTED, counted]]);
    }
  }
}

/** Adds values to the sum of that name. */
export function addTo(sums: Map<string, Float64Array>, name: string, values: Float32Array): void {
  const sum = sums.get(name) ?? new Float64Array(values.length);
  for (let index = 0; index < values.length; index++) sum[index] = (sum[index] ?? 0) + (values[index] ?? 0);
  sums.set(name, sum);
}

/** Divides in place. */
export function divide(values: Float64Array, by: number): void {
  for (let i = 0; i < values.length; i++) values[i] = (values[i] ?? 0) / by;
}

/** The weight of a linear layer, and the first layer that has the same input. */
export interface ProbedLayer {
  readonly name: string;
  readonly input: string;
}

export function linearLayers({ tensors }: { readonly tensors: readonly ModelTensor[] }): ProbedLayer[] {
  return tensors.flatMap(({ name, sharesInput }) => (sharesInput === undefined ? [] : [{ name, input: sharesInput }]));
}

/** The sums of these outputs as means over their rows, where those were counted; in place. */
export function overRows(sums: ReadonlyMap<string, Float64Array>, names: Iterable<string>): void {
  for (const name of names) {
    const [sum, rows] = [sums.get(name), sums.get(rowsOf(name))?.[0]];
    if (sum !== undefined && rows !== undefined) divide(sum, rows);
  }
}

/** The Gram matrices of these layers out of summed outputs: means over their rows where those are counted. A layer that the features do not use has no inputs. */
export function gramsOf(
  layers: readonly ProbedLayer[],
  sums: ReadonlyMap<string, Float64Array>,
): ReadonlyMap<string, Float64Array> {
  overRows(sums, new Set(layers.map(({ input }) => input)));
  return new Map(
    layers.flatMap(({ name, input }): [string, Float64Array][] => {
      const gram = sums.get(input);
      return gram === undefined ? [] : [[name, gram]];
    }),
  );
}

function largestDivisor(count: number, most: number): number {
  for (let divisor = Math.min(count, most); divisor > 1; divisor--) if (count % divisor === 0) return divisor;
  return 1;
}
