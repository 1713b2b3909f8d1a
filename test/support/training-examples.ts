/**
 * Labelled examples for tests of training: texts that are tokens already, and stores that a given order of examples is
 * drawn from.
 */
import { type ExampleValues, type LabelledExamples, selectExamples } from "../../src/data/examples.js";
import { batchIndices } from "../../src/data/sampler.js";
import { assert } from "../../src/errors.js";
import type { Model } from "../../src/model/family.js";

/** Texts for a BERT, without segments other than the first. */
export function paddedTexts(
  model: Model,
  texts: readonly (readonly number[])[],
  labels: Int32Array,
  name = "texts",
): LabelledExamples {
  return {
    ...{ kind: "text", name, size: texts.length, labels },
    lengths: Int32Array.from(texts, ({ length }) => length),
    gather: (indices, length) => {
      assert(length !== undefined, "texts are gathered without a length");
      const ids = new Int32Array(indices.length * length);
      const mask = new Uint8Array(ids.length);
      for (const [row, index] of indices.entries()) {
        const text = texts[index] ?? [];
        ids.set(text, row * length);
        mask.fill(1, row * length, row * length + text.length);
      }
      const known = new Map<string, ExampleValues>([
        ["input_ids", ids],
        ["attention_mask", mask],
        ["token_type_ids", new Uint8Array(ids.length)],
      ]);
      return new Map([...model.inputs(1).keys()].map((input) => [input, known.get(input) ?? mask]));
    },
  };
}

/**
 * A store whose batches are, step by step, the examples of `order` [steps * batch]: laid out so that the sampler's
 * draws undo themselves.
 */
export function inOrder(
  store: LabelledExamples,
  order: Int32Array,
  place: { readonly seed: number; readonly task: string; readonly batchSize: number },
): LabelledExamples {
  const drawn = batchIndices({ ...place, step: 0, batchSize: order.length, size: order.length });
  const layout = new Uint32Array(order.length);
  for (const [position, slot] of drawn.entries()) layout[slot] = order[position] ?? 0;
  return selectExamples(store, layout);
}
