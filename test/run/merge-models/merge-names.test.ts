/** Merge files whose models name, tie or leave out tensors in different ways: what is merged with what, what is kept and what is said. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../../src/checkpoint/checkpoint.js";
import { writeSafetensors } from "../../../src/checkpoint/safetensors.js";
import { readMergeFile } from "../../../src/config/merge-file.js";
import { mergeModels } from "../../../src/run/merge-models/merge-models.js";
import { type MergePlan, planMerge } from "../../../src/run/merge-models/plan.js";

/** Shapes by name; a number is the value of every element, 1 by default. */
type Tensors = Readonly<Record<string, readonly number[]>>;

let folder = "";
let count = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adamerge-names-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function model(name: string, tensors: Tensors, config: object = {}, value = 1): Promise<string> {
  const path = join(folder, `${count++}-${name}`);
  await mkdir(path);
  const made = Object.entries(tensors).map(([tensor, shape], at) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const isInteger = tensor.endsWith("_ids");
    const data = isInteger ? new Uint8Array(8 * size) : new Float32Array(size).fill(value + at);
    return { name: tensor, shape, dtype: isInteger ? "I64" : "F32", data };
  });
  await writeSafetensors(join(path, "model.safetensors"), made);
  await writeFile(join(path, "config.json"), JSON.stringify({ model_type: "made", ...config }));
  return path;
}

async function fileOf(models: readonly string[], base?: string): Promise<string> {
  const path = join(folder, `${count++}.yaml`);
  const list = models.map((one) => `  - {model: ${one}, parameters: {weight: 0.5}}\n`).join("");
  const method = base === undefined ? "merge_method: linear\n" : `base_model: ${base}\nmerge_method: task_arithmetic\n`;
  await writeFile(path, `models:\n${list}${method}`);
  return path;
}

const plan = async (models: readonly string[], base?: string): Promise<MergePlan> =>
  planMerge(await readMergeFile(await fileOf(models, base)), undefined);
/** The result's tensors, each with what the models call it, or "copy". */
const named = ({ jobs }: MergePlan) =>
  Object.fromEntries(
    jobs.map(({ name, work, ownNames }) => [name, work.kind === "copy" ? "copy" : ownNames.models.join(" ")]),
  );

const W = [4, 4];
const MASK = [1, 1, 8, 8];

describe("names", () => {
  it("are the base's, whatever prefix, spelling and wrapper the models have", async () => {
    const base = await model("base", { "h.0.attn.w": W, "h.0.LayerNorm.gamma": [4], "wte.weight": [9, 4] });
    const one = await model("one", {
      "transformer.wte.weight": [9, 4],
      "transformer.h.0.attn.w": W,
      "transformer.h.0.LayerNorm.weight": [4],
    });
    const two = await model("two", {
      "module._orig_mod.wte.weight": [9, 4],
      "module._orig_mod.h.0.attn.w": W,
      "module._orig_mod.h.0.LayerNorm.gamma": [4],
    });
    const found = await plan([one, two], base);
    expect(named(found)).toEqual({
      "h.0.attn.w": "transformer.h.0.attn.w module._orig_mod.h.0.attn.w",
      "h.0.LayerNorm.gamma": "transformer.h.0.LayerNorm.weight module._orig_mod.h.0.LayerNorm.gamma",
      "wte.weight": "transformer.wte.weight module._orig_mod.wte.weight",
    });
    expect(found.notices).toEqual([
      expect.stringMatching(
        /^model \d+-one has other prefixes of names than the base \d+-base: "transformer\." for ""$/,
      ),
    ]);
    // Wrappers of the first are not in the result, which could not be loaded with them.
    expect(Object.keys(named(await plan([two, one])))).toEqual(["h.0.LayerNorm.gamma", "h.0.attn.w", "wte.weight"]);
  });

  it("of a tower are in a whole model, of which the rest is kept and said", async () => {
    const tower = { "embeddings.w": W, "encoder.layers.0.w": W };
    const whole = Object.fromEntries([
      ...Object.entries(tower).map(([name, shape]) => [`vision_model.${name}`, shape]),
      ["text_model.encoder.layers.0.w", W],
      ["text_model.final.w", W],
      ["logit_scale", []],
    ]);
    const base = await model("clip", whole);
    const found = await plan([await model("tower", tower), await model("tower", tower)], base);
    expect(named(found)).toMatchObject({
      "vision_model.encoder.layers.0.w": "encoder.layers.0.w encoder.layers.0.w",
      "text_model.encoder.layers.0.w": "copy",
      logit_scale: "copy",
    });
    expect(found.notices.at(-1)).toMatch(
      /^kept from the base \d+-clip, as no other model has them: 3 tensors \(logit_scale, text_model\.encoder\.layers\.0\.w, text_model\.final\.w\)$/,
    );
    const back = await plan([base], await model("tower", tower));
    expect(back.notices.at(-1)).toMatch(
      /^not merged, as the base \d+-tower does not have them: 3 tensors \(.*\) of model \d+-clip$/,
    );
  });
});

