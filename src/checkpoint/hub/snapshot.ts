/**
 * Snapshots: the folder of a repository's files at one commit, with those that somebody needs. First a plan (what is needed, what of it
 * the cache has), then the downloads of all plans together. A plan asks the hub as little as it can: a revision that the cache
 * knows and whose files it has costs no request.
 */
import { readFile, statfs } from "node:fs/promises";
import { join } from "node:path";
import { HubError } from "../../errors.js";
import { makeFolder } from "../../runtime/make-folder.js";
import { MAX_COMPANION_BYTES } from "../companions.js";
import {
  blobPath,
  cachedCommit,
  cachedListing,
  linkFile,
  sizeOf,
  snapshotNames,
  snapshotPath,
  writeListing,
  writeRef,
} from "./cache.js";
import { downloadBlob, incompletePath } from "./download.js";
import type { HubFile } from "./listing.js";
import { type HubReference, shownReference } from "./reference.js";
import { fetchCommit, fetchContent, fetchListing } from "./repository.js";
import type { Hub } from "./request.js";

/** Files that are read to know which others are needed: indexes of shards, READMEs. */
const MAX_READ_BYTES = 50_000_000;
/** Files that come at the same time: one alone seldom fills a line, many make every one slow. */
const CONNECTIONS = 4;

export interface FileChoice {
  /** Names of needed files that are there. */
  readonly files: readonly string[];
  /** Names of files that are there and come along, where they can be had and are not too large. */
  readonly welcome?: readonly string[];
  /** What is needed and not there, in words or names. */
  readonly absent: readonly string[];
  /** Whether a part of the repository's files, which the cache may have, is enough to say so when nothing is absent. */
  readonly certain: boolean;
}

/** Chooses among a repository's (or a snapshot's) names; `read` gives the content of a small file among them. */
export type ChooseFiles = (names: readonly string[], read: (name: string) => Promise<Buffer>) => Promise<FileChoice>;

export interface SnapshotRequest {
  readonly reference: HubReference;
  readonly choose: ChooseFiles;
}

export interface PlannedFile {
  readonly name: string;
  readonly sizeBytes: number;
  /** Of it in the cache: all, a part of a download that was cut, or none. */
  readonly haveBytes: number;
  /** Whether the snapshot has it. */
  readonly ready: boolean;
  /** What the hub lists; undefined for files of a snapshot whose listing is not known, which are ready. */
  readonly listed: HubFile | undefined;
}

export interface SnapshotPlan {
  readonly reference: HubReference;
  /** Undefined only offline, when the cache does not know the revision. */
  readonly commit: string | undefined;
  /** The snapshot's folder, whether it is there or not. */
  readonly directory: string | undefined;
  readonly files: readonly PlannedFile[];
  /** What the repository (or, offline, the cache) lacks. */
  readonly absent: readonly string[];
  /** The listing, when it came from the hub and the cache has none. */
  readonly newListing: readonly HubFile[] | undefined;
}

/** Nothing is missing. */
export function isComplete({ files, absent }: SnapshotPlan): boolean {
  return absent.length === 0 && files.every(({ ready }) => ready);
}

/**
 * Plans a snapshot; downloads nothing but small files that it must read. `update` asks the hub where a branch is now, instead of taking
 * the commit that the cache knows. Offline only the cache is looked at. Throws HubError, also for a repository without what is needed.
 */
export async function planSnapshot(
  hub: Hub,
  request: SnapshotRequest,
  { update }: { readonly update: boolean },
): Promise<SnapshotPlan> {
  const { reference } = request;
  const known = update && !hub.offline ? undefined : await cachedCommit(hub.cacheDir, reference);
  if (known === undefined && hub.offline) return unknownRevision(reference);
  const commit = known ?? (await fetchCommit(hub, reference));
  const listing = await cachedListing(hub.cacheDir, reference, commit);
  if (listing === undefined) {
    const plan = await planFromSnapshot(hub, request, commit);
    if (plan !== undefined) return plan;
  }
  const files = listing ?? (await fetchListing(hub, reference, commit));
  const plan = await planFromListing(hub, request, commit, files);
  if (plan.absent.length > 0 && !hub.offline)
    throw new HubError(
      `${shownReference(reference)}: expected ${plan.absent.join(" and ")} in the repository, found none`,
    );
  return { ...plan, newListing: listing === undefined ? files : undefined };
}

function unknownRevision(reference: HubReference): SnapshotPlan {
  return {
    reference,
    commit: undefined,
    directory: undefined,
    files: [],
    absent: ["the revision"],
    newListing: undefined,
  };
}

/** From the files of a snapshot that another tool made; undefined when they do not settle it and the hub can be asked. */
async function planFromSnapshot(
  hub: Hub,
  { reference, choose }: SnapshotRequest,
  commit: string,
): Promise<SnapshotPlan | undefined> {
  const directory = snapshotPath(hub.cacheDir, reference, commit);
  const names = await snapshotNames(directory);
  const chosen = await choose(names, (name) => readFile(join(directory, ...name.split("/"))));
  const { files, welcome = [], absent, certain } = chosen;
  if (!hub.offline && (absent.length > 0 || !certain)) return undefined;
  const planned = [...new Set([...files, ...welcome])].map(async (name): Promise<PlannedFile> => {
    const sizeBytes = (await sizeOf(join(directory, ...name.split("/")))) ?? 0;
    return { name, sizeBytes, haveBytes: sizeBytes, ready: true, listed: undefined };
  });
  return { reference, commit, directory, files: await Promise.all(planned), absent, newListing: undefined };
}

