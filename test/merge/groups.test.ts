import { describe, expect, it } from "vitest";
import { type Granularity, groupTensors } from "../../src/merge/groups.js";
import { parseClipConfig } from "../../src/model/clip/config.js";
import { clipVisionTensors } from "../../src/model/clip/vision.js";

const config = parseClipConfig({ num_hidden_layers: 12, hidden_size: 768 }, "config.json");
const tensors = clipVisionTensors(config);
const group = (
  granularity: Granularity,
  extra: { shareQkv?: boolean; groups?: { name: string; match: string[] }[] } = {},
) => groupTensors(tensors, { granularity, groups: extra.groups ?? [], shareQkv: extra.shareQkv ?? false });

describe("granularities of CLIP ViT-B/32", () => {
  it("task-wise is one group", () => {
    expect(group("task-wise").groups).toEqual(["all"]);
  });

  it("block-wise is embeddings, twelve blocks and output", () => {
    const { groups, groupOf } = group("block-wise");
    expect(groups).toEqual(["embeddings", ...Array.from({ length: 12 }, (_, index) => `block.${index}`), "output"]);
    expect(groupOf.filter((index) => index === 1)).toHaveLength(16);
  });

  it("layer-wise is one per tensor: 199 of the tower, as FusionBench counts, and the projection", () => {
    expect(group("layer-wise").groups).toHaveLength(200);
  });

  it("share_qkv leaves the paper's 152 vision rows", () => {
    // Official: 158 rows, of which 6 belong to the text tower; open_clip fuses q, k and v (weight and bias) into one row each.
    expect(group("layer-wise", { shareQkv: true }).groups).toHaveLength(158 - 6);
  });

  it("patterns: the first group wins and the others form rest", () => {
    const { groups, groupOf } = group("groups", {
      groups: [
        { name: "norms", match: ["*norm?.weight", "*norm?.bias"] },
        { name: "mlp", match: ["*.mlp.*"] },
      ],
    });
    expect(groups).toEqual(["rest", "norms", "mlp"]);
    const of = (name: string) => groups[groupOf[tensors.findIndex((tensor) => tensor.name === name)] ?? -1];
    expect(of("vision_model.encoder.layers.3.layer_norm1.bias")).toBe("norms");
    expect(of("vision_model.encoder.layers.3.mlp.fc2.bias")).toBe("mlp");
    expect(of("visual_projection.weight")).toBe("rest");
  });

  it("a pattern that takes nothing is an error, and a dot is a dot", () => {
    expect(() => group("groups", { groups: [{ name: "typo", match: ["*.mlpx*"] }] })).toThrow(
      /the group typo \(\*\.mlpx\*\) takes no tensor/,
    );
    expect(() => group("groups", { groups: [{ name: "dots", match: ["vision_model.encoder-layers.*"] }] })).toThrow(
      /dots/,
    );
  });
});
