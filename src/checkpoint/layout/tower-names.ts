/**
 * The tensors of a tower by canonical names, wherever they are in a file: the tower alone, with or without its prefix; in a whole model; in the
 * wrapper of a training loop with that loop's own tensors around it.
 */
import { CheckpointError } from "../../errors.js";
import { quote } from "../../runtime/printable.js";
import { onlyOnce, respelled, unwrappedNames, withoutWrappers } from "./plain-names.js";
import { isDerived, type TowerLayout, type TowerNames } from "./tensor-layout.js";

export interface TowerTensors {
  /** Canonical name to name in the file; names of no known layout are as they are, so that a comparison can report them. */
  readonly names: ReadonlyMap<string, string>;
  /** Tensors around the tower of which the layout knows nothing, by their names in the file: heads and losses of a training loop. */
  readonly around: readonly string[];
}

/** Throws CheckpointError if two tensors of the file have one canonical name, or two towers are in it; `path` is the checkpoint they come from. */
export function towerTensors(layout: TowerLayout, names: Iterable<string>, path: string): TowerTensors {
  const { tower } = layout;
  const unwrapped = [...unwrappedNames(names, path)].map(([plain, name]): readonly [string, string] => [
    respelled(layout, plain),
    name,
  ]);
  const place = placeOf(tower, unwrapped, path);
  const found: (readonly [string, string])[] = [];
  const around: string[] = [];
  for (const [plain, name] of unwrapped) {
    const isOutside = place !== "" && !plain.startsWith(place);
    const own = isOutside ? undefined : canonicalOf(layout, plain.slice(place.length));
    if (isOutside || (place !== "" && own !== undefined && !isOf(tower, own))) around.push(name);
    else if (own !== undefined) found.push([own, name]);
  }
  return { names: onlyOnce(found, path), around };
}

/** The canonical name of a tensor that a file names by itself (an adapter's, say); undefined if it is to be left out. */
export function towerName(layout: TowerLayout, name: string): string | undefined {
  const plain = respelled(layout, withoutWrappers(name));
  const { prefix, parts } = layout.tower;
  const segments = plain.split(".");
  const inner = segments
    .map((_, index) => segments.slice(index).join("."))
    .find((end) => parts.some((part) => end.startsWith(prefix + part)));
  return canonicalOf(layout, inner ?? plain);
}

function canonicalOf(layout: TowerLayout, name: string): string | undefined {
  const { prefix, parts, rest } = layout.tower;
  if (rest.test(name) || isDerived(layout, name, [])) return undefined;
  return parts.some((part) => name.startsWith(part)) ? prefix + name : name;
}

function isOf({ prefix, beside }: TowerNames, canonical: string): boolean {
  return canonical.startsWith(prefix) || beside.includes(canonical);
}

/** What is in front of the tower's prefix, or of its parts where they have none. */
function placeOf({ prefix, sign }: TowerNames, names: readonly (readonly [string, string])[], path: string): string {
  const places = new Map<string, string>();
  for (const [plain, name] of names) {
    if (plain !== sign && !plain.endsWith(`.${sign}`)) continue;
    const front = plain.slice(0, -sign.length);
    const place =
      front === prefix || front.endsWith(`.${prefix}`) ? front.slice(0, front.length - prefix.length) : front;
    places.set(place, name);
  }
  const [first, second] = places;
  if (first !== undefined && second !== undefined && !places.has(""))
    throw new CheckpointError(
      `${path}: expected one tower, found two: that of ${quote(first[1])} and that of ${quote(second[1])}. Save the one that is meant by itself.`,
    );
  return places.has("") ? "" : (first?.[0] ?? "");
}
