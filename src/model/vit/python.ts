/**
 * Image features of ViT, DeiT and DINOv2 by transformers, for model cards. The slow processor is Pillow's, to which
 * preprocessing here is equal.
 */
import type { Pooling, PythonFeatures, PythonRequest } from "../family.js";

/** `front`: tokens before the patches. `hasPooler`: its class has one, which would be made anew where the files have none. */
export function vitPython(
  { pooling, normalized }: PythonRequest["features"],
  { front, hasPooler }: { readonly front: number; readonly hasPooler: boolean },
): PythonFeatures {
  const without = hasPooler && pooling !== "pooler" ? ", add_pooling_layer=False" : "";
  return {
    library: "transformers",
    imports: ["import torch", "from transformers import AutoImageProcessor, AutoModel"],
    lines: [
      "processor = AutoImageProcessor.from_pretrained(folder, use_fast=False)",
      `model = AutoModel.from_pretrained(folder${without})`,
      "with torch.inference_mode():",
      '    out = model(**processor(images, return_tensors="pt"))',
      `features = ${pooled(pooling, front)}`,
      ...(normalized ? ["features = torch.nn.functional.normalize(features, dim=-1)"] : []),
    ],
  };
}

function pooled(pooling: Pooling, front: number): string {
  const first = "out.last_hidden_state[:, 0]";
  const patches = `out.last_hidden_state[:, ${front}:].mean(1)`;
  if (pooling === "pooler") return "out.pooler_output";
  if (pooling === "mean") return patches;
  return pooling === "cls_mean" ? `torch.cat([${first}, ${patches}], -1)` : first;
}
