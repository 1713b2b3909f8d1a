/**
 * The config.json of a vision tower that is saved without the rest of its model. Source: transformers, configuration_clip.py.
 */
import { type ConfigChange, configTextAt, editConfig, parseConfig } from "../../checkpoint/config-text.js";
import { DTYPE_KEYS, valueAt } from "../../checkpoint/saved-config.js";
import { CheckpointError } from "../../errors.js";

/**
 * The config of the vision tower alone, from that of a whole CLIP model: where the file has no text tower, the whole model's config would let
 * transformers make one up. The text is the tower's, with the size of the projection, which the whole model's own key decides.
 */
export function visionTowerConfig(text: string, where: string): string {
  const whole = parseConfig(text, where);
  const tower = configTextAt(text, ["vision_config"], where);
  if (tower === undefined || !tower.startsWith("{"))
    throw new CheckpointError(`${where}: expected a vision_config, found none. Use the config.json of a CLIP model.`);
  const [size, ...dtypes] = ["projection_dim", ...DTYPE_KEYS].map((key) => valueAt(whole, key));
  const changes: ConfigChange[] = [
    { path: ["architectures"], value: ["CLIPVisionModelWithProjection"] },
    { path: ["model_type"], value: "clip_vision_model" },
    ...(typeof size === "number" ? [{ path: ["projection_dim"], value: size }] : []),
    ...dtypes.flatMap((dtype, index) =>
      typeof dtype === "string" ? [{ path: [DTYPE_KEYS[index] ?? ""], value: dtype }] : [],
    ),
  ];
  return `${editConfig(outdented(tower), changes, where)}\n`;
}

/** Lines of JSON begin with blanks of its layout alone: strings have no line breaks. */
function outdented(text: string): string {
  const indent = /\n([ \t]*)\}$/.exec(text)?.[1] ?? "";
  return indent === "" ? text : text.replaceAll(`\n${indent}`, "\n");
}
