/**
 * The unfinished result of a merge: a folder beside the output with the files of tensors at their full size and a note of which tensors are in
 * them. A merge that was stopped or killed goes on with it when models and settings are the same. What is in it and not ours is refused.
 */
import { lstat, mkdir, open, readdir, readFile, rename, rm, rmdir, stat, unlink } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { requireSpace, type SafetensorsLayout } from "../../checkpoint/safetensors-writer.js";
import { UserError } from "../../errors.js";
import { publishDirectory, type Replacing, withAdvice, writeFileAtomic } from "../../runtime/atomic-file.js";
import { acquireLock, type LockOptions } from "../../runtime/lock.js";
import { makeFolder } from "../../runtime/make-folder.js";
import { MANIFEST } from "../../runtime/own-files.js";

const NOTE = "adamerge-merge.json";
const LOCK = ".lock";
const SCRATCH = "scratch";
const REST = "rest";
/** What a killed process may leave of the note or of the lock. */
const TEMPORARY = /^\.(?:adamerge-merge\.json\.[0-9a-f]{8}\.tmp|lock\..*)$/;
/** Tensors changed by adapters, whole or half written. */
const SCRATCH_FILE = /^(?:[0-9a-f]{64}\.safetensors|\.[0-9a-f]{64}\.safetensors\.[0-9a-f]{8}\.tmp)$/;
/** Names in a message. */
const MAX_NAMED = 5;

export interface Shard {
  readonly name: string;
  readonly layout: SafetensorsLayout;
}

export interface Staging {
  readonly folder: string;
  /** A folder for what only the merge needs; it may not be there yet, and is gone from the result. */
  readonly scratch: string;
  /** An empty folder for all files of the result but those of tensors. */
  readonly rest: string;
  /** Tensors that an earlier start has written, and this one since. */
  readonly done: ReadonlySet<string>;
  /** Notes a tensor as written; it counts from the next `keep` on. */
  add(tensor: string): void;
  /** Makes what was added durable. */
  keep(): Promise<void>;
  /** Gives the folder its final name. Returns where the old one is, if others put something into it meanwhile. */
  publish(replace: Replacing | undefined): Promise<string | undefined>;
  /** Lets other processes in; the folder stays. */
  release(): Promise<void>;
}

interface Note {
  readonly done: Set<string>;
  /** Files and folders beside those of tensors that are ours. */
  readonly rest: readonly string[];
}

/** The folder of the unfinished result. */
export function stagingFolder(output: string): string {
  return join(dirname(output), `${basename(output)}.partial`);
}

/**
 * Opens or creates the staging folder of `output`, with every shard at its full size. `fingerprint` stands for models and settings. Throws
 * UserError when another process has it, when it belongs to another merge or holds files of others, or for a disk without room.
 */
