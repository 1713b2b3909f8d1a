/**
 * Tensor names across the layouts of one architecture. The canonical names are those of CLIPVisionModel up to
 * transformers 4 (`vision_model.` in front, plus `visual_projection.weight`); transformers 5 writes them without
 * the prefix, a full CLIP checkpoint adds a text tower, old files add integer `position_ids`.
 */
import { CheckpointError } from "../errors.js";
import { quote } from "../runtime/printable.js";

/** The first parts of a vision tower's names where the prefix is missing (`pre_layrnorm` is CLIP's own spelling). */
const VISION_PARTS = ["embeddings.", "pre_layrnorm.", "encoder.", "post_layernorm."];

/** Belongs to the text tower or carries no weights: never part of a merge. */
const IGNORED = /^(text_model\.|text_projection\b|logit_scale$)|(^|\.)position_ids$/;

/**
 * The canonical name of a tensor, or undefined if it is to be ignored (text tower, logit scale, position ids).
 * A name of no known layout is returned as it is, so that a comparison can report it.
 */
export function canonicalTensorName(name: string): string | undefined {
  if (IGNORED.test(name)) return undefined;
  return VISION_PARTS.some((part) => name.startsWith(part)) ? `vision_model.${name}` : name;
}

/**
 * Canonical name to name in the file, ignored tensors left out. Throws CheckpointError if two tensors of the file
 * have one canonical name; `path` is the checkpoint they come from.
 */
export function indexByCanonicalName(names: Iterable<string>, path: string): ReadonlyMap<string, string> {
  const index = new Map<string, string>();
  for (const name of names) {
    const canonical = canonicalTensorName(name);
    if (canonical === undefined) continue;
    const other = index.get(canonical);
    if (other !== undefined) {
      throw new CheckpointError(
        `${path}: expected one tensor for ${quote(canonical)}, found two: ${quote(other)} and ${quote(name)}. Remove one of them.`,
      );
    }
    index.set(canonical, name);
  }
  return index;
}

/** The first parts of a text tower's names where the prefix is missing. */
const TEXT_PARTS = ["embeddings.", "encoder.", "final_layer_norm."];
/** Only a text tower has it: a file with this name and no prefix is one by itself. */
const TEXT_MARK = "embeddings.token_embedding.weight";

/**
 * Name with the prefix `text_model.` to name in the file, of a text tower's tensors and what goes with them (`text_projection.weight`,
 * `logit_scale`). Empty where the file has no text tower.
 */
export function indexTextTower(names: Iterable<string>): ReadonlyMap<string, string> {
  const all = [...names];
  const isAlone = all.includes(TEXT_MARK);
  const index = new Map<string, string>();
  for (const name of all) {
    if (isAlone && TEXT_PARTS.some((part) => name.startsWith(part))) index.set(`text_model.${name}`, name);
    else if (/^(text_model\.|text_projection\b|logit_scale$)/.test(name)) index.set(name, name);
  }
  return index.has(`text_model.${TEXT_MARK}`) ? index : new Map();
}
