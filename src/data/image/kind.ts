/** Images as a kind of examples: encoded files, in folders, archives and parquet columns; manifests name them by their paths. */
import sharp from "sharp";
import { DataError } from "../../errors.js";
import type { ExampleKind } from "../kind.js";
import { decodeImage } from "./decode-image.js";
import { isImageExtension } from "./image-formats.js";

/** Longest side of an image in a report: some 10 KB each. */
const PREVIEW_SIDE = 96;

export const imageKind: ExampleKind = {
  name: "image",
  one: "image",
  some: "an image",
  many: "images",
  files: {
    hasExtension: isImageExtension,
    formats: "png, jpg, webp, gif, tif, bmp, ppm, pgm, pbm",
    pattern: "*.png|jpg|webp|gif|tif|bmp|ppm",
    // The largest that decode (some 180 million pixels of 4 channels of 16 bits, uncompressed) fit in.
    maxBytes: 1_500_000_000,
    fromBytes: (bytes) => bytes,
    mayLieBesideClasses: false,
  },
  columns: {
    option: "image_column",
    inManifests: "paths",
    usualInManifests: ["path"],
    usualInParquet: ["image", "img"],
    near: "path image images img file files filename filepath imagepath imagefile imagename imgpath imgfile imgname picture photo".split(
      " ",
    ),
    nearLabels: [],
    pairs: [],
    feature: "Image",
    holding: "bytes",
    // A path and a class name are far shorter.
    maxRowLength: 100_000,
  },
  countKey: "images",
  card: {
    classification: "image-classification",
    encoding: "image-feature-extraction",
    python: {
      imports: ["from PIL import Image"],
      packages: ["pillow"],
      variable: "images",
      pipelineOptions: [],
      line: 'images = [Image.open("photo.jpg").convert("RGB")]',
    },
    typescript: '{ files: ["photo.jpg"] }',
  },
  fromValue: (value, where) => {
    const bytes = typeof value === "object" && value !== null && "bytes" in value ? value.bytes : value;
    if (bytes instanceof Uint8Array) return bytes;
    const found = bytes == null ? "none (null)" : `a ${typeof bytes}`;
    throw new DataError(
      `${where}: expected the bytes of an image, found ${found}; store the images inside the parquet file`,
    );
  },
  content: async (encoded, where, exifOrientation) => {
    const { width, height, pixelsHWC } = await decodeImage(encoded, where, exifOrientation);
    return [`${width} x ${height};`, pixelsHWC];
  },
  preview: async (encoded, where, exifOrientation) => {
    const { width, height, pixelsHWC } = await decodeImage(encoded, where, exifOrientation);
    const picture = sharp(pixelsHWC, { raw: { width, height, channels: 3 } });
    const side = PREVIEW_SIDE;
    return {
      kind: "picture",
      png: await picture.resize(side, side, { fit: "inside", withoutEnlargement: true }).png().toBuffer(),
    };
  },
};
