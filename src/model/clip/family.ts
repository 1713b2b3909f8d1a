/** CLIP's vision tower as a family: the files of a folder to a model and the encoder of its images. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { MAX_CONFIG_BYTES } from "../../checkpoint/checkpoint.js";
import { parseConfig } from "../../checkpoint/config-text.js";
import { imageEncoder } from "../../data/image/pixels.js";
import { type Preprocessing, parsePreprocessing } from "../../data/image/preprocessing.js";
import { CheckpointError } from "../../errors.js";
import { readText } from "../../runtime/regular-file.js";
import type { ModelFamily } from "../family.js";
import { type ClipVisionConfig, parseClipConfig } from "./config.js";
import { clipLayerOrders } from "./layer-orders.js";
import { clipVisionLayout } from "./layout.js";
import { savedClip } from "./saved.js";
import { openClipTexts } from "./text-tower.js";
import type { Normalization } from "./vision.js";
import { clipVisionModel } from "./vision-model.js";

const CONFIG = "config.json";
const PREPROCESSOR = "preprocessor_config.json";
const PROCESSOR = "processor_config.json";

export const clipFamily: ModelFamily = {
  name: "clip",
  title: "CLIP vision tower",
  kind: "image",
  modelTypes: ["clip", "clip_vision_model"],
  layout: clipVisionLayout,
  poolings: ["projection"],
  classifiers: [],
  open: async ({ config: json, folder }) => {
    const config = parseClipConfig(json, join(folder, CONFIG));
    const preprocessing = await readPreprocessing(folder, config);
    return { model: clipVisionModel(config, preprocessing), encoder: imageEncoder(preprocessing) };
  },
  saved: savedClip,
  // The prompt of Radford et al. 2021, section 3.1.4, and the scale at the end of that training.
  texts: { prompt: "a photo of a {}.", logitScale: 100, open: openClipTexts },
  layerOrders: clipLayerOrders,
  tensors: (json, where) => clipVisionModel(parseClipConfig(json, where), NOT_NORMALISED).tensors,
};

/** For a model of which only the tensors are asked. */
const NOT_NORMALISED: Normalization = { rescaleFactor: 1, mean: [0, 0, 0], std: [1, 1, 1] };

/**
 * The preprocessing beside the base, checked against the tower: preprocessor_config.json or, as a CLIPProcessor of transformers 5 saves it,
 * processor_config.json.
 */
async function readPreprocessing(folder: string, tower: ClipVisionConfig): Promise<Preprocessing> {
  const [own, whole] = [join(folder, PREPROCESSOR), join(folder, PROCESSOR)];
  const file = !existsSync(own) && existsSync(whole) ? whole : own;
  const json = parseConfig(await readText(file, "the preprocessing of the base", MAX_CONFIG_BYTES), file);
  const isNested = file === whole && typeof json === "object" && json !== null && "image_processor" in json;
  const parsed = parsePreprocessing(isNested ? json.image_processor : json, file);
  if (parsed.height === tower.imageSize && parsed.width === tower.imageSize) return parsed;
  throw new CheckpointError(
    `${file}: expected images of ${tower.imageSize}x${tower.imageSize} (image_size of config.json), found ${parsed.width}x${parsed.height}`,
  );
}
