/** Text models of this folder's fixtures, without the encoders of their texts: the fixtures have tokens. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type TextFamily, textModelOf } from "../../src/model/bert/text-families.js";
import type { FeatureChoice, Model } from "../../src/model/family.js";
import { CONFORMANCE } from "./fixture.js";

/** The model of a folder, relative to this one. */
export async function readTextModel(folder: string, family: TextFamily, features: FeatureChoice): Promise<Model> {
  const file = join(CONFORMANCE, folder, "config.json");
  return textModelOf(family, family.parse(JSON.parse(await readFile(file, "utf8")), file), features, file);
}
