/** The names of a file without the wrappers of training and in one spelling; see common-names.ts. Which part of a larger model it is stays. */
import { CheckpointError } from "../../errors.js";
import { quote } from "../../runtime/printable.js";
import { OUTER_WRAPPER, WRAPPERS } from "./common-names.js";
import type { TensorLayout } from "./tensor-layout.js";

/** Name without wrappers to name in the file, in its order. Throws CheckpointError if two names are one without them; `path` is their file. */
export function unwrappedNames(names: Iterable<string>, path: string): ReadonlyMap<string, string> {
  let found = [...names].map((name): readonly [string, string] => [withoutWrappers(name), name]);
  const outer = `${OUTER_WRAPPER}.`;
  while (found.length > 0 && found.every(([plain]) => plain.startsWith(outer) && plain.length > outer.length))
    found = found.map(([plain, name]) => [plain.slice(outer.length), name]);
  return onlyOnce(found, path);
}

/** One name, in the layout's spelling. */
export function respelled({ spellings }: Pick<TensorLayout, "spellings">, name: string): string {
  return spellings.reduce((spelled, { from, to }) => spelled.replace(from, to), name);
}

export function withoutWrappers(name: string): string {
  if (!name.includes("_")) return name;
  const parts = name.split(".");
  const kept = parts.filter((part) => !WRAPPERS.has(part));
  return kept.length === 0 ? name : kept.join(".");
}

/** A map of pairs. Throws CheckpointError for two of one canonical name. */
export function onlyOnce(
  pairs: Iterable<readonly [canonical: string, name: string]>,
  path: string,
): ReadonlyMap<string, string> {
  const index = new Map<string, string>();
  for (const [canonical, name] of pairs) {
    const other = index.get(canonical);
    if (other !== undefined)
      throw new CheckpointError(
        `${path}: expected one tensor for ${quote(canonical)}, found two: ${quote(other)} and ${quote(name)}. Remove one of them.`,
      );
    index.set(canonical, name);
  }
  return index;
}
