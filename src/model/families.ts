/** The registry of model families. Adding one: a folder beside `clip/` and a line here. */
import { clipFamily } from "./clip/family.js";
import type { ModelFamily } from "./family.js";

const families: readonly ModelFamily[] = [clipFamily];

/** The family of a model by the `model_type` of its config.json; the first one for files that do not say, as those of open_clip. */
export function familyOf(config: unknown): ModelFamily {
  const type = typeof config === "object" && config !== null && "model_type" in config ? config.model_type : undefined;
  return families.find(({ modelTypes }) => modelTypes.some((name) => name === type)) ?? clipFamily;
}
