/** CLIP's image features by transformers, for model cards. The slow processor is Pillow's, to which preprocessing here is equal. */
import type { PythonFeatures } from "../family.js";

export const clipPython: PythonFeatures = {
  library: "transformers",
  imports: ["import torch", "from transformers import AutoImageProcessor, CLIPVisionModelWithProjection"],
  lines: [
    "processor = AutoImageProcessor.from_pretrained(folder, use_fast=False)",
    "model = CLIPVisionModelWithProjection.from_pretrained(folder)",
    "with torch.inference_mode():",
    '    features = model(**processor(images, return_tensors="pt")).image_embeds',
    "features = torch.nn.functional.normalize(features, dim=-1)",
  ],
};
