/**
 * Decoded images of one size, one after another, in memory or in a file of the pixel cache. A split of CLIP's benchmarks has gigabytes:
 * in a file it costs no memory of the process, and the system keeps in its page cache what is read again.
 */
import { DataError } from "../../errors.js";
import { readAt, reopen } from "../../runtime/open-files.js";

export interface ImageRows {
  /** Writes image `index`, uint8 [H, W, C], into `target` at `offset`. Throws DataError when its file is gone. */
  copy(index: number, target: Uint8Array, offset: number): void;
}

/** `pixels` is [N, H, W, C]. */
export function rowsInMemory(pixels: Uint8Array, imageBytes: number): ImageRows {
  return {
    copy: (index, target, offset) => target.set(pixels.subarray(index * imageBytes, (index + 1) * imageBytes), offset),
  };
}

/** The file begins with the images and does not change; it is opened, so that it may be deleted. */
export function rowsInFile(path: string, imageBytes: number): ImageRows {
  reopen(path);
  return {
    copy: (index, target, offset) => {
      const image = target.subarray(offset, offset + imageBytes);
      let reason = "it ends before that image";
      try {
        if (readAt(path, image, index * imageBytes) === imageBytes) return;
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
      }
      throw new DataError(
        `${path}: expected the decoded image ${index} in the cache, as when the run began, found that ${reason}; start again (a fit with --resume), images are decoded anew`,
      );
    },
  };
}
