/**
 * The image preprocessing that comes with a checkpoint (preprocessor_config.json), and its pixel part: decode,
 * resize, centre crop to uint8. Scaling and normalisation only parse here; they run inside the compiled graph.
 * Parity: transformers' processors of CLIP, ViT, DeiT and BiT (processors.ts), with PIL. H, W, C height, width, channels.
 */
import { z } from "zod";
import { explainIssue } from "../../config/issues.js";
import { DataError } from "../../errors.js";
import { decodeImage } from "./decode-image.js";
import { type Processor, processorOf } from "./processors.js";
import { type ResampleFilter, type RgbImage, resample, type Size } from "./resample.js";

/** preprocessor_config.json as arithmetic: from a decoded image to the values that a model is given. */
export interface Preprocessing {
  /** `shortest-edge` keeps the aspect ratio, `exact` does not; undefined when images are not resized. */
  readonly resize:
    | { readonly kind: "shortest-edge"; readonly edge: number }
    | ({ readonly kind: "exact" } & Size)
    | undefined;
  readonly crop: Size | undefined;
  readonly filter: ResampleFilter;
  /** Pixels of every image after resize and crop. */
  readonly height: number;
  readonly width: number;
  /** A channel becomes (value * rescaleFactor - mean) / std; 1, 0 and 1 where the file switches a part off. */
  readonly rescaleFactor: number;
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** PIL's numbers of the filters that are supported. */
const filters = new Map<number, ResampleFilter>([
  [0, "nearest"],
  [2, "bilinear"],
  [3, "bicubic"],
]);

/** More pixels per side than any published tower takes: larger is a slip, and would exhaust the memory. */
const MAX_SIDE_PIXELS = 8192;

const side = z.int().min(1).max(MAX_SIDE_PIXELS);
const exactSize = z.object({ height: side, width: side });
const perChannel = z.tuple([z.number(), z.number(), z.number()]);
const positivePerChannel = z.tuple([z.number().positive(), z.number().positive(), z.number().positive()]);

/** Not strict: these files carry many keys that concern other libraries. Those that change pixels in other ways must be off. */
const fileSchema = z.object({
  image_processor_type: z.string().nullish(),
  feature_extractor_type: z.string().nullish(),
  do_pad: z.literal(false).nullish(),
  do_thumbnail: z.literal(false).nullish(),
  do_align_long_axis: z.literal(false).nullish(),
  do_flip_channel_order: z.literal(false).nullish(),
  do_resize: z.boolean().nullish(),
  size: z.union([side, exactSize, z.object({ shortest_edge: side, longest_edge: z.undefined().optional() })]).nullish(),
  resample: z.int().nullish(),
  do_center_crop: z.boolean().nullish(),
  crop_size: z.union([side, exactSize]).nullish(),
  do_rescale: z.boolean().nullish(),
  rescale_factor: z.number().positive().nullish(),
  do_normalize: z.boolean().nullish(),
  image_mean: perChannel.nullish(),
  image_std: positivePerChannel.nullish(),
});

type PreprocessorFile = z.infer<typeof fileSchema>;

/**
 * Reads the parsed JSON of a preprocessor_config.json; `where` is the file, for errors. Absent `do_*` keys mean
 * true as in transformers, but cropping, where the processor does not say, only when `crop_size` is there. Throws DataError with every problem found.
 */
export function parsePreprocessing(json: unknown, where: string): Preprocessing {
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => explain(issue, json));
    throw new DataError(problems.map((problem) => `${where}: ${problem}`).join("\n"));
  }
  const processor = processorOf(parsed.data.image_processor_type ?? parsed.data.feature_extractor_type, where);
  const said = Object.entries(parsed.data).filter(([, value]) => value !== null && value !== undefined);
  const file: PreprocessorFile = { ...processor.defaults, ...Object.fromEntries(said) };
  const filter = filters.get(file.resample ?? 3);
  if (filter === undefined)
    throw new DataError(
      `${where}: resample: expected 0 (nearest), 2 (bilinear) or 3 (bicubic), found ${file.resample}`,
    );
  const crop = cropOf(file, where);
  const resize = resizeOf(file, crop, processor, where);
  return { resize, crop, filter, ...outputSize(file, resize, crop, where), ...scaling(file, where) };
}

function explain(issue: z.core.$ZodIssue, json: unknown): string {
  const path = issue.path.map(String).join(".");
  if (issue.code !== "invalid_union") return `${path === "" ? "" : `${path}: `}${explainIssue(issue, json)}`;
  const found = JSON.stringify(typeof json === "object" && json !== null ? Reflect.get(json, path) : json);
  const edge = path === "size" ? ", { shortest_edge } without longest_edge" : "";
  return `${path}: expected a number of pixels (1 to ${MAX_SIDE_PIXELS})${edge} or { height, width }, found ${found}`;
}

