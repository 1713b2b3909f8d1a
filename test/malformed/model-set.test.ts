/**
 * Sets of checkpoints that do not belong together. Each row changes a sound suite and says what opening it for a run gives: the
 * error's text or a warning. Sets that only look wrong are in model-set-right.test.ts.
 */
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CheckpointError } from "../../src/errors.js";
import { randomArray } from "../support/random.js";
import {
  edit,
  FC1,
  FC1_BIAS,
  floats,
  integers,
  type Model,
  NORM_BIAS,
  openSet,
  POSITIONS,
  Q,
  type Row,
  SMALL,
  type Stored,
  scalar,
  setAt,
  soundSet,
  tower,
} from "./make-model-set.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "model-set-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const REFUSED: readonly (Row & { readonly message: RegExp })[] = [
  {
    name: "a tensor missing in one expert",
    change: ({ a }) => edit(a, NORM_BIAS, () => undefined),
    message:
      /\/a: tensor ".*pre_layrnorm\.bias": expected shape \[8\], found no such tensor\. What to do: check that this/,
  },
  {
    name: "a tensor missing in the base",
    change: ({ base }) => edit(base, NORM_BIAS, () => undefined),
    message: /\/base: tensor ".*pre_layrnorm\.bias": expected shape \[8\], found no such tensor/,
  },
  {
    name: "a tensor too many",
    change: ({ b }) => b.tensors.push(scalar("classifier.weight", [2, 8], 1)),
    message:
      /b\/model\.safetensors: tensor "classifier\.weight": expected only tensors that the model has, found one it has not/,
  },
  {
    name: "position embeddings of another resolution",
    change: ({ a }) => edit(a, POSITIONS, (stored) => ({ ...stored, shape: [26, 8], data: randomArray(208, 3) })),
    message:
      /a\/model\.safetensors: tensor ".*position_embedding\.weight": expected shape \[17, 8\], found \[26, 8\]\. What to do: use experts/,
  },
  {
    name: "a transposed matrix",
    change: ({ a }) => edit(a, FC1, (stored) => ({ ...stored, shape: [8, 16] })),
    message:
      /"vision_model\.encoder\.layers\.0\.mlp\.fc1\.weight": expected shape \[16, 8\], found \[8, 16\]\. What to do: the tensor is transposed/,
  },
  {
    name: "the base given as an expert",
    change: (set) => Object.assign(set, { a: set.base }),
    message:
      /\/a: expected the expert of task "a" to differ from the base and the other experts, found the same values as the base/,
  },
  {
    name: "one expert twice, in other files",
    change: (set) => Object.assign(set, { b: { ...set.a, metadata: { format: "pt", copy: "2" } } }),
    message:
      /\/b: expected the expert of task "b" to differ .* found the same values as the expert of task "a" \(.*\/a\)/,
  },
  {
    name: "an expert of another patch size, as B/16 for B/32",
    change: (set) => Object.assign(set, { a: tower(1, 0.05, { ...SMALL, patch_size: 4 }) }),
    message:
      /3 problems:\n.*position_embedding.weight": expected shape \[17, 8\], found \[65, 8\].*\n.*patch_embedding\.weight": expected shape \[8, 3, 8, 8\], found \[8, 3, 4, 4\].*\n.*\/a: expected patch_size 8 in config\.json, as in the base, found 4/,
  },
  {
    name: "a base whose config is of another tower",
    change: ({ base }) => Object.assign(base, { config: { ...SMALL, intermediate_size: 32 } }),
    message: /base\/model\.safetensors: tensor ".*fc1\.weight": expected shape \[32, 8\], found \[16, 8\]/,
  },
  {
    name: "experts that are other models",
    change: ({ a, b }) => {
      a.tensors = [scalar("bert.embeddings.weight", [3, 8], 1)];
      b.tensors = [scalar("text_model.final_layer_norm.weight", [8], 1)];
    },
    message:
      /2 problems:\n.*\/a: expected the model's 24 tensors, found none of them, but 1 such as "bert\.embeddings\.weight".*\n.*\/b: expected the model's 24 tensors, found none of them/,
  },
  {
    name: "NaN in an expert",
    change: ({ a }) => setAt(Q, 13, Number.NaN)(a),
    message:
      /a\/model\.safetensors: tensor ".*q_proj\.weight": expected finite values, found NaN at index 13\. Use another/,
  },
  {
    name: "infinity in the base",
    change: ({ base }) => setAt(FC1_BIAS, 15, -Infinity)(base),
    message: /base\/model\.safetensors: tensor ".*fc1\.bias": expected finite values, found -Infinity at index 15/,
  },
  {
    name: "infinity of F16 in an expert",
    change: ({ b }) => {
      setAt(FC1_BIAS, 2, Infinity)(b);
      edit(b, FC1_BIAS, (stored) => ({ ...stored, dtype: "F16" }));
    },
    message: /b\/model\.safetensors: tensor ".*fc1\.bias": expected finite values, found Infinity at index 2/,
  },
  {
    name: "a task vector over float32",
    change: ({ base, a, b }) => {
      setAt(FC1_BIAS, 4, -3e38)(base);
      for (const expert of [a, b]) setAt(FC1_BIAS, 4, 3e38)(expert);
    },
    message: /\/a: tensor ".*fc1\.bias", minus the base: expected finite values, found Infinity at index 4/,
  },
  {
    name: "a weight of integers",
    change: ({ a }) => edit(a, NORM_BIAS, ({ name }) => integers(name, [1, 2, 3, 4, 5, 6, 7, 8], [8])),
    message:
      /a\/model\.safetensors: tensor ".*pre_layrnorm\.bias": expected dtype F64, F32, F16, BF16, F8_E4M3 or F8_E5M2, found I64/,
  },
  {
    name: "a LoRA adapter without its settings",
    change: () => {},
    touch: async (path) => {
      await rename(join(path, "a", "model.safetensors"), join(path, "a", "adapter_model.safetensors"));
      await writeFile(join(path, "a", "adapter_config.json"), "{}");
    },
    message:
      /a\/adapter_config\.json: not the config of a LoRA adapter: peft_type: Invalid input: expected string, received undefined; r: /,
  },
  {
    name: "a LoRA adapter under the name of a model",
    change: ({ a }) => a.tensors.push(scalar("base_model.model.vision_model.x.q_proj.lora_A.weight", [2, 8], 1)),
    message:
      /\/a: expected a full checkpoint, found a LoRA adapter \(its tensor "base_model\.model\..*lora_A\.weight"\)\. A suite takes the folder of an adapter/,
  },
  {
    name: "a base without config.json",
    change: ({ base }) => Object.assign(base, { config: undefined }),
    message:
      /base\/config\.json: expected the config\.json of a CLIP vision tower beside the weights, found none\. Copy it/,
  },
  {
    name: "a tower of a billion layers",
    change: ({ base }) => Object.assign(base, { config: { ...SMALL, num_hidden_layers: 1e9 } }),
    message: /base\/config\.json: not the config\.json of a CLIP vision tower: num_hidden_layers: .*1000/,
  },
  {
    name: "a config.json that is a folder",
    change: () => {},
    touch: async (path) => {
      await rm(join(path, "a", "config.json"));
      await mkdir(join(path, "a", "config.json"));
    },
    message: /a\/config\.json: expected a config\.json, found a directory/,
  },
  {
    name: "tensors in two layouts of names",
    change: ({ a }) => a.tensors.push(scalar("pre_layrnorm.bias", [8], 1)),
    message:
      /\/a: expected one layout of names, found two \(.*"pre_layrnorm\.bias" and "vision_model\.pre_layrnorm\.bias"/,
  },
  {
    name: "NaN in a head",
    change: ({ headA }) => Object.assign(headA[0] ?? {}, { data: new Float32Array(8).with(5, Number.NaN) }),
    message: /a\.head: tensor "weight": expected finite values, found NaN at index 5/,
  },
  {
    name: "a logit scale for each class",
    change: ({ headA }) => headA.push(scalar("logit_scale", [2], 1)),
    message: /a\.head: logit_scale: expected 1 values, found 2/,
  },
];

describe("refused", () => {
  it.each(REFUSED.map((row) => [row.name, row] as const))("%s", async (_, { change, touch, message }) => {
    const set = soundSet();
    change(set);
    const error: unknown = await openSet(folder, set, [], touch).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CheckpointError);
    expect(String(error)).toMatch(message);
    expect(String(error).length).toBeLessThan(12_000);
  });
});