it("derived tensors are the base's, or left out where it has none, and both is said", async () => {
  const plain = { "h.0.attn.w": W, "h.1.attn.w": W };
  const buffers = {
    "h.0.attn.bias": MASK,
    "h.0.attn.masked_bias": [],
    "rotary_emb.inv_freq": [2],
    position_ids: [1, 4],
  };
  const [without, having] = [await model("plain", plain), await model("masks", { ...plain, ...buffers })];
  const found = await plan([without], having);
  expect(named(found)).toEqual({
    ...{ "h.0.attn.w": "h.0.attn.w", "h.1.attn.w": "h.1.attn.w" },
    ...{ "h.0.attn.bias": "copy", "h.0.attn.masked_bias": "copy", "rotary_emb.inv_freq": "copy", position_ids: "copy" },
  });
  expect(found.notices).toEqual([
    expect.stringMatching(
      /^copied from the base \d+-masks, as they follow from its config: 4 tensors \(.* and 1 more\)$/,
    ),
  ]);
  const back = await plan([having], without);
  expect(Object.keys(named(back))).toEqual(["h.0.attn.w", "h.1.attn.w"]);
  expect(back.notices[0]).toMatch(/^not merged, as the base \d+-plain does not have them: 4 tensors/);
});

describe("tied heads", () => {
  const BODY = { "model.embed_tokens.weight": [9, 4], "model.layers.0.w": W };
  const own = { ...BODY, "lm_head.weight": [9, 4] };

  it.each([
    ["tied first", true, undefined],
    ["tied second", false, undefined],
    ["tied as base", true, "base"],
    ["tied against a base with its own", false, "base"],
  ])("%s: the head is the table of words, and the result is not tied", async (_name, isTiedFirst, base) => {
    const tied = await model("tied", BODY, { tie_word_embeddings: true });
    const untied = await model("own", own, { tie_word_embeddings: false });
    const order = isTiedFirst ? [tied, untied] : [untied, tied];
    const found = base === undefined ? await plan(order) : await plan(order.slice(1), order[0]);
    const head = found.jobs.find(({ name }) => name === "lm_head.weight");
    const names = [head?.ownNames.pattern, ...(head?.ownNames.models ?? [])].slice(base === undefined ? 1 : 0);
    const wanted = ["model.embed_tokens.weight", "lm_head.weight"];
    expect(names).toEqual(isTiedFirst ? wanted : wanted.toReversed());
    expect(found.configChanges).toEqual(isTiedFirst ? { tie_word_embeddings: false } : {});
    expect(found.notices.at(-1)).toMatch(
      /^lm_head\.weight is not tied in the result; of \d+-tied it is what it is tied to; config\.json says tie_word_embeddings false$/,
    );
  });

  it("a second copy of the table is no head of its own", async () => {
    const path = await model("copy", BODY);
    const words = new Float32Array(36).fill(1);
    const tensors = [
      { name: "model.embed_tokens.weight", shape: [9, 4], dtype: "F32", data: words },
      { name: "lm_head.weight", shape: [9, 4], dtype: "F32", data: words },
      { name: "model.layers.0.w", shape: W, dtype: "F32", data: new Float32Array(16) },
    ];
    await writeSafetensors(join(path, "model.safetensors"), tensors);
    const tied = await model("tied", BODY);
    const found = await plan([tied, path]);
    expect(Object.keys(named(found))).toEqual(["model.embed_tokens.weight", "model.layers.0.w"]);
    expect(found.configChanges).toEqual({});
    expect(found.notices).toEqual([
      expect.stringMatching(/^left out of model \d+-copy, as they repeat others: 1 tensor \(lm_head\.weight\)$/),
    ]);
    expect((await plan([path, tied])).configChanges).toEqual({});
  });

  it("a model without head that says it has one of its own keeps the base's", async () => {
    const headless = await model("headless", BODY, { tie_word_embeddings: false });
    const base = await model("own", own, { tie_word_embeddings: false });
    expect(named(await plan([headless], base))["lm_head.weight"]).toBe("copy");
  });

  it("the merged model has the mean of both, and a config that says so", async () => {
    const tied = await model("tied", BODY, { tie_word_embeddings: true }, 1);
    const untied = await model("own", own, { tie_word_embeddings: false }, 5);
    const output = join(folder, "merged");
    const lines: string[] = [];
    await mergeModels(await readMergeFile(await fileOf([tied, untied])), output, {
      overwrite: false,
      signal: new AbortController().signal,
      log: (line) => lines.push(line),
      onProgress: () => {},
    });
    const [one, two] = [await openCheckpoint(tied), await openCheckpoint(untied)];
    const words = await one.readFloat32("model.embed_tokens.weight");
    const head = await two.readFloat32("lm_head.weight");
    const merged = await (await openCheckpoint(output)).readFloat32("lm_head.weight");
    expect([...merged]).toEqual([...head].map((value, at) => (value + (words[at] ?? 0)) / 2));
    expect(JSON.parse(await readFile(join(output, "config.json"), "utf8"))).toMatchObject({
      tie_word_embeddings: false,
    });
    expect(lines).toEqual([expect.stringMatching(/^notice: lm_head\.weight is not tied in the result/)]);
  });
});

