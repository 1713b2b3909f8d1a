/**
 * Anchors: pretraining images whose features an expert shall keep while it learns its task (feature distillation, Li & Hoiem 2016,
 * arXiv:1606.09282). A large model fine-tuned gently keeps its zero-shot accuracy elsewhere by itself (Ilharco et al. 2023,
 * figure 1 of arXiv:2212.04089, "control tasks"); a tower of a million weights forgets, unless it is held. A images, E features.
 */
import { type ClipVisionConfig, createRng, type Engine, type FineTuneAnchors } from "../../../dist/internal.js";
import { drawImages, towerFeatures } from "./prototypes.js";
import { readRawPixels } from "./raw-pixels.js";

export interface AnchorOptions {
  readonly pixelsDir: string;
  readonly sources: readonly string[];
  readonly perSource: number;
  readonly images: number;
  readonly weight: number;
  readonly seed: number;
}

/** Draws the anchors and computes what the base makes of them. */
export async function makeAnchors(
  engine: Engine,
  config: ClipVisionConfig,
  base: ReadonlyMap<string, Float32Array>,
  { pixelsDir, sources, perSource, images, weight, seed }: AnchorOptions,
): Promise<FineTuneAnchors> {
  const size = config.imageSize ** 2 * config.channels;
  const width = config.projectionSize;
  const pool: { image: Uint8Array; feature: Float32Array }[] = [];
  for (const source of sources) {
    const pixels = drawImages(await readRawPixels(pixelsDir, source), perSource, seed);
    const features = await towerFeatures(engine, config, base, pixels);
    for (let row = 0; row < pixels.count; row++)
      pool.push({
        image: pixels.images.subarray(row * size, (row + 1) * size),
        feature: features.subarray(row * width, (row + 1) * width),
      });
  }
  return {
    examplesPerStep: images,
    weight,
    at: (step) => {
      const rng = createRng(seed, "anchors", step);
      const batch = { images: new Uint8Array(images * size), features: new Float32Array(images * width) };
      for (let index = 0; index < images; index++) {
        const drawn = pool[rng.nextInt(pool.length)];
        if (drawn === undefined) throw new Error("no anchors");
        batch.images.set(drawn.image, index * size);
        batch.features.set(drawn.feature, index * width);
      }
      return { examples: new Map([["images", batch.images]]), features: batch.features };
    },
  };
}
