/**
 * The image processors of transformers that are known, by the beginning of `image_processor_type`: what each does where
 * its file does not say. Their slow, fast and torchvision variants do the same to an image, up to the rounding of a
 * resize.
 * Source: transformers 4 and 5, models/{clip,vit,deit,bit}/image_processing_*.py; DINOv2 comes with BiT's.
 */
import { DataError } from "../../errors.js";
import { quote } from "../../runtime/printable.js";

export interface Processor {
  /**
   * What a size that is one number means; where it is absent: the shortest edge if images are cropped, else a square.
   */
  readonly numberMeans?: "square" | "shortest-edge";
  /** Values of keys that are absent or null. */
  readonly defaults: {
    readonly size?: { height: number; width: number } | { shortest_edge: number };
    readonly resample?: number;
    readonly do_center_crop?: boolean;
    readonly crop_size?: { height: number; width: number };
    readonly image_mean?: [number, number, number];
    readonly image_std?: [number, number, number];
  };
}

const square = (side: number) => ({ height: side, width: side });
/** IMAGENET_STANDARD_MEAN and _STD; published files with other values say so. */
const half: { image_mean: [number, number, number]; image_std: [number, number, number] } = {
  image_mean: [0.5, 0.5, 0.5],
  image_std: [0.5, 0.5, 0.5],
};

const processors: ReadonlyMap<string, Processor> = new Map<string, Processor>([
  ["CLIP", { defaults: {} }],
  ["ViT", { numberMeans: "square", defaults: { size: square(224), resample: 2, do_center_crop: false, ...half } }],
  [
    "DeiT",
    {
      numberMeans: "square",
      defaults: { size: square(256), resample: 3, do_center_crop: true, crop_size: square(224), ...half },
    },
  ],
  [
    "Bit",
    {
      numberMeans: "shortest-edge",
      defaults: {
        ...{ size: { shortest_edge: 224 }, resample: 3, do_center_crop: true, crop_size: square(224) },
        image_mean: [0.48145466, 0.4578275, 0.40821073],
        image_std: [0.26862954, 0.26130258, 0.27577711],
      },
    },
  ],
]);
const VARIANT = /^(.+?)(?:ImageProcessor(?:Fast|Pil)?|FeatureExtractor)$/;

/**
 * The processor of a file that names it, or one of CLIP's kind where the file does not. Throws DataError for one that
 * is not known.
 */
export function processorOf(type: string | null | undefined, where: string): Processor {
  const found = processors.get(type == null ? "CLIP" : (VARIANT.exec(type)?.[1] ?? type));
  if (found !== undefined) return found;
  const known = [...processors.keys()].map((name) => `${name}ImageProcessor`).join(", ");
  throw new DataError(
    `${where}: image_processor_type: expected one of ${known} (or its Fast variant), found ${quote(type ?? "")}. What another one does to images is not known: describe its steps as one of these, with size, resample and crop_size`,
  );
}
