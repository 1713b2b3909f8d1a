/** What is said of tensors that are not merged: which, of whom, and why; a line for each kind. */
import { printable, quote } from "../../runtime/printable.js";
import type { AlignedModel } from "./named-models.js";

/** Names that a line has; the rest is counted. */
const LISTED = 3;

export function listed(names: readonly string[]): string {
  const shown = names.slice(0, LISTED).map(printable).join(", ");
  const count = `${names.length} ${names.length === 1 ? "tensor" : "tensors"}`;
  return names.length > LISTED ? `${count} (${shown} and ${names.length - LISTED} more)` : `${count} (${shown})`;
}

export interface NotMerged {
  /** The pattern's, as a phrase: "the base X". */
  readonly patternName: string;
  readonly models: readonly AlignedModel[];
  /** Names in the result that are the pattern's, by why. */
  readonly derived: readonly string[];
  readonly kept: readonly string[];
  /** Of each model, by its own names, what the result does not have. */
  readonly leftOut: ReadonlyMap<string, readonly string[]>;
  readonly copies: ReadonlyMap<string, readonly string[]>;
  /** Tied tensors of the result with the models that have none of their own. */
  readonly tied: ReadonlyMap<string, readonly string[]>;
}

export function noticesOf(found: NotMerged): string[] {
  const { patternName, models, derived, kept, leftOut, copies, tied } = found;
  const lines: string[] = [];
  for (const { name, changes } of models) {
    if (changes.length === 0) continue;
    const all = changes.map(({ own, pattern }) => `${quote(own)} for ${quote(pattern)}`);
    lines.push(`model ${printable(name)} has other prefixes of names than ${patternName}: ${all.join(", ")}`);
  }
  if (derived.length > 0) lines.push(`copied from ${patternName}, as they follow from its config: ${listed(derived)}`);
  if (kept.length > 0) lines.push(`kept from ${patternName}, as no other model has them: ${listed(kept)}`);
  for (const [name, own] of copies)
    lines.push(`left out of model ${printable(name)}, as they repeat others: ${listed(own)}`);
  for (const [name, own] of leftOut)
    lines.push(`not merged, as ${patternName} does not have them: ${listed(own)} of model ${printable(name)}`);
  for (const [name, tiedModels] of tied)
    lines.push(
      `${printable(name)} is not tied in the result${ofTied(tiedModels)}; config.json says tie_word_embeddings false`,
    );
  return lines;
}

function ofTied(models: readonly string[]): string {
  const names = [...new Set(models)].map(printable);
  return names.length === 0 ? "" : `; of ${names.join(", ")} it is what it is tied to`;
}