async function planFromListing(
  hub: Hub,
  { reference, choose }: SnapshotRequest,
  commit: string,
  listing: readonly HubFile[],
): Promise<SnapshotPlan> {
  const byName = new Map(listing.map((file) => [file.name, file]));
  const directory = snapshotPath(hub.cacheDir, reference, commit);
  const lacking: string[] = [];
  const read = async (name: string): Promise<Buffer> => {
    const file = byName.get(name);
    if (file === undefined) throw new HubError(`${shownReference(reference)}: expected a file ${name}, found none`);
    const path = join(directory, ...name.split("/"));
    if ((await sizeOf(path)) === file.sizeBytes) return readFile(path);
    if (!hub.offline) return fetchContent(hub, reference, commit, file, MAX_READ_BYTES);
    lacking.push(name);
    throw new NotCached();
  };
  const chosen = await choose([...byName.keys()], read).catch((error: unknown): Omit<FileChoice, "certain"> => {
    if (error instanceof NotCached) return { files: [], absent: lacking };
    throw error;
  });
  const { files, welcome = [], absent } = chosen;
  const needed = new Set(files);
  const along = welcome.filter(
    (name) => !needed.has(name) && (byName.get(name)?.sizeBytes ?? 0) <= MAX_COMPANION_BYTES,
  );
  const planned = [...needed, ...along].map(async (name): Promise<PlannedFile> => {
    const listed = byName.get(name);
    const sizeBytes = listed?.sizeBytes ?? 0;
    const ready = (await sizeOf(join(directory, ...name.split("/")))) === sizeBytes;
    const blob = blobPath(hub.cacheDir, reference, listed?.hash ?? "");
    const isBlob = ready || (await sizeOf(blob)) === sizeBytes;
    const partBytes = isBlob ? sizeBytes : Math.min(sizeBytes, (await sizeOf(incompletePath(blob))) ?? 0);
    return { name, sizeBytes, haveBytes: partBytes, ready, listed };
  });
  // Offline, a cache that an earlier version filled is enough: a run reads none of those that come along.
  const found = (await Promise.all(planned)).filter(({ name, ready }) => needed.has(name) || ready || !hub.offline);
  return { reference, commit, directory, files: found, absent, newListing: undefined };
}

/** A file that must be read to know what is needed, and that the cache lacks. */
class NotCached extends Error {}

/**
 * Downloads what the plans lack and makes their snapshots whole; a file that several need comes once. Throws HubError before anything
 * starts if the disk has no room for it, and what `downloadBlob` throws; the other downloads under way stop then, and are kept.
 */
export async function fetchSnapshots(hub: Hub, plans: readonly SnapshotPlan[]): Promise<void> {
  const wanted = downloadsOf(hub, plans);
  await checkRoom(hub, wanted);
  const stop = new AbortController();
  const inner: Hub = { ...hub, signal: AbortSignal.any([hub.signal, stop.signal]) };
  const onBytes = progressOf(hub, wanted);
  const queue = wanted.values();
  let failure: unknown;
  const work = async () => {
    for (const { reference, commit, file } of queue) {
      if (stop.signal.aborted) return;
      await downloadBlob(inner, { reference, commit, file, onBytes }).catch((error: unknown) => {
        failure ??= error;
        stop.abort();
      });
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, work));
  if (failure !== undefined) throw failure;
  for (const plan of plans) await finishSnapshot(hub, plan);
}

interface Wanted {
  readonly reference: HubReference;
  readonly commit: string;
  readonly file: HubFile;
  readonly haveBytes: number;
}

function downloadsOf(hub: Hub, plans: readonly SnapshotPlan[]): readonly Wanted[] {
  const wanted = new Map<string, Wanted>();
  for (const { reference, commit, files } of plans)
    for (const { listed, ready, haveBytes } of files)
      if (!ready && listed !== undefined && commit !== undefined)
        wanted.set(blobPath(hub.cacheDir, reference, listed.hash), { reference, commit, file: listed, haveBytes });
  return [...wanted.values()];
}

async function checkRoom(hub: Hub, wanted: readonly Wanted[]): Promise<void> {
  const neededBytes = wanted.reduce((sum, { file, haveBytes }) => sum + file.sizeBytes - haveBytes, 0);
  if (neededBytes === 0) return;
  await makeFolder(hub.cacheDir);
  const freeBytes = await (hub.freeBytes ?? systemFreeBytes)(hub.cacheDir);
  if (freeBytes >= neededBytes) return;
  throw new HubError(
    `${hub.cacheDir}: expected room for ${neededBytes} bytes of downloads, found ${freeBytes} bytes free on this disk; free space, or set HF_HUB_CACHE to a folder on another disk`,
  );
}

async function systemFreeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

function progressOf(hub: Hub, wanted: readonly Wanted[]): (bytes: number) => void {
  const totalBytes = wanted.reduce((sum, { file }) => sum + file.sizeBytes, 0);
  const started = performance.now();
  let doneBytes = 0;
  return (bytes) => {
    doneBytes += bytes;
    hub.onProgress?.({ doneBytes, totalBytes, seconds: (performance.now() - started) / 1000 });
  };
}

/** Links come when all contents are there, the revision's name last. */
async function finishSnapshot(hub: Hub, plan: SnapshotPlan): Promise<void> {
  const { reference, commit, directory, files, newListing } = plan;
  if (commit === undefined || directory === undefined) return;
  for (const { ready, listed, name } of files)
    if (!ready && listed !== undefined) await linkFile(blobPath(hub.cacheDir, reference, listed.hash), directory, name);
  if (newListing !== undefined) await writeListing(hub.cacheDir, reference, commit, newListing);
  await writeRef(hub.cacheDir, reference, commit);
}
