import { describe, expect, it } from "vitest";
import { parseClipConfig, parseClipTextConfig } from "../../../src/model/clip/config.js";
import { clipTextTensors, tokenTable } from "../../../src/model/clip/text.js";
import { clipVisionTensors } from "../../../src/model/clip/vision.js";

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

describe("text towers", () => {
  const widths = (config: ReturnType<typeof parseClipTextConfig>) => [config.hiddenSize, config.projectionSize];

  it("have the published numbers of parameters", () => {
    const count = (json: object) => {
      const config = parseClipTextConfig(json, "c");
      return [tokenTable(config), ...clipTextTensors(config)].reduce(
        (sum, { shape }) => sum + shape.reduce((a, b) => a * b),
        0,
      );
    };
    // CLIPTextModel's 63,165,952 and 123,060,480, and the projection.
    expect(count({})).toBe(63_165_952 + 512 * 512);
    const large = { hidden_size: 768, num_attention_heads: 12, intermediate_size: 3072, projection_dim: 768 };
    expect(count(large)).toBe(123_060_480 + 768 * 768);
  });

  it("are read from a whole CLIPModel, whose projection counts, and alone", () => {
    const text_config = { hidden_size: 24, num_attention_heads: 4, projection_dim: 5, eos_token_id: 2 };
    const whole = parseClipTextConfig({ projection_dim: 768, text_config }, "c");
    expect(widths(whole)).toEqual([24, 768]);
    expect(whole).toMatchObject({ layers: 12, contextLength: 77, vocabularySize: 49408, endToken: 2 });
    expect(widths(parseClipTextConfig(text_config, "c"))).toEqual([24, 5]);
  });

  it("name file, key and what was expected", () => {
    expect(() => parseClipTextConfig({ vocab_size: "many" }, "base/config.json")).toThrow(
      /base\/config\.json: not the config\.json of a CLIP text tower: vocab_size: /,
    );
    expect(() => parseClipTextConfig(undefined, "c")).toThrow("c: expected the config.json of a CLIP model");
    expect(() => parseClipTextConfig({ hidden_size: 30 }, "c")).toThrow(/hidden_size: expected a multiple of/);
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
