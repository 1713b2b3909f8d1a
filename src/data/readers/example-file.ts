/** The bytes of an image that lies in a file of its own, named by a folder or by a row of a manifest. */
import { DataError } from "../../errors.js";
import { readBytes } from "../../runtime/regular-file.js";

/** The largest that decode (some 180 million pixels of 4 channels of 16 bits, uncompressed) fit in. */
const MAX_IMAGE_BYTES = 1_500_000_000;

/** Throws DataError that names the file for one that is missing, no regular one, or too large. */
export function readImageFile(path: string): Promise<Uint8Array> {
  return readBytes(path, "an image", MAX_IMAGE_BYTES, DataError);
}