const WARNED: readonly (Row & { readonly message: RegExp })[] = [
  {
    name: "an expert that was trained apart from the base",
    change: (set) => {
      set.b.tensors = set.b.tensors.map((stored, index) => ({
        ...stored,
        data: randomArray(floats(stored.data).length, 500 + index),
      }));
    },
    message: /^warning: the expert of b differs from the base by 1\.\d\d of the base's own size.* another base/,
  },
  {
    name: "a square matrix that is transposed",
    change: ({ a }) =>
      edit(a, Q, (stored) => {
        const values = floats(stored.data);
        return { ...stored, data: values.map((_, at) => values[(at % 8) * 8 + Math.floor(at / 8)] ?? 0) };
      }),
    message: /^warning: the expert of a: tensor ".*q_proj\.weight" differs .* The tensor may be transposed/,
  },
  {
    name: "the base in another dtype",
    change: (set) => {
      const exact = (model: Model, dtype: string): Stored[] =>
        model.tensors.map((stored) => ({
          ...stored,
          dtype,
          data: floats(stored.data).map((value) => Math.round(value * 64) / 64),
        }));
      set.base.tensors = exact(set.base, "F32");
      set.a.tensors = exact(set.base, "BF16");
    },
    message: /^warning: the expert of a has the base's values in every matrix/,
  },
];

describe("read with a warning", () => {
  it.each(WARNED.map((row) => [row.name, row] as const))("%s", async (_, { change, message }) => {
    const set = soundSet();
    change(set);
    const { warnings } = await openSet(folder, set, []);
    expect(warnings).toEqual([expect.stringMatching(message)]);
  });
});
