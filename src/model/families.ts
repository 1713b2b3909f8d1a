/** The registry of model families. Adding one: a folder beside the others and a line here. */

import { nearest } from "../config/nearest.js";
import { CheckpointError } from "../errors.js";
import { quote } from "../runtime/printable.js";
import { bertFamily, distilbertFamily, robertaFamily } from "./bert/family.js";
import { clipFamily } from "./clip/family.js";
import type { ModelFamily } from "./family.js";
import { deitFamily, dinov2Family, vitFamily } from "./vit/family.js";

const families: readonly ModelFamily[] = [
  clipFamily,
  vitFamily,
  deitFamily,
  dinov2Family,
  bertFamily,
  robertaFamily,
  distilbertFamily,
];

/**
 * The family of a model by the `model_type` of its config.json, which stands at `where`; the first one for files that do not say, as those of
 * open_clip. Throws CheckpointError for a type that no family has.
 */
export function familyOf(config: unknown, where: string): ModelFamily {
  const type = typeof config === "object" && config !== null && "model_type" in config ? config.model_type : undefined;
  const [fallback = clipFamily] = families;
  if (typeof type !== "string") return fallback;
  const found = families.find(({ modelTypes }) => modelTypes.includes(type));
  if (found !== undefined) return found;
  const known = families.flatMap(({ modelTypes }) => modelTypes);
  const close = nearest(type, known);
  throw new CheckpointError(
    `${where}: expected a model of one of the types ${known.join(", ")} (model_type of config.json), found ${quote(type)}${close === undefined ? "" : `; is ${close} meant?`} Coefficients are learned for these; \`adamerge merge\` with a merge file merges any model`,
  );
}
