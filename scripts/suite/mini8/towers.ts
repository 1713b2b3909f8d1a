/**
 * The towers of the shipped suites: their config.json and preprocessor_config.json, their initial weights, and reading and
 * writing them as Hugging Face directories in float16. W width, E features of the projection.
 */
import {
  type ClipVisionConfig,
  clipVisionTensors,
  createRng,
  openCheckpoint,
  parseClipConfig,
  saveCheckpoint,
} from "../../../dist/internal.js";

/** The normalisation of the shipped towers: levels 0..255 to -1..1. */
export const NORMALIZATION = { rescaleFactor: 1 / 255, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const;

export interface TowerSize {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly patch: number;
  readonly features: number;
}

export interface Tower {
  readonly configJson: Readonly<Record<string, unknown>>;
  readonly config: ClipVisionConfig;
}

const IMAGE_SIDE = 32;

const PREPROCESSOR_JSON = {
  image_processor_type: "CLIPImageProcessor",
  do_resize: true,
  size: { shortest_edge: IMAGE_SIDE },
  resample: 3,
  do_center_crop: true,
  crop_size: { height: IMAGE_SIDE, width: IMAGE_SIDE },
  do_rescale: true,
  rescale_factor: NORMALIZATION.rescaleFactor,
  do_normalize: true,
  image_mean: NORMALIZATION.mean,
  image_std: NORMALIZATION.std,
};

/** A CLIP vision tower with projection for images of 32 x 32. */
export function towerOf({ width, layers, heads, patch, features }: TowerSize): Tower {
  const configJson = {
    architectures: ["CLIPVisionModelWithProjection"],
    model_type: "clip_vision_model",
    hidden_size: width,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    intermediate_size: 4 * width,
    image_size: IMAGE_SIDE,
    patch_size: patch,
    num_channels: 3,
    projection_dim: features,
    hidden_act: "quick_gelu",
    layer_norm_eps: 1e-5,
  };
  return { configJson, config: parseClipConfig(configJson, "the suite's tower") };
}

/** Normal initialisation as in CLIP (Radford et al. 2021): 0.02 for embeddings, width^-0.5 scaled for matrices. */
export function initialWeights(config: ClipVisionConfig, seed: number): Map<string, Float32Array> {
  return new Map(
    clipVisionTensors(config).map(({ name, shape }) => {
      const size = shape.reduce((a, b) => a * b, 1);
      const rng = createRng(seed, "init", name);
      if (/norm\d?\.weight$|layrnorm\.weight$/.test(name)) return [name, new Float32Array(size).fill(1)];
      if (name.endsWith(".bias")) return [name, new Float32Array(size)];
      const fanIn = shape.slice(1).reduce((a, b) => a * b, 1);
      const residual = /out_proj|fc2/.test(name) ? (2 * config.layers) ** -0.5 : 1;
      const deviation = name.includes("embedding") && !name.includes("patch") ? 0.02 : residual * fanIn ** -0.5;
      return [name, Float32Array.from({ length: size }, () => deviation * rng.nextNormal())];
    }),
  );
}

/** Writes a Hugging Face directory with float16 weights. */
export async function saveTower(
  directory: string,
  { configJson, config }: Tower,
  weights: ReadonlyMap<string, Float32Array>,
): Promise<void> {
  await saveCheckpoint(directory, {
    config: configJson,
    preprocessor: PREPROCESSOR_JSON,
    specs: clipVisionTensors(config).map(({ name, shape }) => ({ name, shape, dtype: "F16" })),
    data: (name) => {
      const values = weights.get(name);
      if (values === undefined) throw new Error(`${directory}: no weights for ${name}`);
      return values;
    },
    replace: true,
  });
}

/** The weights as the shipped float16 file has them, so that heads and experts start from exactly what ships. */
export async function loadTower(directory: string, config: ClipVisionConfig): Promise<Map<string, Float32Array>> {
  const checkpoint = await openCheckpoint(directory);
  const weights = new Map<string, Float32Array>();
  for (const { name } of clipVisionTensors(config)) weights.set(name, await checkpoint.readFloat32(name));
  return weights;
}