describe("refused, with the tensor and the model", () => {
  const BLOCKS = { "layers.0.w": W, "layers.1.w": W, "norm.w": [4] };
  it.each<readonly [string, Tensors, RegExp]>([
    [
      "a block less",
      { "layers.0.w": W, "norm.w": [4] },
      /expected a tensor layers\.1\.w in model \d+-other, as in the base, found none/,
    ],
    [
      "a block more",
      { ...BLOCKS, "layers.2.w": W },
      /tensor layers\.2\.w: expected in the blocks of model \d+-other what those of the base have, found one more/,
    ],
    ["a bias more", { ...BLOCKS, "layers.0.bias": [4] }, /tensor layers\.0\.bias: expected in the blocks/],
    [
      "another architecture",
      { "blocks.0.attn.qkv": W, "norm.w": [4] },
      /expected in model \d+-other tensors of the base, such as "layers\.0\.w", found 2 others, such as "blocks\.0\.attn\.qkv"/,
    ],
    [
      "two copies of a model",
      Object.fromEntries(
        ["a.", "b."].flatMap((front) => Object.entries(BLOCKS).map(([name, shape]) => [front + name, shape] as const)),
      ),
      /expected one tensor for "layers\.0\.w", found two: "a\.layers\.0\.w" and "b\.layers\.0\.w"/,
    ],
    [
      "two names of one tensor",
      { ...BLOCKS, "layers.0._orig_mod.w": W },
      /expected one tensor for "layers\.0\.w", found two: "layers\.0\._orig_mod\.w" and "layers\.0\.w"/,
    ],
    [
      "another width",
      { ...BLOCKS, "norm.w": [5] },
      /tensor norm\.w: expected shape \[4\], as in the base, found \[5\]/,
    ],
  ])("%s", async (_name, tensors, message) => {
    const base = await model("base", BLOCKS);
    await expect(plan([await model("other", tensors)], base)).rejects.toThrow(message);
  });

  it("a head that only some models have", async () => {
    const base = await model("base", { ...BLOCKS, "score.weight": [2, 4] });
    const [having, without] = [await model("has", { ...BLOCKS, "score.weight": [2, 4] }), await model("not", BLOCKS)];
    await expect(plan([having, without], base)).rejects.toThrow(
      /expected a tensor score\.weight in model \d+-not, as in the base, found none/,
    );
  });
});