function cropOf(file: PreprocessorFile, where: string): Size | undefined {
  if (!(file.do_center_crop ?? file.crop_size != null)) return undefined;
  if (file.crop_size == null)
    throw new DataError(`${where}: crop_size: expected a size because do_center_crop is true, found none`);
  return typeof file.crop_size === "number" ? { height: file.crop_size, width: file.crop_size } : file.crop_size;
}

function resizeOf(
  file: PreprocessorFile,
  crop: Size | undefined,
  { numberMeans }: Processor,
  where: string,
): Preprocessing["resize"] {
  if (file.do_resize === false) return undefined;
  if (file.size == null)
    throw new DataError(`${where}: size: expected a size because do_resize is not false, found none`);
  // Files without a type: the shortest edge to processors that crop (CLIP), a square to those that do not (ViT).
  if (typeof file.size === "number") {
    const isSquare = numberMeans === undefined ? crop === undefined : numberMeans === "square";
    return isSquare
      ? { kind: "exact", height: file.size, width: file.size }
      : { kind: "shortest-edge", edge: file.size };
  }
  if ("shortest_edge" in file.size) return { kind: "shortest-edge", edge: file.size.shortest_edge };
  return { kind: "exact", ...file.size };
}

function outputSize(
  file: PreprocessorFile,
  resize: Preprocessing["resize"],
  crop: Size | undefined,
  where: string,
): Size {
  if (crop !== undefined) return crop;
  if (resize?.kind === "exact") return { height: resize.height, width: resize.width };
  if (resize === undefined && file.size != null) {
    if (typeof file.size === "number") return { height: file.size, width: file.size };
    if ("height" in file.size) return file.size;
  }
  throw new DataError(
    `${where}: expected images of one size, found neither a centre crop nor a { height, width } size; ` +
      "set do_center_crop and crop_size, or size to { height, width }",
  );
}

function scaling(file: PreprocessorFile, where: string): Pick<Preprocessing, "rescaleFactor" | "mean" | "std"> {
  const rescaleFactor = file.do_rescale === false ? 1 : (file.rescale_factor ?? 1 / 255);
  if (file.do_normalize === false) return { rescaleFactor, mean: [0, 0, 0], std: [1, 1, 1] };
  if (file.image_mean == null || file.image_std == null) {
    const missing = file.image_mean == null ? "image_mean" : "image_std";
    throw new DataError(`${where}: ${missing}: expected 3 numbers because do_normalize is not false, found none`);
  }
  return { rescaleFactor, mean: file.image_mean, std: file.image_std };
}

/**
 * Pixels [height, width, 3] (uint8 RGB) that the tower sees of one image, given encoded or decoded. An image already
 * of the target size keeps its exact bytes; where the crop is larger than the image the rest is black, as in
 * transformers. Throws DataError (beginning with `where`) when it does not decode or has no way to the target size.
 */
export async function toPixels(
  encodedOrRaw: Uint8Array | RgbImage,
  preprocessing: Preprocessing,
  where = "image",
): Promise<Uint8Array> {
  const image = encodedOrRaw instanceof Uint8Array ? await decodeImage(encodedOrRaw, where) : encodedOrRaw;
  const size = resizedSize(image, preprocessing);
  if (
    preprocessing.crop === undefined &&
    (size.height !== preprocessing.height || size.width !== preprocessing.width)
  ) {
    throw new DataError(
      `${where}: expected ${preprocessing.width} x ${preprocessing.height} pixels because the checkpoint's ` +
        `preprocessing does not resize, found ${size.width} x ${size.height}; resize the data set or set do_resize`,
    );
  }
  return cropCentre(image, size, preprocessing);
}

/** transformers' get_resize_output_image_size: the long edge is truncated, not rounded. */
function resizedSize(image: Size, { resize }: Preprocessing): Size {
  if (resize === undefined) return { height: image.height, width: image.width };
  if (resize.kind === "exact") return resize;
  const { height, width } = image;
  const long = Math.trunc((resize.edge * Math.max(height, width)) / Math.min(height, width));
  return height <= width ? { height: resize.edge, width: long } : { height: long, width: resize.edge };
}

/** The crop of the resized image. Offsets are floored as in transformers' center_crop (torchvision rounds). */
function cropCentre(image: RgbImage, size: Size, { height, width, filter }: Preprocessing): Uint8Array {
  const top = Math.floor((size.height - height) / 2);
  const left = Math.floor((size.width - width) / 2);
  const window = {
    top: Math.max(0, top),
    left: Math.max(0, left),
    height: Math.min(height, size.height),
    width: Math.min(width, size.width),
  };
  const visible = resample(image, size, filter, window);
  if (window.height === height && window.width === width) return visible;
  const padded = new Uint8Array(height * width * 3);
  for (let row = 0; row < window.height; row++) {
    const target = ((row + window.top - top) * width + window.left - left) * 3;
    padded.set(visible.subarray(row * window.width * 3, (row + 1) * window.width * 3), target);
  }
  return padded;
}
