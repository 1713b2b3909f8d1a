/**
 * The unfinished result of a merge: a folder beside the output with the files of tensors at their full size and a note of which tensors are in
 * them. A merge that was stopped or killed goes on with it when models and settings are the same.
 */
import { mkdir, open, readFile, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { requireSpace, type SafetensorsLayout } from "../../checkpoint/safetensors-writer.js";
import { UserError } from "../../errors.js";
import { publishDirectory, withAdvice, writeFileAtomic } from "../../runtime/atomic-file.js";
import { acquireLock } from "../../runtime/lock.js";

const NOTE = "adamerge-merge.json";
const LOCK = ".lock";
const SCRATCH = "scratch";

export interface Shard {
  readonly name: string;
  readonly layout: SafetensorsLayout;
}

export interface Staging {
  readonly folder: string;
  /** A folder for what only the merge needs; it may not be there yet, and is gone from the result. */
  readonly scratch: string;
  /** Tensors that an earlier start has written, and this one since. */
  readonly done: ReadonlySet<string>;
  /** Notes a tensor as written; it counts from the next `keep` on. */
  add(tensor: string): void;
  /** Makes what was added durable. */
  keep(): Promise<void>;
  /** Gives the folder its final name. */
  publish(replace: boolean): Promise<void>;
  /** Lets other processes in; the folder stays. */
  release(): Promise<void>;
}

/**
 * Opens or creates the staging folder of `output`, with every shard at its full size. `fingerprint` stands for models and settings. Throws
 * UserError when another process has it, when it belongs to another merge, or for a disk without room.
 */
export async function openStaging(output: string, fingerprint: string, shards: readonly Shard[]): Promise<Staging> {
  const folder = join(dirname(output), `${basename(output)}.partial`);
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw withAdvice(error, folder);
  });
  const lock = await acquireLock(join(folder, LOCK), output);
  try {
    const done = await readNote(folder, fingerprint);
    for (const shard of shards) await createShard(join(folder, shard.name), shard.layout, done);
    const path = join(folder, NOTE);
    const keep = async (): Promise<void> => {
      // Those that are noted must be on the disk before the note is.
      const noted = [...done];
      for (const { name } of shards) await syncData(join(folder, name));
      await writeFileAtomic(path, `${JSON.stringify({ fingerprint, done: noted })}\n`);
    };
    return {
      folder,
      scratch: join(folder, SCRATCH),
      done,
      add: (tensor) => done.add(tensor),
      keep,
      publish: async (replace) => {
        await rm(path, { force: true });
        await rm(join(folder, SCRATCH), { recursive: true, force: true });
        await lock.release();
        await publishDirectory(folder, output, { replace });
      },
      release: () => lock.release(),
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function readNote(folder: string, fingerprint: string): Promise<Set<string>> {
  const text = await readFile(join(folder, NOTE), "utf8").catch(() => undefined);
  if (text === undefined) return new Set();
  try {
    const note: unknown = JSON.parse(text);
    if (typeof note === "object" && note !== null && "fingerprint" in note && "done" in note) {
      if (note.fingerprint === fingerprint && Array.isArray(note.done)) return new Set(note.done.map(String));
    }
  } catch {
    // Cut off by a crash of the machine: as good as another merge's.
  }
  throw new UserError(
    `${folder}: expected the unfinished result of this merge, found one of other models or settings. Delete it, or choose another --output`,
  );
}

/** Creates the file at its full size, unless it is there already. */
async function createShard(
  path: string,
  { header, sizeBytes, ordered }: SafetensorsLayout,
  done: Set<string>,
): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.size === sizeBytes) return;
  // What a note says of a file that is gone, or not whole, does not count.
  for (const { name } of ordered) done.delete(name);
  await requireSpace(path, sizeBytes);
  try {
    const file = await open(path, "w");
    try {
      await file.writeFile(header);
      await file.truncate(sizeBytes);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw withAdvice(error, path);
  }
}

async function syncData(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.datasync();
  } catch (error) {
    throw withAdvice(error, path);
  } finally {
    await file.close();
  }
}
