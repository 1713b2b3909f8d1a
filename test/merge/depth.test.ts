/** Depth of tensors in models of one stack of blocks and of several. */
import { describe, expect, it } from "vitest";
import { blockPlace, tensorPlaces } from "../../src/merge/depth.js";
import { groupTensors } from "../../src/merge/groups.js";
import { mergeMethods } from "../../src/merge/methods/registry.js";

const depths = (names: readonly string[]) => tensorPlaces(names).map(({ depth }) => depth);

describe("depth of tensors", () => {
  it("goes from 0 to 1 over the blocks, and is 0 outside of them", () => {
    const names = [
      "wte.weight",
      "h.0.attn.weight",
      "h.1.attn.weight",
      "h.2.attn.weight",
      "h.4.attn.weight",
      "ln_f.bias",
    ];
    expect(depths(names)).toEqual([0, 0, 0.25, 0.5, 1, 0]);
  });

  it("is 1 in a stack of one block", () => {
    expect(depths(["model.layers.0.w", "norm.w"])).toEqual([1, 0]);
  });

  it.each([
    ["encoder and decoder of T5", "encoder.block.N.layer.0.q.weight", "decoder.block.N.layer.1.q.weight"],
    ["encoder and decoder of BART", "model.encoder.layers.N.fc1.weight", "model.decoder.layers.N.fc1.weight"],
    ["text and vision of CLIP", "text_model.encoder.layers.N.w", "vision_model.encoder.layers.N.w"],
    ["vision and text of a model that sees", "model.visual.blocks.N.w", "model.language_model.layers.N.w"],
    ["text and vision of open_clip", "transformer.resblocks.N.w", "visual.transformer.resblocks.N.w"],
  ])("goes from 0 to 1 in each stack: %s", (_name, first, second) => {
    const blocks = (pattern: string, count: number) =>
      Array.from({ length: count }, (_, block) => pattern.replace("N", String(block)));
    expect(depths([...blocks(first, 5), ...blocks(second, 3), "norm.weight"])).toEqual([
      0, 0.25, 0.5, 0.75, 1, 0, 0.5, 1, 0,
    ]);
  });

  it("is that of the outermost list where lists are in one another", () => {
    expect(blockPlace("encoder.layers.1.blocks.7.w")).toEqual({ stack: "encoder.layers", block: 1 });
    expect(blockPlace("encoder.stages.2.layers.0.w")).toEqual({ stack: "encoder.stages", block: 2 });
    expect(blockPlace("model.layers.3.mlp.experts.60.w")).toEqual({ stack: "model.layers", block: 3 });
    expect(blockPlace("classifier.0.weight")).toBeUndefined();
  });
});

it("LiNeS scales the last block of every stack by alpha + beta", async () => {
  const names = ["encoder.block.0.w", "encoder.block.3.w", "decoder.block.0.w", "decoder.block.1.w", "shared.w"];
  const tensors = names.map((name) => ({ name, shape: [1], size: 1 }));
  const read = async (tensor: (typeof tensors)[number]) => ({
    tensor,
    from: 0,
    baseN: Float32Array.of(0),
    taskVectors: [Float32Array.of(1)],
  });
  const source = { tasks: ["one"], tensors, read, readExpert: async () => Float32Array.of(1) };
  const lines = mergeMethods.get("lines");
  const merge = await lines?.prepare({ source, seed: 0, pieceElements: 8 }, { alpha: 0.25, beta: 0.5 });
  const merged: (number | undefined)[] = [];
  for (const tensor of tensors) merged.push((await merge?.(await read(tensor)))?.[0]);
  expect(merged).toEqual([0.25, 0.75, 0.25, 0.75, 0.25]);
});

it("block-wise groups of two stacks are not shared", () => {
  const options = { granularity: "block-wise", groups: [], shareQkv: false } as const;
  const tensors = ["encoder.block.0.w", "encoder.block.1.w", "decoder.block.0.w"].map((name) => {
    const { stack, block } = blockPlace(name) ?? expect.fail(name);
    return { name, stack, block, part: "block" } as const;
  });
  expect(groupTensors(tensors, options).groups).toEqual(["encoder.block.0", "encoder.block.1", "decoder.block.0"]);
  const alone = tensors.slice(0, 2).map(({ stack: _, ...tensor }) => tensor);
  expect(groupTensors(alone, options).groups).toEqual(["block.0", "block.1"]);
});
