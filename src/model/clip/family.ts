/** CLIP's vision tower as a family: the files of a folder to a model and the encoder of its images. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { imageEncoder } from "../../data/pixels.js";
import { type Preprocessing, parsePreprocessing } from "../../data/preprocessing.js";
import { CheckpointError } from "../../errors.js";
import type { ModelFamily } from "../family.js";
import { type ClipVisionConfig, parseClipConfig } from "./config.js";
import type { Normalization } from "./vision.js";
import { clipVisionModel } from "./vision-model.js";

const CONFIG = "config.json";
const PREPROCESSOR = "preprocessor_config.json";

export const clipFamily: ModelFamily = {
  name: "clip",
  title: "CLIP vision tower",
  kind: "image",
  modelTypes: ["clip", "clip_vision_model"],
  open: async ({ config: json, folder }) => {
    const config = parseClipConfig(json, join(folder, CONFIG));
    const preprocessing = await readPreprocessing(join(folder, PREPROCESSOR), config);
    return { model: clipVisionModel(config, preprocessing), encoder: imageEncoder(preprocessing) };
  },
  tensors: (json, where) => clipVisionModel(parseClipConfig(json, where), NOT_NORMALISED).tensors,
};

/** For a model of which only the tensors are asked. */
const NOT_NORMALISED: Normalization = { rescaleFactor: 1, mean: [0, 0, 0], std: [1, 1, 1] };

/** preprocessor_config.json, checked against the tower. */
async function readPreprocessing(file: string, tower: ClipVisionConfig): Promise<Preprocessing> {
  const parsed = parsePreprocessing(await readJson(file), file);
  if (parsed.height === tower.imageSize && parsed.width === tower.imageSize) return parsed;
  throw new CheckpointError(
    `${file}: expected images of ${tower.imageSize}x${tower.imageSize} (image_size of config.json), found ${parsed.width}x${parsed.height}`,
  );
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError(`${file}: expected a JSON file (${reason}); copy it from the base model`, { cause });
  }
}
