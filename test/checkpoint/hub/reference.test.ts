import { describe, expect, it } from "vitest";
import { formatUri, parseReference, parseUri, shownReference } from "../../../src/checkpoint/hub/reference.js";
import { hubSettings } from "../../../src/checkpoint/hub/settings.js";

describe("parseReference", () => {
  it.each([
    ["openai/clip-vit-base-patch32", "openai/clip-vit-base-patch32", "main"],
    ["tanganke/clip-vit-base-patch32_sun397@v1.0", "tanganke/clip-vit-base-patch32_sun397", "v1.0"],
    ["hf://a/b", "a/b", "main"],
    ["a/b@refs/convert/parquet", "a/b", "refs/convert/parquet"],
    [`a/b@${"0f".repeat(20)}`, "a/b", "0f".repeat(20)],
  ])("reads %s", (text, id, revision) => {
    const reference = parseReference(text, "model");
    expect(reference).toEqual({ type: "model", id, revision });
    expect(parseUri(reference === undefined ? "" : formatUri(reference))).toEqual(reference);
  });

  it.each([
    "base",
    "./experts/mnist",
    "../a/b",
    "/a/b",
    "a/b/c",
    "a/",
    "a//b",
    "a/..",
    "a/b..c",
    "a/b--c",
    ".a/b",
    "a/b.",
    "a/b.git",
    "a\\b/c",
    "a/b@",
    "a/b@../x",
    "a/b@x/../y",
    "a/b@/x",
    "a/b@x@y",
    "a b/c",
    "a/b?x",
    `a/${"b".repeat(96)}`,
    "hf://a",
    "https://huggingface.co/a/b",
    "",
  ])("refuses %s", (text) => expect(parseReference(text, "model")).toBeUndefined());

  it("keeps models and data sets apart", () => {
    const dataset = parseReference("a/b@v1", "dataset");
    expect(dataset && formatUri(dataset)).toBe("hf://datasets/a/b@v1");
    expect(parseUri("hf://datasets/a/b@v1")).toEqual({ type: "dataset", id: "a/b", revision: "v1" });
    expect(parseReference("hf://datasets/a/b", "model")).toBeUndefined();
    expect(parseUri("/some/path")).toBeUndefined();
    expect(shownReference({ type: "model", id: "a/b", revision: "main" })).toBe("a/b");
  });
});

describe("hubSettings", () => {
  const settings = (env: Record<string, string>) => hubSettings({ env, homeDir: "/home/x", cwd: "/work" });

  it("takes the places of Hugging Face's own tools", () => {
    expect(settings({})).toEqual({
      endpoint: "https://huggingface.co",
      cacheDir: "/home/x/.cache/huggingface/hub",
      token: undefined,
      tokenPath: "/home/x/.cache/huggingface/token",
      offline: false,
    });
    expect(settings({ XDG_CACHE_HOME: "/c" }).cacheDir).toBe("/c/huggingface/hub");
    expect(settings({ HF_HOME: "~/hf" })).toMatchObject({ cacheDir: "/home/x/hf/hub", tokenPath: "/home/x/hf/token" });
    expect(settings({ HF_HOME: "/h", HF_HUB_CACHE: "here" }).cacheDir).toBe("/work/here");
    expect(settings({ HF_ENDPOINT: "http://mirror:8080/" }).endpoint).toBe("http://mirror:8080");
    expect(settings({ HF_TOKEN: " hf_x\n" }).token).toBe("hf_x");
    expect(settings({ HF_TOKEN: "hf_x", HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" }).token).toBeUndefined();
  });

  it.each(["1", "on", "YES", "true"])("HF_HUB_OFFLINE=%s is offline", (value) =>
    expect(settings({ HF_HUB_OFFLINE: value }).offline).toBe(true),
  );

  it("refuses what cannot be, without showing a token", () => {
    expect(settings({ HF_HUB_OFFLINE: "0" }).offline).toBe(false);
    expect(() => settings({ HF_ENDPOINT: "huggingface.co" })).toThrow("HF_ENDPOINT: expected the address of a hub");
    expect(() => settings({ HF_ENDPOINT: "file:///x" })).toThrow("HF_ENDPOINT");
    expect(() => settings({ HF_TOKEN: "two words" })).toThrow(/^HF_TOKEN: expected an access token.*other characters$/);
  });
});
