/**
 * Adapters of the features before they are learned (representation surgery, Yang et al. 2024, arXiv:2402.02705): `up` is 0, so that they change nothing
 * yet, and `down` is drawn as torch.nn.Linear draws it, uniform in +-1/sqrt(E). The official code draws both. E features, I the rank.
 */
import { ConfigError } from "../errors.js";
import { createRng } from "../runtime/rng.js";
import type { Head } from "./heads.js";

/** The heads, each with an adapter of its own. Throws ConfigError for a head that has one, or a rank above the features. */
export function withAdapters(heads: readonly Head[], rank: number, seed: number): Head[] {
  return heads.map((head): Head => {
    const { task, featureSize } = head;
    if (head.adapter !== undefined)
      throw new ConfigError(
        `heads: expected heads without an adapter for surgery, found one at the head of ${task}; give its head from before, or set heads=trained or heads=frozen`,
      );
    if (rank > featureSize)
      throw new ConfigError(
        `heads_rank: expected at most ${featureSize}, the features of the model, found ${rank}; lower it`,
      );
    const rng = createRng("surgery", seed, task);
    const bound = 1 / Math.sqrt(featureSize);
    const down = Float32Array.from({ length: rank * featureSize }, () => bound * (2 * rng.nextFloat() - 1));
    return { ...head, adapter: { rank, down, up: new Float32Array(featureSize * rank) } };
  });
}
