/**
 * A checkpoint of another naming as one of canonical names. Nothing is copied: fused tensors become rows of themselves and transposed ones views
 * of the same file.
 */
import { checkpointOf, type StoredCheckpoint } from "../checkpoint.js";
import { itemBytes, rowsOf, type StoredTensor, transposed } from "../stored-tensor.js";
import { onlyOnce } from "./plain-names.js";
import type { OtherNaming, TensorLayout } from "./tensor-layout.js";

/** The checkpoint itself, unless it has another naming of the layout. Tensors that the naming does not know keep their names, so that a comparison reports them. */
export function inCanonicalNames(
  checkpoint: StoredCheckpoint,
  { otherNamings }: Pick<TensorLayout, "otherNamings">,
): StoredCheckpoint {
  for (const naming of otherNamings) {
    const prefix = prefixOf(checkpoint.tensors, naming);
    if (prefix !== undefined) return renamed(checkpoint, naming, prefix);
  }
  return checkpoint;
}

function renamed(checkpoint: StoredCheckpoint, naming: OtherNaming, prefix: string): StoredCheckpoint {
  const { tower, rest } = naming;
  const outer = prefix.endsWith(tower) ? prefix.slice(0, -tower.length) : undefined;
  const found: (readonly [string, StoredTensor])[] = [];
  for (const [name, stored] of checkpoint.tensors) {
    if (name.startsWith(prefix)) found.push(...canonicalTensors(naming, name, prefix, stored));
    else if (outer === undefined || !name.startsWith(outer) || !rest.test(name.slice(outer.length)))
      found.push([name, stored]);
  }
  onlyOnce(
    found.map(([canonical, stored]) => [canonical, stored.name]),
    checkpoint.path,
  );
  return checkpointOf(checkpoint.path, checkpoint.config, { tensors: new Map(found), format: checkpoint.format });
}

/** What is in front of the naming's names; undefined where they are not there. */
function prefixOf(tensors: ReadonlyMap<string, unknown>, { signs }: OtherNaming): string | undefined {
  const [sign = "", ...others] = signs;
  for (const name of tensors.keys()) {
    const prefix = name.endsWith(sign) ? name.slice(0, -sign.length) : undefined;
    if (prefix !== undefined && others.every((other) => tensors.has(prefix + other))) return prefix;
  }
  return undefined;
}

/** Canonical tensors of one of the naming; the tensor by its own name where the naming does not have it. */
function canonicalTensors(
  { names }: OtherNaming,
  name: string,
  prefix: string,
  stored: StoredTensor,
): (readonly [string, StoredTensor])[] {
  const own = name.slice(prefix.length);
  const entry = names.find(({ from }) => from.test(own));
  const to = entry?.to.map((canonical) => own.replace(entry.from, canonical)) ?? [];
  const [only] = to;
  if (entry === undefined || only === undefined) return [[name, stored]];
  if (entry.isTransposed === true) return [stored.shape.length === 2 ? [only, transposed(stored)] : [name, stored]];
  if (to.length === 1) return [[only, stored]];
  const rows = (stored.shape[0] ?? 0) / to.length;
  if (!Number.isInteger(rows) || !Number.isInteger(itemBytes(stored.dtype))) return [[name, stored]];
  return to.map((canonical, part) => [canonical, rowsOf(stored, part * rows, (part + 1) * rows)]);
}
