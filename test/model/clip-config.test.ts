import { describe, expect, it } from "vitest";
import { parseClipConfig } from "../../src/model/clip-config.js";
import { clipVisionTensors } from "../../src/model/clip-vision.js";

const parameters = (json: unknown): number =>
  clipVisionTensors(parseClipConfig(json, "config.json"))
    .filter(({ name }) => name !== "visual_projection.weight")
    .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);

describe("published towers by their config.json", () => {
  it("ViT-B/32 has 87,456,000 parameters, as published", () => expect(parameters({ patch_size: 32 })).toBe(87_456_000));
  it("ViT-L/14 has 303,179,776", () => {
    const large = {
      hidden_size: 1024,
      num_hidden_layers: 24,
      num_attention_heads: 16,
      intermediate_size: 4096,
      patch_size: 14,
    };
    expect(parameters(large)).toBe(303_179_776);
  });
  it("takes vision_config and projection_dim of a whole CLIPModel", () => {
    const config = parseClipConfig(
      { projection_dim: 768, vision_config: { hidden_size: 24, num_attention_heads: 4 } },
      "c",
    );
    expect(config).toMatchObject({ hiddenSize: 24, heads: 4, projectionSize: 768, layers: 12 });
  });
});

it("names file, key and what was expected", () => {
  expect(() => parseClipConfig({ hidden_size: "wide", hidden_act: "relu" }, "base/config.json")).toThrow(
    /base\/config\.json: not the config\.json of a CLIP vision tower: hidden_size: .*hidden_act: /,
  );
  expect(() => parseClipConfig({ hidden_size: 30, num_attention_heads: 4 }, "c")).toThrow(
    /hidden_size: expected a multiple of/,
  );
});
