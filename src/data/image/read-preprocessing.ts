/**
 * The preprocessing of images in a model's folder: preprocessor_config.json or, as a processor of transformers 5 saves
 * it together with a tokenizer, processor_config.json.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { MAX_CONFIG_BYTES } from "../../checkpoint/checkpoint.js";
import { parseConfig } from "../../checkpoint/config-text.js";
import { CheckpointError } from "../../errors.js";
import { readText } from "../../runtime/regular-file.js";
import { type Preprocessing, parsePreprocessing } from "./preprocessing.js";

const PREPROCESSOR = "preprocessor_config.json";
const PROCESSOR = "processor_config.json";

/**
 * `imageSize` is the side of the only images that the model takes; one that takes images of any size gives none. Throws
 * CheckpointError for a file that is missing or of images of another size, and DataError for one that is not
 * understood.
 */
export async function readPreprocessing(folder: string, imageSize?: number): Promise<Preprocessing> {
  const [own, whole] = [join(folder, PREPROCESSOR), join(folder, PROCESSOR)];
  const file = !existsSync(own) && existsSync(whole) ? whole : own;
  const json = parseConfig(await readText(file, "the preprocessing of the base", MAX_CONFIG_BYTES), file);
  const isNested = file === whole && typeof json === "object" && json !== null && "image_processor" in json;
  const parsed = parsePreprocessing(isNested ? json.image_processor : json, file);
  if (imageSize === undefined || (parsed.height === imageSize && parsed.width === imageSize)) return parsed;
  throw new CheckpointError(
    `${file}: expected images of ${imageSize}x${imageSize} (image_size of config.json), found ${parsed.width}x${parsed.height}`,
  );
}
