/** The training pixels that make-data.ts leaves under .work/pixels: raw uint8 NHWC images with labels. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

export interface RawPixels {
  readonly name: string;
  readonly classes: readonly string[];
  readonly count: number;
  /** uint8 [count, 32, 32, 3]. */
  readonly images: Uint8Array;
  readonly labels: ArrayLike<number>;
}

const schema = z.object({
  name: z.string(),
  classes: z.array(z.string()),
  count: z.int().min(1),
  height: z.literal(32),
  width: z.literal(32),
  channels: z.literal(3),
});

/** Reads `<folder>/<name>-train.{json,images.bin,labels.bin}`. */
export async function readRawPixels(folder: string, name: string): Promise<RawPixels> {
  const info = schema.parse(JSON.parse(await readFile(join(folder, `${name}-train.json`), "utf8")));
  const images = await readFile(join(folder, `${name}-train.images.bin`));
  const bytes = await readFile(join(folder, `${name}-train.labels.bin`));
  if (images.length !== info.count * 32 * 32 * 3)
    throw new Error(`${name}: ${images.length} bytes of images for ${info.count}`);
  const labels = bytes.length === info.count ? bytes : new Int32Array(Uint8Array.from(bytes).buffer);
  if (labels.length !== info.count) throw new Error(`${name}: ${labels.length} labels for ${info.count} images`);
  return { name: info.name, classes: info.classes, count: info.count, images, labels };
}
