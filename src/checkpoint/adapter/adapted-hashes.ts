/**
 * Hashes of what adapters make of tensors, remembered for the process by what they are made of. One takes the product of its factors, and whoever
 * opens the same experts again (a sweep, the fits of a quickstart) would make all products again to find that nothing changed.
 */
import { createHash } from "node:crypto";
import { hashStored, type StoredTensor } from "../stored-tensor.js";

/** A hundred bytes each: more than the tensors of any experts that one process merges. */
const MOST_REMEMBERED = 2 ** 17;
const remembered = new Map<string, string>();

/** What an adapted tensor is made of: tensors in files, hashes of others, and numbers. */
export interface Ingredients {
  readonly stored: readonly (StoredTensor | undefined)[];
  /** Of the base's tensor, where that is one of them. */
  readonly baseSha256: string | undefined;
  readonly settings: readonly (string | number | boolean)[];
}

/** The hash that `compute` gave for the same ingredients, else what it gives now. Throws as `hashStored`. */
export async function adaptedHash(ingredients: Ingredients, compute: () => Promise<string>): Promise<string> {
  const parts: (string | undefined)[] = [];
  for (const stored of ingredients.stored)
    parts.push(stored === undefined ? undefined : (await hashStored(stored.file, [stored])).get(stored));
  const { baseSha256, settings } = ingredients;
  const key = createHash("sha256")
    .update(JSON.stringify([parts, baseSha256, settings]))
    .digest("base64");
  const known = remembered.get(key);
  if (known !== undefined) return known;
  const found = await compute();
  if (remembered.size >= MOST_REMEMBERED) remembered.clear();
  remembered.set(key, found);
  return found;
}
