import { chmod, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { buildBundle } from "../../src/checkpoint/build-bundle.js";
import {
  openBundle,
  readBase,
  readPretrained,
  readTaskVectorRange,
  readTaskVectors,
} from "../../src/checkpoint/bundle.js";
import type { BuildBundleOptions } from "../../src/checkpoint/bundle-inputs.js";
import { type Checkpoint, openCheckpoint, saveCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { derivationWarnings } from "../../src/checkpoint/derivation.js";
import { encodeFloat16 } from "../../src/checkpoint/float16.js";
import { divideByScales, taskVectorScales, widenTaskVector } from "../../src/checkpoint/half-task-vectors.js";
import { towerName, towerTensors } from "../../src/checkpoint/layout/tower-names.js";
import { compareCheckpoints, failOnProblems } from "../../src/checkpoint/preflight.js";
import { withFrozen } from "../../src/merge/frozen.js";
import { clipVisionLayout } from "../../src/model/clip/layout.js";
import { randomArray } from "../support/random.js";

interface Stored {
  readonly shape: readonly number[];
  readonly values: readonly number[];
  readonly dtype?: string;
}

const WEIGHT = "vision_model.embeddings.patch_embedding.weight";
const BIAS = "vision_model.post_layernorm.bias";
const PROJECTION = "visual_projection.weight";
const TENSORS = [
  { name: WEIGHT, shape: [2, 2] },
  { name: BIAS, shape: [2] },
  { name: PROJECTION, shape: [1, 2] },
];
const BASE: Record<string, Stored> = {
  [WEIGHT]: { shape: [2, 2], values: [1, 2, 3, 4] },
  [BIAS]: { shape: [2], values: [0.5, -0.5] },
  [PROJECTION]: { shape: [1, 2], values: [7, 8] },
  "text_model.embeddings.token_embedding.weight": { shape: [1], values: [9] },
  logit_scale: { shape: [], values: [4] },
};
/** A vision tower in the layout of transformers 5, half in BF16. */
const FIRST: Record<string, Stored> = {
  "embeddings.patch_embedding.weight": { shape: [2, 2], values: [1.5, 2, 3, 5], dtype: "BF16" },
  "post_layernorm.bias": { shape: [2], values: [0.25, 0] },
};
const SECOND: Record<string, Stored> = {
  [WEIGHT]: { shape: [2, 2], values: [1, 0, 3, 4], dtype: "F16" },
  [BIAS]: { shape: [2], values: [0.5, -1] },
};
const CONFIG = { hidden_size: 2, hidden_act: "quick_gelu" };

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "bundle-"));
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

async function store(name: string, tensors: Record<string, Stored>, config: unknown = CONFIG): Promise<Checkpoint> {
  const path = join(folder, name);
  const specs = Object.entries(tensors).map(([key, { shape, dtype = "F32" }]) => ({ name: key, shape, dtype }));
  const data = (key: string) => {
    const values = tensors[key]?.values ?? [];
    return tensors[key]?.dtype === "I64"
      ? new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer)
      : Float32Array.from(values);
  };
  await saveCheckpoint(path, { config, specs, data });
  return openCheckpoint(path);
}

async function options(changes: Partial<BuildBundleOptions> = {}): Promise<BuildBundleOptions> {
  const base = await store("base", BASE);
  const experts = [
    { task: "first", checkpoint: await store("first", FIRST) },
    { task: "second", checkpoint: await store("second", SECOND) },
  ];
  return { base, experts, tensors: TENSORS, layout: clipVisionLayout, cacheDir: join(folder, "cache"), ...changes };
}