export async function openStaging(
  output: string,
  fingerprint: string,
  shards: readonly Shard[],
  lockOptions: LockOptions = {},
): Promise<Staging> {
  const folder = stagingFolder(output);
  await requireFolder(folder);
  await makeFolder(folder).catch((error: unknown) => {
    throw withAdvice(error, folder);
  });
  const lock = await acquireLock(join(folder, LOCK), output, lockOptions);
  try {
    const note = await readNote(folder, fingerprint);
    const names = shards.map(({ name }) => name);
    await requireOwn(folder, note === undefined ? [] : [...names, ...note.rest, REST]);
    const done = note?.done ?? new Set<string>();
    const path = join(folder, NOTE);
    const write = (tensors: readonly string[], rest: readonly string[]): Promise<void> =>
      writeFileAtomic(path, `${JSON.stringify({ fingerprint, done: tensors, rest })}\n`);
    // Before any other file: what lies here without a note is somebody else's.
    if (note === undefined) await write([], []);
    for (const name of note?.rest ?? []) await rm(join(folder, name), { recursive: true, force: true });
    for (const shard of shards) await createShard(join(folder, shard.name), shard.layout, done);
    const rest = join(folder, REST);
    await rm(rest, { recursive: true, force: true });
    await mkdir(rest);
    const keep = async (): Promise<void> => {
      // Those that are noted must be on the disk before the note is.
      const noted = [...done];
      for (const name of names) await syncData(join(folder, name));
      await lock.check();
      await write(noted, []);
    };
    return {
      folder,
      scratch: join(folder, SCRATCH),
      rest,
      done,
      add: (tensor) => done.add(tensor),
      keep,
      publish: async (replace) => {
        await lock.check();
        await removeScratch(join(folder, SCRATCH));
        const moved = await readdir(rest);
        await write([...done], moved);
        const files = (await readdir(rest, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
        const restFiles = files.map((entry) => below(rest, join(entry.parentPath, entry.name)));
        for (const name of moved) await moveUp(join(rest, name), join(folder, name));
        await rmdir(rest);
        const left = await publishDirectory(folder, output, {
          replace,
          manifest: true,
          listed: { names: [...names, ...restFiles], passing: [NOTE, LOCK] },
        });
        // Until here a killed merge finds what is to be done; now the result is in its place.
        await unlink(join(output, NOTE));
        await lock.release(join(output, LOCK));
        return left;
      },
      release: () => lock.release(),
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

function below(folder: string, path: string): string {
  return relative(folder, path).split(sep).join("/");
}

/** Throws UserError when the unfinished result of `output` cannot be begun or gone on with: said before the models are looked at. */
export async function requireStagingPlace(output: string): Promise<void> {
  const folder = stagingFolder(output);
  await requireFolder(folder);
  const entries: string[] = await readdir(folder).catch(() => []);
  if (!entries.includes(NOTE) && entries.length > 0) await requireOwn(folder, []);
}

/** Throws UserError for a link, a file or a device in the place of the folder. */
async function requireFolder(folder: string): Promise<void> {
  const found = await lstat(folder).catch(() => undefined);
  if (found === undefined || found.isDirectory()) return;
  throw new UserError(
    `${folder}: expected the folder of the unfinished result, or nothing, found ${found.isSymbolicLink() ? "a link" : "a file"}. Move it away, or choose another --output.`,
  );
}

/** Throws UserError naming what is in the folder besides `known` and what every merge has there. */
async function requireOwn(folder: string, known: readonly string[]): Promise<void> {
  const isOurs = (name: string, isFile: boolean): boolean =>
    known.includes(name) || (isFile && ([NOTE, LOCK, MANIFEST].includes(name) || TEMPORARY.test(name)));
  const foreign: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory() && entry.name === SCRATCH) {
      const inside = await readdir(join(folder, SCRATCH));
      foreign.push(...inside.filter((name) => !SCRATCH_FILE.test(name)).map((name) => `${SCRATCH}/${name}`));
    } else if (entry.isSymbolicLink() || !isOurs(entry.name, entry.isFile())) foreign.push(entry.name);
  }
  if (foreign.length === 0) return;
  const more = foreign.length > MAX_NAMED ? ` and ${foreign.length - MAX_NAMED} more` : "";
  throw new UserError(
    `${folder}: expected only the unfinished result of a merge, found ${foreign.slice(0, MAX_NAMED).join(", ")}${more}. Move that away (or delete the folder, if nobody needs it), or choose another --output.`,
  );
}

async function removeScratch(scratch: string): Promise<void> {
  for (const name of await readdir(scratch).catch(() => []))
    if (SCRATCH_FILE.test(name)) await unlink(join(scratch, name));
  // What somebody put into it stays, and goes with the result.
  await rmdir(scratch).catch(() => undefined);
}

/** Never over something that came there meanwhile. */
async function moveUp(from: string, to: string): Promise<void> {
  if ((await lstat(to).catch(() => undefined)) !== undefined)
    throw new UserError(
      `${to}: expected nothing yet, found a file that came during the merge. Move it away; the same command goes on.`,
    );
  await rename(from, to);
}

async function readNote(folder: string, fingerprint: string): Promise<Note | undefined> {
  const text = await readFile(join(folder, NOTE), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const note: unknown = JSON.parse(text);
    if (typeof note === "object" && note !== null && "fingerprint" in note && "done" in note) {
      const rest = "rest" in note && Array.isArray(note.rest) ? note.rest.map(String) : [];
      const isSound = Array.isArray(note.done) && rest.every((name) => name === basename(name) && !/^\.*$/.test(name));
      if (note.fingerprint === fingerprint && isSound && Array.isArray(note.done))
        return { done: new Set(note.done.map(String)), rest };
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
