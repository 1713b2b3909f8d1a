/** CLIP models in open_clip's layout against open_clip itself: the files that people have, as base and as expert (make-open-clip.py). */
import { copyFile, cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Checkpoint, saveCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { compareCheckpoints } from "../../src/checkpoint/preflight.js";
import { writeSafetensors } from "../../src/checkpoint/safetensors.js";
import { createTfjsEngine } from "../../src/engine/tfjs-engine.js";
import { clipVisionLayout } from "../../src/model/clip/layout.js";
import { clipVisionTensors } from "../../src/model/clip/vision.js";
import { openBase, openExpert } from "../../src/model/open-models.js";
import { relativeError } from "../support/random.js";
import { CONFORMANCE, readFixture } from "./fixture.js";
import { towerConfig } from "./problem.js";
import { towerFeatures } from "./tower-features.js";

const FOLDER = join(CONFORMANCE, "open-clip");
const FILES = ["whole.pt", "encoder.pt", "tower.safetensors"];
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "open-clip-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const tensors = async () => clipVisionTensors(await towerConfig("open-clip"));

describe("the tower equals open_clip's", () => {
  it.each(FILES)("%s", async (name) => {
    const base = await openBase(join(FOLDER, name));
    expect(base.config).toMatchObject({ model_type: "clip_vision_model" });
    expect([...base.tensors.keys()].toSorted()).toEqual((await tensors()).map((tensor) => tensor.name).toSorted());
    const found = await towerFeatures("open-clip", base.readFloat32, await createTfjsEngine("cpu"));
    const expected = (await readFixture("open-clip/fixture.safetensors")).floats("features_f64");
    expect(relativeError(found, expected)).toBeLessThan(1e-5);
  });

  it("the file of a Hugging Face folder", async () => {
    const path = join(folder, "hugging-face");
    await mkdir(path);
    await copyFile(join(FOLDER, "whole.pt"), join(path, "pytorch_model.bin"));
    await copyFile(join(FOLDER, "config.json"), join(path, "config.json"));
    const base = await openBase(path);
    const found = await towerFeatures("open-clip", base.readFloat32, await createTfjsEngine("cpu"));
    const expected = (await readFixture("open-clip/fixture.safetensors")).floats("features_f64");
    expect(relativeError(found, expected)).toBeLessThan(1e-5);
  });
});

describe("as an expert", () => {
  /** The base in the layout of transformers, one value of it moved. */
  async function saved(name: string, moved: boolean): Promise<Checkpoint> {
    const base = await openBase(join(FOLDER, "whole.pt"));
    const path = join(folder, name);
    await saveCheckpoint(path, {
      config: base.config,
      specs: (await tensors()).map((tensor) => ({ ...tensor, dtype: "F32" })),
      data: async (tensor) => {
        const values = await base.readFloat32(tensor);
        return moved ? values.map((value) => value * 1.01) : values;
      },
    });
    return openBase(path);
  }

  it.each(FILES)("%s has the contents of the same model of transformers", async (name) => {
    const [same, moved] = [await saved(`same-${name}`, false), await saved(`moved-${name}`, true)];
    const expert = { task: "a", checkpoint: await openExpert(join(FOLDER, name), same) };
    const problems = await compareCheckpoints(same, [expert], await tensors(), clipVisionLayout);
    expect(problems.map(({ kind, found }) => [kind, found])).toEqual([["identical", "the same values as the base"]]);
    expect(await compareCheckpoints(moved, [expert], await tensors(), clipVisionLayout)).toEqual([]);
  });

  it("of another size is told with the names in its file", async () => {
    const path = join(folder, "other.safetensors");
    const filled = (name: string, shape: number[]) => ({
      ...{ name, shape, dtype: "F32" },
      data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.5),
    });
    const prefix = "visual.transformer.resblocks.0.attn.in_proj";
    await writeSafetensors(path, [
      filled("visual.conv1.weight", [8, 3, 8, 8]),
      filled("visual.class_embedding", [8]),
      filled(`${prefix}_weight`, [24, 8]),
      filled(`${prefix}_bias`, [25]),
      filled("visual.transformer.resblocks.0.ls_1.gamma", [8]),
      filled("logit_scale", []),
    ]);
    const base = await openBase(join(FOLDER, "whole.pt"));
    const expert = { task: "a", checkpoint: await openExpert(path, base) };
    const problems = await compareCheckpoints(base, [expert], await tensors(), clipVisionLayout);
    const about = (tensor: string) => problems.filter((problem) => problem.tensor === tensor).map(({ found }) => found);
    expect(about(`${prefix}_weight`)).toEqual(["[8, 8]", "[8, 8]", "[8, 8]"]);
    expect(about(`${prefix}_bias`)).toEqual(["one it has not"]);
    expect(about("visual.transformer.resblocks.0.ls_1.gamma")).toEqual(["one it has not"]);
    expect(about("logit_scale")).toEqual([]);
  });

  it("with a tensor in both layouts is refused", async () => {
    const path = join(folder, "both.safetensors");
    const one = (name: string) => ({ name, shape: [1], dtype: "F32", data: Float32Array.of(1) });
    const names = ["conv1.weight", "class_embedding", "transformer.resblocks.0.attn.in_proj_weight"];
    const other = "vision_model.embeddings.class_embedding";
    await writeSafetensors(path, [...names.map((name) => one(`visual.${name}`)), one(other)]);
    await expect(openBase(path)).rejects.toThrow(
      /expected one tensor for "vision_model\.embeddings\.class_embedding", found two: "v.*" and "v.*"\. Remove one/,
    );
  });
});

it("a base that is a file needs a config.json beside it", async () => {
  const alone = join(folder, "alone");
  await mkdir(alone);
  await cp(join(FOLDER, "whole.pt"), join(alone, "zeroshot.pt"));
  expect((await openBase(join(alone, "zeroshot.pt"))).config).toBeUndefined();
  await writeFile(join(alone, "config.json"), "{");
  await expect(openBase(join(alone, "zeroshot.pt"))).rejects.toThrow(/config.json: expected JSON/);
});