describe("buildBundle", () => {
  it("packs base and task vectors per tensor, in the model's order", async () => {
    const progress: string[] = [];
    const built = await options({ onProgress: ({ phase, done, total }) => progress.push(`${phase} ${done}/${total}`) });
    const bundle = await buildBundle(built);
    expect(bundle.path).toBe(join(folder, "cache", "bundles", `${bundle.fingerprint}.safetensors`));
    expect(bundle.tasks).toEqual(["first", "second"]);
    expect(bundle.tensors.map(({ name }) => name)).toEqual([WEIGHT, BIAS, PROJECTION]);
    const [weight, bias, projection] = bundle.tensors;
    if (weight === undefined || bias === undefined || projection === undefined) expect.fail("three tensors");
    expect([...(await readBase(bundle, weight))]).toEqual([1, 2, 3, 4]);
    expect([...(await readTaskVectors(bundle, weight))]).toEqual([0.5, 0, 0, 1, 0, -2, 0, 0]);
    expect([...(await readTaskVectors(bundle, bias))]).toEqual([-0.25, 0.5, 0, -0.5]);
    expect(projection.taskVectors).toBeUndefined();
    expect(weight.base).toMatchObject({ kind: "file", path: bundle.path, byteLength: 16 });
    expect(weight.taskVectors?.byteLength).toBe(32);
    expect((weight.taskVectors?.byteOffset ?? 1) % 4).toBe(0);
    await expect(readTaskVectors(bundle, projection)).rejects.toThrow(/expected task vectors, found none/);
    expect(progress).toEqual(["hash 1/3", "hash 2/3", "hash 3/3", ...[1, 2, 3, 4, 5].map((i) => `write ${i}/5`)]);
    expect(await openBundle(bundle.path)).toEqual(bundle);
  });

  it("stores task vectors as float16 with a power of two per task, whatever their size", async () => {
    const inputs = await options({ dtype: "F16" });
    const bundle = await buildBundle(inputs);
    const plain = await buildBundle({ ...inputs, dtype: "F32" });
    expect(bundle.fingerprint).not.toBe(plain.fingerprint);
    expect(await openBundle(bundle.path)).toEqual(bundle);
    const [weight, bias] = bundle.tensors;
    if (weight === undefined || bias === undefined) expect.fail("two tensors");
    expect(weight.taskVectors?.byteLength).toBe(16);
    // Few bits: exact.
    expect([...(await readTaskVectors(bundle, weight))]).toEqual([0.5, 0, 0, 1, 0, -2, 0, 0]);
    expect([...(await readTaskVectorRange(bundle, weight, 1, 1, 3))]).toEqual([-2, 0]);
    expect([...(await readBase(bundle, bias))]).toEqual([0.5, -0.5]);
  });

  it.each([1e-9, 1e-5, 3e4])("float16 with scales keeps 11 bits of task vectors around %d", (size) => {
    const tauKN = randomArray(2000, 5, -size, size);
    const scalesK = taskVectorScales(tauKN, 2, "t");
    const bits = encodeFloat16(divideByScales(tauKN.slice(), scalesK));
    for (const task of [0, 1]) {
      const found = widenTaskVector(bits.subarray(task * 1000, (task + 1) * 1000), scalesK[task] ?? 0);
      for (const [index, value] of found.entries()) {
        const expected = tauKN[task * 1000 + index] ?? 0;
        expect(Math.abs(value - expected)).toBeLessThanOrEqual(Math.abs(expected) * 2 ** -11 + size * 2 ** -38);
      }
    }
    expect([...taskVectorScales(new Float32Array(4), 2, "t")]).toEqual([1, 1]);
  });

  it.each(["F32", "F16"] as const)("counts task vectors from the mean of the experts (%s)", async (dtype) => {
    const inputs = await options({ dtype, origin: "average" });
    const bundle = await buildBundle(inputs);
    expect(await openBundle(bundle.path)).toEqual(bundle);
    const [weight, bias, projection] = bundle.tensors;
    if (weight === undefined || bias === undefined || projection === undefined) expect.fail("three tensors");
    expect([...(await readBase(bundle, weight))]).toEqual([1.25, 1, 3, 4.5]);
    expect([...(await readPretrained(bundle, weight))]).toEqual([1, 2, 3, 4]);
    expect([...(await readTaskVectors(bundle, weight))]).toEqual([0.25, 1, 0, 0.5, -0.25, -1, 0, -0.5]);
    expect([...(await readTaskVectors(bundle, bias))]).toEqual([-0.125, 0.5, 0.125, -0.5]);
    // No expert has it: there is nothing to average.
    expect(projection.pretrained).toBeUndefined();
    expect([...(await readBase(bundle, projection))]).toEqual([7, 8]);
    const [frozen] = withFrozen(bundle, ["*patch_embedding*"]).tensors;
    expect([...(await readBase(bundle, frozen ?? weight))]).toEqual([1, 2, 3, 4]);
    expect(frozen?.taskVectors).toBeUndefined();
  });

  it("an expert that lacks a tensor has the base's in the mean too", async () => {
    const adapter = { ...(await store("adapter", { [WEIGHT]: SECOND[WEIGHT] ?? expect.fail() })), isPartial: true };
    const inputs = await options({ origin: "average" });
    const [first] = inputs.experts;
    const experts = [first ?? expect.fail(), { task: "second", checkpoint: adapter }];
    const bundle = await buildBundle({ ...inputs, experts });
    const [, bias] = bundle.tensors;
    if (bias === undefined) expect.fail("two tensors");
    expect([...(await readBase(bundle, bias))]).toEqual([0.375, -0.25]);
    expect([...(await readTaskVectors(bundle, bias))]).toEqual([-0.125, 0.25, 0.125, -0.25]);
    expect([...(await readPretrained(bundle, bias))]).toEqual([0.5, -0.5]);
  });

  it.each([
    ["F32", "pretrained"],
    ["F16", "pretrained"],
    ["F32", "average"],
    ["F16", "average"],
  ] as const)(
    "tells experts and matrices of another model from fine-tuned ones (%s, from %s)",
    async (dtype, origin) => {
      const shape = [40, 40];
      const other = "vision_model.encoder.layers.0.self_attn.q_proj.weight";
      const values = (seed: number, size: number) => [...randomArray(1600, seed, -size, size)];
      const [baseValues, changes] = [values(1, 1), values(2, 0.1)];
      const moved = baseValues.map((value, index) => value + (changes[index] ?? 0));
      const turned = moved.map((_, index) => moved[(index % 40) * 40 + Math.floor(index / 40)] ?? 0);
      const tensor = (list: number[], second = list): Record<string, Stored> => ({
        [WEIGHT]: { shape, values: list.map((value) => 3 * value) },
        [other]: { shape, values: second },
      });
      const bundle = await buildBundle({
        base: await store("base", tensor(baseValues)),
        experts: [
          { task: "tuned", checkpoint: await store("tuned", tensor(moved)) },
          { task: "foreign", checkpoint: await store("foreign", tensor(values(3, 1))) },
          { task: "turned", checkpoint: await store("turned", tensor(moved, turned)) },
          { task: "same", checkpoint: await store("same", tensor(baseValues)) },
        ],
        tensors: [WEIGHT, other].map((name) => ({ name, shape })),
        layout: clipVisionLayout,
        cacheDir: join(folder, "cache"),
        dtype,
        origin,
      });
      // Independent vectors of one length are sqrt(2) apart.
      expect(await derivationWarnings(bundle)).toEqual([
        expect.stringMatching(
          /^the expert of foreign differs from the base by 1\.4\d of .* another base: merging it will not work$/,
        ),
        expect.stringMatching(
          /^the expert of turned: tensor ".*q_proj\.weight" differs from the base by 1\.\d\d of its size.* may be transposed/,
        ),
        expect.stringMatching(/^the expert of same has the base's values in every matrix/),
      ]);
    },
  );

  it("is built once, again when damaged, and has another name for other inputs", async () => {
    const inputs = await options();
    const bundle = await buildBundle(inputs);
    const before = await stat(bundle.path);
    expect(await buildBundle(inputs)).toEqual(bundle);
    expect((await stat(bundle.path)).ino).toBe(before.ino);
    // The cache is protected against accidents, which this is not.
    expect(before.mode & 0o222).toBe(0);
    await chmod(bundle.path, 0o644);
    await writeFile(bundle.path, "damaged");
    expect(await buildBundle(inputs)).toEqual(bundle);

    const swapped = await buildBundle({ ...inputs, experts: inputs.experts.toReversed() });
    const processed = await buildBundle({
      ...inputs,
      processing: { id: "nothing", prepare: async () => () => undefined },
    });
    const centred = await buildBundle({ ...inputs, origin: "average" });
    expect(new Set([bundle, swapped, processed, centred].map(({ fingerprint }) => fingerprint)).size).toBe(4);
    expect((await readdir(join(folder, "cache", "bundles"))).length).toBe(4);
    // As before there were origins: what is in people's caches is found.
    expect(bundle.fingerprint).toBe("4dda98321e44f9c2c12bf3fd01dfca945b147484adc19810fff56213be7ce6b0");
    expect(await buildBundle({ ...inputs, origin: "pretrained" })).toEqual(bundle);
  });

  it("applies a processing that saw the whole model", async () => {
    const seen: string[] = [];
    const bundle = await buildBundle(
      await options({
        processing: {
          id: "double",
          prepare: async (stream) => {
            for await (const { name, shape, taskVectors } of stream())
              seen.push(`${name} ${shape} ${taskVectors.length}`);
            return (_, taskVectors) => {
              for (const tau of taskVectors) for (const i of tau.keys()) tau[i] = (tau[i] ?? 0) * 2;
            };
          },
        },
      }),
    );
    const [weight] = bundle.tensors;
    if (weight === undefined) expect.fail("a tensor");
    expect(seen).toEqual([`${WEIGHT} 2,2 2`, `${BIAS} 2 2`]);
    expect([...(await readTaskVectors(bundle, weight))]).toEqual([1, 0, 0, 2, 0, -4, 0, 0]);
  });

  it.each([
    [
      "NaN",
      { shape: [2], values: [0, NaN] },
      /second\/model.safetensors: tensor "vision_model.post_layernorm.bias": expected finite values, found NaN at index 1/,
    ],
    ["infinity", { shape: [2], values: [-Infinity, 0] }, /expected finite values, found -Infinity at index 0/],
    [
      "a difference over float32",
      { shape: [2], values: [-3e38, 0] },
      /minus the base: expected finite values, found -Infinity at index 0/,
    ],
    [
      "another shape",
      { shape: [1, 2], values: [0, 0] },
      /second: tensor "vision_model.post_layernorm.bias": expected shape \[2\], found \[1, 2\]/,
    ],
  ])("refuses %s and leaves no file", async (_, bias, message) => {
    const base = await store("base", { ...BASE, [BIAS]: { shape: [2], values: [3e38, 0] } });
    const experts = [
      {
        task: "first",
        checkpoint: await store("first", { ...FIRST, "post_layernorm.bias": { shape: [2], values: [1, 1] } }),
      },
      { task: "second", checkpoint: await store("second", { ...SECOND, [BIAS]: bias }) },
    ];
    const cacheDir = join(folder, "cache");
    await expect(buildBundle({ base, experts, tensors: TENSORS, layout: clipVisionLayout, cacheDir })).rejects.toThrow(
      message,
    );
    expect(await readdir(join(cacheDir, "bundles")).catch(() => [])).toEqual([]);
  });

  it("does not take another safetensors file for a bundle", async () => {
    const { base } = await options();
    await expect(openBundle(join(base.path, "model.safetensors"))).rejects.toThrow(
      /expected a bundle \(format adamerge-bundle, version 1\), found format pt, version none/,
    );
  });
});

describe("compareCheckpoints", () => {
  it("finds nothing in a good set", async () => {
    const { base, experts } = await options();
    const problems = await compareCheckpoints(base, experts, TENSORS, clipVisionLayout);
    expect(problems).toEqual([]);
    expect(() => failOnProblems(problems)).not.toThrow();
  });

  it("finds every problem at once", async () => {
    const base = await store("base", BASE);
    const bad: Record<string, Stored> = {
      [BIAS]: { shape: [2], values: [1, 2], dtype: "I64" },
      "vision_model.surplus": { shape: [1], values: [1] },
      "vision_model.embeddings.position_ids": { shape: [2], values: [0, 1], dtype: "I64" },
    };
    const experts = [
      { task: "first", checkpoint: await store("first", FIRST) },
      { task: "again", checkpoint: await store("again", FIRST) },
      { task: "same", checkpoint: await store("same", BASE) },
      { task: "bad", checkpoint: await store("bad", bad, { hidden_size: 4 }) },
      {
        task: "shape",
        checkpoint: await store("shape", { ...SECOND, [WEIGHT]: { shape: [4, 1], values: [1, 2, 3, 4] } }),
      },
      {
        task: "turned",
        checkpoint: await store("turned", { ...SECOND, [PROJECTION]: { shape: [2, 1], values: [1, 2] } }),
      },
    ];
    const problems = await compareCheckpoints(base, experts, TENSORS, clipVisionLayout);
    const found = problems.map(({ kind, file, tensor }) =>
      `${kind} ${file.slice(folder.length + 1)} ${tensor ?? ""}`.trim(),
    );
    // One expert has the projection, so the ones without it miss it.
    expect(found).toEqual([
      `missing first ${PROJECTION}`,
      `missing again ${PROJECTION}`,
      `missing bad ${WEIGHT}`,
      `dtype bad/model.safetensors ${BIAS}`,
      `missing bad ${PROJECTION}`,
      "extra bad/model.safetensors vision_model.surplus",
      "config bad",
      `shape shape/model.safetensors ${WEIGHT}`,
      `missing shape ${PROJECTION}`,
      `shape turned/model.safetensors ${PROJECTION}`,
      "identical again",
      "identical same",
    ]);
    expect(() => failOnProblems(problems)).toThrow(/cannot be merged, 12 problems:\n/);
    expect(() => failOnProblems(problems)).toThrow(
      /expected dtype F64, F32, F16, BF16, F8_E4M3 or F8_E5M2, found I64. What to do: save/,
    );
    expect(() => failOnProblems(problems)).toThrow(/found the same values as the base/);
    expect(() => failOnProblems(problems)).toThrow(/found the same values as the expert of task "first"/);
    expect(() => failOnProblems(problems)).toThrow(/the tensor is transposed/);
    expect(() => failOnProblems(problems)).toThrow(/expected hidden_size 2 in config.json, as in the base, found 4/);
  });

  it("finds a tensor and a config missing from the base", async () => {
    const { base, experts } = await options();
    const tensors = [...TENSORS, { name: "vision_model.other", shape: [1] }];
    const [missing] = await compareCheckpoints(base, experts, tensors, clipVisionLayout);
    expect(missing).toMatchObject({ kind: "missing", file: base.path, tensor: "vision_model.other" });
    const bare = { ...base, config: undefined };
    expect((await compareCheckpoints(bare, experts, TENSORS, clipVisionLayout)).map(({ kind }) => kind)).toEqual([
      "config",
    ]);
  });

  it("compares a whole CLIP config with that of a tower", async () => {
    const { base, experts } = await options();
    const whole = { ...base, config: { vision_config: { hidden_size: 2, hidden_act: "gelu" }, hidden_size: 99 } };
    const problems = await compareCheckpoints(whole, experts, TENSORS, clipVisionLayout);
    expect(problems.map(({ expected, found }) => `${expected}: ${found}`)).toEqual([
      'hidden_act "gelu" in config.json, as in the base: "quick_gelu"',
      'hidden_act "gelu" in config.json, as in the base: "quick_gelu"',
    ]);
  });
});

describe("canonical names", () => {
  it.each([
    ["vision_model.pre_layrnorm.weight", "vision_model.pre_layrnorm.weight"],
    ["pre_layrnorm.weight", "vision_model.pre_layrnorm.weight"],
    ["encoder.layers.0.mlp.fc1.bias", "vision_model.encoder.layers.0.mlp.fc1.bias"],
    ["embeddings.class_embedding", "vision_model.embeddings.class_embedding"],
    ["visual_projection.weight", "visual_projection.weight"],
    ["text_model.encoder.layers.0.mlp.fc1.bias", undefined],
    ["text_projection.weight", undefined],
    ["logit_scale", undefined],
    ["vision_model.embeddings.position_ids", undefined],
    ["embeddings.position_ids", undefined],
    ["classifier.weight", "classifier.weight"],
  ])("%s", (name, expected) => {
    const { names } = towerTensors(clipVisionLayout, [name], "m");
    expect([...names]).toEqual(expected === undefined ? [] : [[expected, name]]);
    expect(towerName(clipVisionLayout, name)).toBe(expected);
  });

  it("refuses two names for one tensor", () => {
    const names = ["vision_model.encoder.x", "encoder.x"];
    expect(() => towerTensors(clipVisionLayout, names, "m")).toThrow(
      /m: expected one tensor for "vision_model.encoder.x", found two/,
    );
  });
});
