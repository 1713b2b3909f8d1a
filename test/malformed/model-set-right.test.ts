/**
 * Sets of checkpoints that look wrong and are not: mixed dtypes and layouts of names, denormals, tensors that do not matter. Each row
 * changes a sound suite; the task vectors must be exactly those of the definition, computed here from the values that were written.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readBase, readTaskVectors } from "../../src/checkpoint/bundle.js";
import {
  edit,
  FC1_BIAS,
  floats,
  integers,
  K_BIAS,
  type Model,
  NORM_BIAS,
  openSet,
  Q,
  type Row,
  scalar,
  setAt,
  soundSet,
} from "./make-model-set.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "model-set-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** The number that `dtype` stores for a value, from the definition of the formats rather than by our codec. */
function rounded(value: number, dtype: string): number {
  if (dtype === "F32" || value === 0) return Math.fround(value);
  const [bits, least] = dtype === "F16" ? [10, -14] : [7, -126];
  const unit = 2 ** (Math.max(least, Math.floor(Math.log2(Math.abs(value)))) - bits);
  const low = Math.floor(value / unit);
  const rest = value / unit - low;
  const magnitude = Math.abs(low + (rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? 1 : 0)) * unit;
  return value < 0 ? -magnitude : magnitude;
}

/** What a model says about a tensor of the canonical name: under either layout's name, or under that of the tensor it is tied to. */
function storedValues({ tensors, metadata }: Model, name: string): Float64Array | undefined {
  const names = [name, name.replace(/^vision_model\./, ""), metadata[name]];
  const found = tensors.find((stored) => names.includes(stored.name));
  return found && Float64Array.from(floats(found.data), (value) => rounded(value, found.dtype));
}

const inDtype = (dtype: string) => (model: Model) => {
  model.tensors = model.tensors.map((stored) => ({ ...stored, dtype }));
};
/** Denormals of float32, bfloat16 and float16, and their neighbours. */
const TINY = [2 ** -149, 3 * 2 ** -149, 2 ** -127, -(2 ** -130), 2 ** -133, 2 ** -126, 5 * 2 ** -24, -(2 ** -24)];
const tiny = (model: Model) =>
  edit(model, FC1_BIAS, (stored) => ({ ...stored, data: Float32Array.of(...TINY, ...TINY) }));
const zero = (model: Model) => edit(model, FC1_BIAS, (stored) => ({ ...stored, data: new Float32Array(16) }));

const READ: readonly Row[] = [
  { name: "a sound set", change: () => {} },
  {
    name: "experts in BF16 and F16 of a base in F32",
    change: ({ a, b }) => {
      inDtype("BF16")(a);
      inDtype("F16")(b);
    },
  },
  {
    name: "experts in F32 and BF16 of a base in F16, some tensors in F32",
    change: ({ base, b }) => {
      inDtype("F16")(base);
      inDtype("BF16")(b);
      for (const model of [base, b]) edit(model, Q, (stored) => ({ ...stored, dtype: "F32" }));
    },
  },
  {
    name: "position_ids in int64, in the base and one expert",
    change: ({ base, a }) => {
      base.tensors.push(integers("vision_model.embeddings.position_ids", [0, 1, 2, 3]));
      a.tensors.push(integers("embeddings.position_ids", [0, 1, 2], [3]));
    },
  },
  {
    name: "a text tower and a logit scale of rank 0 in the base, of shape [1] in an expert",
    change: ({ base, a }) => {
      base.tensors.push(scalar("logit_scale", [], 4.6), scalar("text_model.final_layer_norm.bias", [3], Number.NaN));
      a.tensors.push(scalar("logit_scale", [1], 4.6), scalar("text_projection.weight", [2, 2], 1));
    },
  },
  { name: "an expert without config.json", change: ({ a }) => Object.assign(a, { config: undefined }) },
  {
    name: "an expert with the names of transformers 5",
    change: ({ a }) => {
      a.tensors = a.tensors.map((stored) => ({ ...stored, name: stored.name.replace(/^vision_model\./, "") }));
    },
  },
  {
    name: "experts without the projection, which is the base's",
    change: ({ a, b }) => {
      for (const expert of [a, b]) edit(expert, "visual_projection.weight", () => undefined);
    },
  },
  {
    name: "tied tensors, of which save_model of safetensors stores one",
    change: ({ a }) => {
      edit(a, K_BIAS, () => undefined);
      a.metadata[K_BIAS] = NORM_BIAS;
    },
  },
  {
    name: "denormals in F32",
    change: ({ base, a }) => {
      zero(base);
      tiny(a);
    },
  },
  {
    name: "denormals in BF16 and F16",
    change: ({ base, a, b }) => {
      zero(base);
      inDtype("BF16")(a);
      inDtype("F16")(b);
      tiny(a);
      tiny(b);
    },
  },
  {
    name: "a task vector over F16 of checkpoints in F16",
    change: ({ base, a }) => {
      for (const model of [base, a]) inDtype("F16")(model);
      setAt(FC1_BIAS, 3, -65_504)(base);
      setAt(FC1_BIAS, 3, 65_504)(a);
    },
  },
  {
    name: "negative zero and the largest values of task vectors in F16",
    change: ({ base, a }) => {
      setAt(FC1_BIAS, 0, -0)(base);
      setAt(FC1_BIAS, 1, 1.7e38)(a);
      setAt(FC1_BIAS, 2, -1.7e38)(a);
    },
  },
];

