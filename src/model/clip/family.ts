/** CLIP's vision tower as a family: the files of a folder to a model and the encoder of its images. */
import { join } from "node:path";
import { imageEncoder } from "../../data/image/pixels.js";
import { readPreprocessing } from "../../data/image/read-preprocessing.js";
import type { ModelFamily } from "../family.js";
import { NOT_NORMALISED } from "../patches.js";
import { parseClipConfig } from "./config.js";
import { clipLayerOrders } from "./layer-orders.js";
import { clipVisionLayout } from "./layout.js";
import { clipPython } from "./python.js";
import { savedClip } from "./saved.js";
import { openClipTexts } from "./text-tower.js";
import { clipVisionModel } from "./vision-model.js";

const CONFIG = "config.json";

export const clipFamily: ModelFamily = {
  name: "clip",
  title: "CLIP vision tower",
  kind: "image",
  modelTypes: ["clip", "clip_vision_model"],
  layout: clipVisionLayout,
  poolings: ["projection"],
  classifiers: [],
  otherClassifiers: new Map([["CLIPForImageClassification", "the mean of the patches, without the projection"]]),
  open: async ({ config: json, folder }) => {
    const config = parseClipConfig(json, join(folder, CONFIG));
    const preprocessing = await readPreprocessing(folder, config.imageSize);
    return { model: clipVisionModel(config, preprocessing), encoder: imageEncoder(preprocessing) };
  },
  saved: savedClip,
  python: () => clipPython,
  // The prompt of Radford et al. 2021, section 3.1.4, and the scale at the end of that training.
  texts: { prompt: "a photo of a {}.", logitScale: 100, open: openClipTexts },
  // Of the experts that model merging is measured with (Ilharco et al. 2023, appendix B).
  fineTuning: { learningRate: 1e-5, loraLearningRate: 1e-4 },
  layerOrders: clipLayerOrders,
  tensors: (json, where) => clipVisionModel(parseClipConfig(json, where), NOT_NORMALISED).tensors,
};
