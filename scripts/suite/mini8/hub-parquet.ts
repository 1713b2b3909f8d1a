/**
 * Writes images in the layout of the Hugging Face hub: data/<split>-00000-of-00001.parquet with the columns
 * image = struct{bytes, path} and label = int64, and the feature types as JSON under the key "huggingface", which
 * is where Python's `datasets` looks for class names. Every image is checked to decode to the same pixels.
 */
import { join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import sharp from "sharp";
import { decodeImage } from "../../../src/data/image/decode-image.js";
import { assert } from "../../../src/errors.js";
import { writeFileAtomic } from "../../../src/runtime/atomic-file.js";
import { IMAGE_SIDE, type LabelledImage } from "./labelled-images.js";
import { SHIPPED_SPLITS, type TaskSplits } from "./splits.js";

/** Strongest compression that sharp offers; it costs nothing at 32 x 32. */
const PNG_LEVEL = 9;

/** Writes the shipped splits of a task under `folder` and returns the bytes of the three files together. */
export async function writeHubParquet(task: TaskSplits, folder: string): Promise<number> {
  let total = 0;
  for (const split of SHIPPED_SPLITS) {
    const images: { bytes: Uint8Array; path: string }[] = [];
    for (const image of task[split]) images.push({ bytes: await encodePng(image), path: image.origin });
    const labels = task[split].map(({ label }) => label);
    const file = hubParquet(images, labels, [{ key: "huggingface", value: featuresJson(task.classes) }]);
    await writeFileAtomic(join(folder, "data", `${split}-00000-of-00001.parquet`), file);
    total += file.byteLength;
  }
  return total;
}

/** A file of the columns image and label, as the hub has them. */
export function hubParquet(
  images: readonly { readonly bytes: Uint8Array; readonly path: string }[],
  labels: readonly number[],
  kvMetadata: { key: string; value: string }[] = [],
): Uint8Array {
  return new Uint8Array(
    parquetWriteBuffer({
      columnData: [
        { name: "image", data: [...images] },
        { name: "label", data: BigInt64Array.from(labels, BigInt) },
      ],
      schema: [
        { name: "root", num_children: 2 },
        { name: "image", num_children: 2, repetition_type: "OPTIONAL" },
        { name: "bytes", type: "BYTE_ARRAY", repetition_type: "OPTIONAL" },
        { name: "path", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" },
        { name: "label", type: "INT64", repetition_type: "OPTIONAL" },
      ],
      kvMetadata,
      // Encoded images do not compress further, and statistics of their bytes help nobody.
      codec: "UNCOMPRESSED",
      statistics: false,
    }),
  );
}

function featuresJson(classes: readonly string[]): string {
  const features = { image: { _type: "Image" }, label: { names: classes, _type: "ClassLabel" } };
  return JSON.stringify({ info: { features } });
}

/** The smallest of grey, palette and true-colour PNG that decodes to exactly the same RGB. */
async function encodePng(image: LabelledImage): Promise<Uint8Array> {
  const source = () => sharp(image.pixelsHWC, { raw: { width: IMAGE_SIDE, height: IMAGE_SIDE, channels: 3 } });
  const candidates: Uint8Array[] = [];
  for (const adaptiveFiltering of [false, true]) {
    const options = { compressionLevel: PNG_LEVEL, adaptiveFiltering };
    candidates.push(await source().png(options).toBuffer());
    if (isGrey(image.pixelsHWC)) candidates.push(await source().toColourspace("b-w").png(options).toBuffer());
  }
  // Quantising is lossy in general, and exact for most images of few colours.
  candidates.push(
    await source().png({ compressionLevel: PNG_LEVEL, palette: true, quality: 100, dither: 0 }).toBuffer(),
  );
  candidates.sort((a, b) => a.byteLength - b.byteLength);
  for (const png of candidates) {
    const { pixelsHWC } = await decodeImage(png, image.origin);
    if (Buffer.compare(pixelsHWC, image.pixelsHWC) === 0) return png;
  }
  assert(false, `no lossless PNG of ${image.origin}`);
}

function isGrey(pixelsHWC: Uint8Array): boolean {
  for (let at = 0; at < pixelsHWC.byteLength; at += 3) {
    if (pixelsHWC[at] !== pixelsHWC[at + 1] || pixelsHWC[at] !== pixelsHWC[at + 2]) return false;
  }
  return true;
}
