/**
 * Which images of a data set are the same: by their bytes, and where it matters by their pixels, since one picture can lie in two formats.
 * What divides a data set asks, so that no image is learned from in one part and judged in the other.
 */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { decodeImage } from "./image/decode-image.js";
import type { Dataset } from "./readers/dataset-reader.js";
import { presentFile } from "./readers/file-names.js";

/** As many as are decoded at once elsewhere (pixels.ts): the threads of Node's pool. */
const CONCURRENCY = 4;

/** For each image the first that has the same bytes: itself where there is none before. Files are read only where their sizes are equal. */
export async function firstsByBytes(dataset: Dataset, signal?: AbortSignal): Promise<Int32Array> {
  const sizes = await fileSizes(dataset);
  const counts = new Map<number, number>();
  for (const size of sizes ?? []) counts.set(size, (counts.get(size) ?? 0) + 1);
  const firsts = Int32Array.from({ length: dataset.size }, (_, index) => index);
  const known = new Map<string, number>();
  for (let index = 0; index < dataset.size; index++) {
    signal?.throwIfAborted();
    if (sizes !== undefined && counts.get(sizes[index] ?? 0) === 1) continue;
    firsts[index] = firstOf(
      known,
      createHash("sha256")
        .update(await dataset.encoded(index))
        .digest("base64"),
      index,
    );
  }
  return firsts;
}

/** The same by pixels, where bytes differ too: every image is decoded. Throws DataError for one that cannot be. */
export async function firstsByPixels(dataset: Dataset, signal?: AbortSignal): Promise<Int32Array> {
  const byBytes = await firstsByBytes(dataset, signal);
  const digests = new Array<string>(dataset.size);
  let next = 0;
  const work = async () => {
    while (next < dataset.size) {
      const index = next++;
      signal?.throwIfAborted();
      if (byBytes[index] !== index) continue;
      const encoded = await dataset.encoded(index);
      const image = await decodeImage(encoded, dataset.locate(index), dataset.exifOrientation);
      const size = `${image.width} x ${image.height};`;
      digests[index] = createHash("sha256").update(size).update(image.pixelsHWC).digest("base64");
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
  const known = new Map<string, number>();
  const firsts = new Int32Array(dataset.size);
  for (const [index, first] of byBytes.entries())
    firsts[index] = first === index ? firstOf(known, digests[index] ?? "", index) : (firsts[first] ?? first);
  return firsts;
}

/** The sentence about images that repeat others; none without such. */
export function repeatNotices(place: string, firsts: Int32Array, labels: Int32Array | undefined): readonly string[] {
  const repeats = [...firsts.keys()].filter((index) => firsts[index] !== index);
  if (repeats.length === 0) return [];
  const others = repeats.filter((index) => labels !== undefined && labels[index] !== labels[firsts[index] ?? index]);
  const contrary = others.length === 0 ? "" : `; ${others.length} of them with another label`;
  return [
    `${place}: ${repeats.length} of ${firsts.length} images are the same as one before${contrary}: they stay in one split`,
  ];
}

function firstOf(known: Map<string, number>, digest: string, index: number): number {
  const first = known.get(digest) ?? index;
  known.set(digest, first);
  return first;
}

/** Undefined where images have no files of their own, or one is not there: reading it says so. */
async function fileSizes({ files }: Dataset): Promise<readonly number[] | undefined> {
  if (files === undefined) return undefined;
  const sizes: number[] = [];
  for (const file of files) {
    const found = await stat((await presentFile(file)) ?? file).catch(() => undefined);
    if (found === undefined) return undefined;
    sizes.push(found.size);
  }
  return sizes;
}
