/**
 * Checkpoint folders with one or two faults: shards swapped, copied, cut, missing, behind links or mutated themselves; an index or a
 * config.json with changed text; things in the place of files. The folder is laid out by a plan, so that a case is repeated from its number.
 */
import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Rng } from "../../dist/internal.js";
import { mutateBytes, mutateHeader, mutateText } from "./mutations.js";

/** A file's bytes, or what is in its place. */
export type Item = Uint8Array | { readonly linkTo: string } | "folder";
/** Names to items: a checkpoint folder. */
export type Folder = ReadonlyMap<string, Item>;

type Fault = (folder: Map<string, Item>, rng: Rng) => void;

const FAULTS: readonly Fault[] = [
  textFault("model.safetensors.index.json"),
  textFault("model.safetensors.index.json"),
  textFault("config.json"),
  (folder, rng) => {
    const [one, other] = [pickName(folder, rng), pickName(folder, rng)];
    const [first, second] = [folder.get(one), folder.get(other)];
    if (first !== undefined && second !== undefined) folder.set(one, second).set(other, first);
  },
  (folder, rng) => {
    const copied = folder.get(pickName(folder, rng));
    if (copied !== undefined) folder.set(pickName(folder, rng), copied);
  },
  (folder, rng) => void folder.delete(pickName(folder, rng)),
  (folder, rng) => {
    const name = pickName(folder, rng);
    const bytes = folder.get(name);
    if (!(bytes instanceof Uint8Array) || bytes.length < 9) return;
    folder.set(
      name,
      name.endsWith(".json") || rng.nextInt(3) === 0 ? mutateBytes(bytes, bytes, rng) : mutateHeader(bytes, rng),
    );
  },
  (folder, rng) => {
    const targets = ["../outside.safetensors", "/dev/null", "nowhere", ".", pickName(folder, rng)];
    folder.set(pickName(folder, rng), { linkTo: targets[rng.nextInt(targets.length)] ?? "." });
  },
  (folder, rng) => void folder.set(pickName(folder, rng), "folder"),
  (folder) => {
    const [shard] = [...folder].filter(([name]) => name.includes("-of-"));
    if (shard !== undefined) folder.set("model.safetensors", shard[1]);
  },
];

function textFault(name: string): Fault {
  return (folder, rng) => {
    const bytes = folder.get(name);
    if (bytes instanceof Uint8Array)
      folder.set(name, Buffer.from(mutateText(Buffer.from(bytes).toString("utf8"), rng)));
  };
}

function pickName(folder: ReadonlyMap<string, Item>, rng: Rng): string {
  return [...folder.keys()][rng.nextInt(Math.max(1, folder.size))] ?? "config.json";
}

/** The folder with one or two faults. */
export function mutateFolder(folder: Folder, rng: Rng): Folder {
  const changed = new Map(folder);
  for (let fault = 1 + rng.nextInt(2); fault > 0; fault--) FAULTS[rng.nextInt(FAULTS.length)]?.(changed, rng);
  return changed;
}

/** Lays the folder out at `path`, which is emptied first. */
export async function layOut(folder: Folder, path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
  await mkdir(path);
  for (const [name, item] of folder) {
    const target = join(path, name);
    if (item === "folder") await mkdir(target);
    else if (item instanceof Uint8Array) await writeFile(target, item);
    else await symlink(item.linkTo, target);
  }
}