describe("read, and right", () => {
  it.each(READ.map((row) => [row.name, row] as const))("%s", async (_, { change }) => {
    const set = soundSet();
    change(set);
    const { inputs, warnings } = await openSet(folder, set, []);
    expect(warnings).toEqual([]);
    for (const tensor of inputs.bundle.tensors) {
      const base = storedValues(set.base, tensor.name) ?? new Float64Array();
      expect([...(await readBase(inputs.bundle, tensor))], tensor.name).toEqual([...base]);
      const experts = [set.a, set.b].map((model) => storedValues(model, tensor.name));
      if (experts[0] === undefined) {
        expect(tensor.taskVectors, tensor.name).toBeUndefined();
        continue;
      }
      const expected = experts.flatMap((values) =>
        [...base].map((value, at) => Math.fround((values?.[at] ?? NaN) - value)),
      );
      expect([...(await readTaskVectors(inputs.bundle, tensor))], tensor.name).toEqual(expected);
    }
  });

  it.each(READ.map((row) => [row.name, row] as const))("as float16 with scales: %s", async (_, { change }) => {
    const set = soundSet();
    change(set);
    const { inputs } = await openSet(folder, set, ["task_vectors.dtype=float16"]);
    for (const tensor of inputs.bundle.tensors) {
      if (tensor.taskVectors === undefined) continue;
      const found = await readTaskVectors(inputs.bundle, tensor);
      const base = storedValues(set.base, tensor.name) ?? new Float64Array();
      for (const [k, model] of [set.a, set.b].entries()) {
        const expert = storedValues(model, tensor.name);
        const tau = base.map((value, at) => (expert?.[at] ?? NaN) - value);
        const largest = tau.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        const overBound = tau.findIndex((value, at) => {
          // 11 bits of each value; what is far below the largest has those that float16's denormals leave.
          const bound = Math.max(2 ** -11 * Math.abs(value) + 2 ** -39 * largest, 2 ** -150);
          return !(Math.abs((found[k * tau.length + at] ?? Number.NaN) - value) <= bound);
        });
        expect(overBound, tensor.name).toBe(-1);
      }
    }
  });

  it("the largest value of float32, which cannot be stored as float16", async () => {
    const set = soundSet();
    const largest = (2 - 2 ** -23) * 2 ** 127;
    setAt(FC1_BIAS, 0, 0)(set.base);
    setAt(FC1_BIAS, 0, largest)(set.a);
    const { inputs } = await openSet(folder, set, []);
    const tensor = inputs.bundle.tensors.find(({ name }) => name === FC1_BIAS);
    expect(tensor && (await readTaskVectors(inputs.bundle, tensor))[0]).toBe(largest);
    await rm(folder, { recursive: true });
    await mkdir(folder);
    await expect(openSet(folder, set, ["task_vectors.dtype=float16"])).rejects.toThrow(
      /^tensor ".*fc1\.bias": expected task vectors below 2\^127 to store as float16, found 3\.40\d+e\+38\. Set task_vectors\.dtype=float32/,
    );
  });

  it.each([
    ["rank 0", []],
    ["shape [1]", [1]],
  ])("a head's own logit scale of %s", async (_, shape) => {
    const set = soundSet();
    set.headA.push(scalar("logit_scale", shape, 14.5));
    const { inputs } = await openSet(folder, set, []);
    expect(inputs.heads.map(({ logitScale }) => logitScale)).toEqual([14.5, 10]);
  });
});
